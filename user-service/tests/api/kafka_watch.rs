//! The watch over Kafka clients tells whether the broker answers, and brings back a client that has lost it.

use crate::world::World;
use rdkafka::consumer::{BaseConsumer, Consumer};
use runtime::{
    env::Env,
    kafka::{KafkaConfig, KafkaWatch},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const NOWHERE: &str = "127.0.0.1:1";
const LIMIT: Duration = Duration::from_secs(15);

fn kafka(brokers: &str) -> KafkaConfig {
    KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", brokers)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_no_broker_any_more_finds_one_again() {
    let world = World::start().await;
    // The watch asks for a topic, so it must exist.
    kafka(&world.brokers()).ensure_topics(&CancellationToken::new()).await;
    let lost: BaseConsumer = kafka(NOWHERE).client().create().expect("a client");
    let watch = KafkaWatch::new(kafka(&world.brokers()));
    let stop = CancellationToken::new();
    let watching = tokio::spawn(Arc::clone(&watch).run(move |watch| watch.ask(lost.client()), stop.clone()));
    let began = Instant::now();
    while !watch.brokers_answer() {
        assert!(began.elapsed() < LIMIT, "the client has not found back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    watching.await.expect("the watch ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_left_alone_while_no_broker_can_be_seen() {
    let watch = KafkaWatch::new(kafka(NOWHERE));
    let stop = CancellationToken::new();
    let asked = Arc::new(AtomicBool::new(false));
    let ask_all = {
        let asked = Arc::clone(&asked);
        move |_: &KafkaWatch| !asked.swap(true, Ordering::Relaxed)
    };
    let watching = tokio::spawn(Arc::clone(&watch).run(ask_all, stop.clone()));
    // Long enough for several checks.
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.cancel();
    watching.await.expect("the watch ends");
    assert!(!watch.brokers_answer());
    assert!(!asked.load(Ordering::Relaxed), "a client was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_panics_ends_the_watch_so_that_it_is_noticed() {
    let world = World::start().await;
    let watch = KafkaWatch::new(kafka(&world.brokers()));
    let ask_all = |_: &KafkaWatch| panic!("a fault");
    let watching = watch.run(ask_all, CancellationToken::new());
    tokio::time::timeout(LIMIT, watching).await.expect("the watch ends by itself");
}
