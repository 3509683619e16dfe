//! A Kafka client that does not find back to its broker is told apart from a broker that is away.

use crate::world::World;
use shared::{env::Env, kafka::KafkaConfig};
use std::time::Duration;

fn kafka(brokers: &str) -> KafkaConfig {
    KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", brokers)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_client_that_misses_a_broker_which_others_reach_is_stuck() {
    let world = World::start().await;
    let there = kafka(&world.brokers());
    let nowhere = kafka("127.0.0.1:1");
    let limit = Duration::from_secs(12);
    let (stuck, healthy, away) = tokio::join!(
        tokio::time::timeout(limit, there.until_stuck(|_| false)),
        tokio::time::timeout(limit, there.until_stuck(|_| true)),
        tokio::time::timeout(limit, nowhere.until_stuck(|_| false)),
    );
    assert!(stuck.is_ok(), "a client that never answers, beside a broker that does");
    assert!(healthy.is_err(), "a client that answers");
    assert!(away.is_err(), "a broker that is away");
}
