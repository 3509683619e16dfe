//! The reason for the guard, shown on the wire: without it, this test's process ends with SIGSEGV.

use crate::{env::Env, kafka::KafkaConfig};
use broker::{Broker, PARTITIONS, TOPIC};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use std::time::{Duration, Instant};

mod broker;
mod wire;

const ROUNDS: usize = 1_000;
/// In each partition, after the last round.
const RECORDS: usize = 20;
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_hint_at_no_leader_neither_ends_the_process_nor_stops_a_partition() {
    let broker = Broker::start(ROUNDS);
    let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", broker.address())]));
    let consumer: BaseConsumer = kafka
        .client()
        .set("group.id", "leader-hints")
        .set("enable.auto.commit", "false")
        .set("fetch.error.backoff.ms", "0")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(TOPIC, partition, Offset::Offset(0)).unwrap();
    }
    consumer.assign(&assignment).unwrap();

    let (began, mut read) = (Instant::now(), [0; PARTITIONS as usize]);
    while read.iter().any(|records| *records < RECORDS) {
        assert!(began.elapsed() < LIMIT, "records read of each partition: {read:?}");
        if let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) {
            read[usize::try_from(record.partition()).unwrap()] += 1;
        }
    }
    assert!(broker.poisoned_replies() >= ROUNDS, "{}", broker.poisoned_replies());
}
