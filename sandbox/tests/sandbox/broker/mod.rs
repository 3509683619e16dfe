//! The broker as librdkafka sees it.
#![expect(clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use sandbox::broker::{Broker, Storage};
use tempfile::TempDir;

mod groups;
mod lifecycle;
mod records;
mod topics;

const DEADLINE: Duration = Duration::from_secs(20);

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("retry.backoff.ms", "20");
    config
}

async fn create_topic(bootstrap: &str, topic: NewTopic<'_>) -> Result<String, (String, RDKafkaErrorCode)> {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create().unwrap();
    admin.create_topics([&topic], &AdminOptions::new()).await.unwrap().remove(0)
}

fn topic(name: &str, partitions: i32) -> NewTopic<'_> {
    NewTopic::new(name, partitions, TopicReplication::Fixed(1))
}

fn producer(bootstrap: &str) -> FutureProducer {
    client(bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .create()
        .unwrap()
}

/// Sends with the broker's acknowledgement.
async fn send(producer: &FutureProducer, topic: &str, partition: i32, key: &str, value: &str) -> i64 {
    let record = FutureRecord::to(topic).partition(partition).key(key).payload(value);
    producer.send(record, DEADLINE).await.unwrap().offset
}

/// A consumer without a group that starts at the beginning of one partition.
fn reader(bootstrap: &str, topic: &str, partition: i32) -> BaseConsumer {
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50")
        .create()
        .unwrap();
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&start).unwrap();
    consumer
}

/// Reads up to the end of the partition, which the broker has to report.
fn read_to_end<T>(consumer: &BaseConsumer, mut each: impl FnMut(&BorrowedMessage<'_>) -> T) -> Vec<T> {
    let started = Instant::now();
    let mut read = Vec::new();
    while started.elapsed() < DEADLINE {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => read.push(each(&record)),
            Some(Err(KafkaError::PartitionEOF(_))) => return read,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    panic!("the end of the partition was not reported in {DEADLINE:?}");
}

fn value(record: &BorrowedMessage<'_>) -> String {
    String::from_utf8(record.payload().unwrap_or_default().to_vec()).unwrap()
}

fn headers(record: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let header =
        |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.unwrap_or_default().to_vec());
    record.headers().map(|headers| headers.iter().map(header).collect()).unwrap_or_default()
}

fn owned_headers(pairs: &[(&str, &str)]) -> OwnedHeaders {
    pairs.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(*value) })
    })
}
