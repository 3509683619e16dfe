//! A broker that checks rights: what the log says of a missing one. With the right, the service works without a restart.

use crate::access::{sign_up, world_with};
use acceptance::{
    api::Api,
    kafka::{Kafka, sasl_ssl::SaslSsl},
    service::Service,
    world::World,
};
use reqwest::StatusCode;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
const MISSING: &str = "a right is missing: docs/operations.md (Rights in Kafka)";
const TO_TOPICS: [&str; 4] = ["Create", "Read", "Describe", "DescribeConfigs"];

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_in_the_log_and_needs_no_restart_when_it_is_there() {
    let (world, access) = world_with(|kafka| {
        let access = kafka.require_tls_and_login();
        kafka.check_rights();
        access
    })
    .await;
    // Reads all and writes nothing: it gets no producer id, and its process ends.
    allow(&world.kafka, "team-b", &TO_TOPICS, "--topic", "*").await;
    let mut reader = access.with_plain(world.user_service("reader"), "team-b");
    reader.start();
    reader.logs("Cluster authorization failed: the service may write to no topic at all").await;
    let began = Instant::now();
    while reader.ended().is_none() {
        assert!(began.elapsed() < LIMIT, "it runs, see {}", reader.log().display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let mut user_service = may_write_after_a_while(&world, &access).await;
    let mut mailer = may_join_after_a_while(&world, &access).await;
    // The registration from before the mailer's right is mailed, too.
    sign_up(&world, &user_service).await;
    user_service.stop().await;
    mailer.stop().await;
}

/// A user service that may write to one topic, then to all.
async fn may_write_after_a_while(world: &World, access: &SaslSsl) -> Service {
    allow(&world.kafka, "team-a", &TO_TOPICS, "--topic", "*").await;
    allow(&world.kafka, "team-a", &["Write"], "--topic", "user_account_activity").await;
    let mut service = access.with_plain(world.user_service("user"), "team-a");
    service.start_and_wait().await;
    let api = Api::new(service.address());
    assert_eq!(api.register("ada@example.com").await.status, StatusCode::SERVICE_UNAVAILABLE);
    service.logs("Topic authorization failed").await;
    allow(&world.kafka, "team-a", &["Write"], "--topic", "*").await;
    let began = Instant::now();
    while api.register("ada@example.com").await.status != StatusCode::ACCEPTED {
        assert!(began.elapsed() < LIMIT, "see {}", service.log().display());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    service
}

/// A notification service without the right to its group, then with it.
async fn may_join_after_a_while(world: &World, access: &SaslSsl) -> Service {
    allow(&world.kafka, "plain", &TO_TOPICS, "--topic", "*").await;
    allow(&world.kafka, "plain", &["Write"], "--topic", "*").await;
    let mut service = access.with_plain(world.notification_service("notification"), "plain");
    service.start();
    service.logs(&format!("Group authorization failed: {MISSING}")).await;
    service.alive_and_not_ready().await;
    allow(&world.kafka, "plain", &["Read"], "--group", "notification-service").await;
    service.ready().await;
    service
}

async fn allow(kafka: &Kafka, user: &str, operations: &[&str], kind: &str, name: &str) {
    let mut rights: Vec<_> = operations.iter().flat_map(|operation| ["--operation", operation]).collect();
    rights.extend([kind, name]);
    kafka.allow(user, &rights).await;
}
