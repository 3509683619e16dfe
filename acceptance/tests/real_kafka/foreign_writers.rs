//! Foreign producers that write no record of ours: with transactions, and with every compression.
//!
//! A consumer reads neither past an open transaction nor past a batch that it can't decompress. To it, both look like the
//! end of the log. The embedded broker supports neither.

use acceptance::{inbox::VERIFY, ledger::Registration, world::World};
use contract::topic::Topic;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const TOPICS: [Topic; 4] = [Topic::Created, Topic::Activity, Topic::Verified, Topic::MailRetry];

fn producer(world: &World, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", world.kafka.bootstrap());
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().expect("a producer")
}

/// Writes a record to each partition of each topic.
fn litter(producer: &BaseProducer) {
    for topic in TOPICS {
        for partition in 0..6 {
            let record = BaseRecord::<str, str>::to(topic.name())
                .partition(partition)
                .key("k")
                .payload("garbage, garbage");
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
    // Topics as the services create them, except that batches keep their producers' compression.
    for topic in TOPICS {
        let mut settings: Vec<_> =
            topic.settings(1).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        settings.retain(|setting| !setting.starts_with("compression.type="));
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        world.kafka.create_topic(topic.name(), 6, &settings).await;
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
    // Each partition now ends with a marker of a transaction.
    let (_user_service, api) = world.ready_user_service("user again").await;
    Registration::accepted(&api, "grace@example.com".to_owned()).await;
}
