//! What other producers may do to a topic, without any of our records: transactions, and every way to compress.
//!
//! A consumer reads neither past a transaction that stays open nor past a batch that it can't unpack, and both look as if nothing
//! had been written. The embedded broker knows neither.

use acceptance::{inbox::VERIFY, ledger::Registration, world::World};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const TOPICS: [&str; 4] =
    ["user_account_created", "user_account_activity", "user_account_verified", "user_account_mail_retry"];

fn producer(world: &World, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", world.kafka.bootstrap());
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().expect("a producer")
}

/// A record in each partition of each topic.
fn litter(producer: &BaseProducer) {
    for topic in TOPICS {
        for partition in 0..6 {
            let record =
                BaseRecord::<str, str>::to(topic).partition(partition).key("k").payload("garbage, garbage");
            producer.send(record).expect("room in the queue");
        }
    }
    producer.flush(LIMIT).expect("written");
}

fn in_transaction(world: &World, id: &str) -> BaseProducer {
    let producer = producer(world, &[("transactional.id", id), ("transaction.timeout.ms", "600000")]);
    producer.init_transactions(LIMIT).expect("a producer of transactions");
    producer.begin_transaction().expect("a transaction");
    litter(&producer);
    producer
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_transactions_nor_compression_of_other_producers_stop_anything() {
    let world = World::start().await;
    // Topics as an older version has made them: batches stay as their producers have packed them.
    for topic in TOPICS {
        let policy = if topic == "user_account_verified" { "compact" } else { "delete" };
        let size = if topic == "user_account_mail_retry" { "2097152" } else { "1048588" };
        let settings = [format!("cleanup.policy={policy}"), format!("max.message.bytes={size}")];
        world.kafka.create_topic(topic, 6, &settings.each_ref().map(String::as_str)).await;
    }
    {
        let (_user_service, api) = world.ready_user_service("user").await;
        let _notification_service = world.ready_notification_service("notification").await;
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            litter(&producer(&world, &[("compression.type", codec)]));
        }
        in_transaction(&world, "committed").commit_transaction(LIMIT).expect("committed");
        in_transaction(&world, "aborted").abort_transaction(LIMIT).expect("aborted");
        let open = in_transaction(&world, "open");
        for number in 0..10 {
            let ada = Registration::accepted(&api, format!("ada{number}@example.com")).await;
            world.inbox.first(&ada.email, VERIFY, LIMIT).await;
        }
        open.abort_transaction(LIMIT).expect("aborted");
    }
    // Now each partition ends with a marker.
    let (_user_service, api) = world.ready_user_service("user again").await;
    Registration::accepted(&api, "grace@example.com".to_owned()).await;
}
