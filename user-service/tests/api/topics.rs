//! Topics that were there before the service, with settings of their own.

use crate::world::{Replica, World};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};
use reqwest::StatusCode;
use serde_json::Value;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// A broker whose topic of verified accounts deletes its records.
async fn world() -> World {
    let world = World::start().await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", world.brokers()).create().expect("a client");
    let topic = NewTopic::new("user_account_verified", 1, TopicReplication::Fixed(1));
    let topic = topic.set("cleanup.policy", "delete").set("retention.ms", "604800000");
    let made = admin.create_topics([&topic], &AdminOptions::new()).await.expect("an answer");
    assert!(made[0].is_ok(), "{made:?}");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_would_lose_accounts_makes_a_replica_not_ready_and_it_says_why() {
    let world = world().await;
    let replica = Replica::start(&world.brokers(), &[]);
    let began = Instant::now();
    let reason = loop {
        let answer = replica.get("/health/ready").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        match &answer.body["topics"] {
            Value::String(reason) if reason.contains("cleanup") => break reason.clone(),
            other => assert!(began.elapsed() < LIMIT, "{other}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(reason.starts_with("user_account_verified: "), "{reason}");
    assert!(reason.contains(" cleanup.policy is delete, expected compact ("), "{reason}");
    while replica.get("/health/ready").await.body["caught_up"] != true {
        assert!(began.elapsed() < LIMIT, "not caught up in time");
    }
    assert_eq!(replica.register("ada@example.com").await.problem(), "unavailable");
    assert!(replica.metrics().await.contains("user_service_topics_fit 0"));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_taken_as_it_is_when_its_settings_are_to_be_ignored() {
    let world = world().await;
    let replica = world.replica_with(&[("KAFKA_TOPIC_SETTINGS", "ignore")]).await;
    replica.registered("ada@example.com").await;
    assert!(replica.metrics().await.contains("user_service_topics_fit 1"));
    replica.stop().await;
}
