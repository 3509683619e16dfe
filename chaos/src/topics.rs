//! The log at the end of a round: every record of every topic, and the records that the notification services have not
//! committed.
//!
//! It uses clients of its own, directly at the broker. All functions block.

use crate::{evidence::Record, garbage::MARK};
use anyhow::Context as _;
use contract::{event::Event, topic::Topic};
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::BorrowedMessage,
};
use runtime::kafka::header;
use sandbox::topics;
use std::time::Duration;

const GROUP: &str = "notification-service";
const TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit for reading everything.
const READ_LIMIT: Duration = Duration::from_secs(120);

/// Reads all topics from their start to the present log-end offsets.
///
/// # Errors
/// The broker does not answer, or not all records arrive in time.
pub(crate) fn read_all(brokers: &str) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    topics::read(brokers, &Topic::ALL.map(Topic::name), READ_LIMIT, |received| {
        let Some(topic) = Topic::from_name(received.topic()) else { return };
        // Garbage is left out, and so are its retries and dead letters.
        if header(received.headers(), MARK).is_none() {
            records.push(record(topic, received));
        }
    })?;
    records.sort_by_key(|record: &Record| (record.topic, record.partition, record.offset));
    Ok(records)
}

/// The partitions with records that the notification services have not finished and committed, with the number of these
/// records.
///
/// # Errors
/// The broker does not answer.
pub(crate) fn backlog(brokers: &str) -> anyhow::Result<Vec<String>> {
    let consumer = client(brokers, GROUP)?;
    let mut asked = TopicPartitionList::new();
    // No record of `user_account_activity` is mailed.
    let topics = [Topic::Created, Topic::Verified, Topic::MailRetry];
    for (topic, partition) in partitions(&consumer, &topics)? {
        asked.add_partition(topic.name(), partition);
    }
    let committed = consumer.committed_offsets(asked, TIMEOUT)?;
    let mut backlog = Vec::new();
    for element in committed.elements() {
        let (low, high) = consumer.fetch_watermarks(element.topic(), element.partition(), TIMEOUT)?;
        let next = match element.offset() {
            Offset::Offset(next) => next,
            _ => low,
        };
        if next < high {
            backlog.push(format!("{}/{}: {} records", element.topic(), element.partition(), high - next));
        }
    }
    Ok(backlog)
}

fn client(brokers: &str, group: &str) -> anyhow::Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", group).set("enable.auto.commit", "false");
    config.create().context("no Kafka consumer")
}

fn partitions(consumer: &BaseConsumer, topics: &[Topic]) -> anyhow::Result<Vec<(Topic, i32)>> {
    let mut partitions = Vec::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic.name()), TIMEOUT)?;
        let found = metadata.topics().iter().flat_map(|found| found.partitions());
        partitions.extend(found.map(|partition| (*topic, partition.id())));
    }
    Ok(partitions)
}

fn record(topic: Topic, received: &BorrowedMessage<'_>) -> Record {
    let text = |name| {
        let value = header(received.headers(), name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    let event = received
        .payload()
        .and_then(|payload| Event::decode(header(received.headers(), "ce_type"), payload).ok());
    Record {
        topic,
        partition: received.partition(),
        offset: received.offset(),
        stamped_at: stamped_at(received),
        account: received.key().and_then(|key| std::str::from_utf8(key).ok()?.parse().ok()),
        is_null: received.payload().is_none(),
        event,
        retry: text("retry_source").zip(text("retry_attempt")).filter(|_| topic == Topic::MailRetry),
        reason: text("dead_letter_reason").filter(|_| topic == Topic::DeadLetter),
    }
}

fn stamped_at(received: &BorrowedMessage<'_>) -> Timestamp {
    let time = received.timestamp().to_millis().and_then(|time| Timestamp::from_millisecond(time).ok());
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}
