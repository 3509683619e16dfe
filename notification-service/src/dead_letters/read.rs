//! Reads the dead-letter topic from its start to the present log-end offsets, without a trace in any consumer group.

use super::letter::Letter;
use crate::{
    dead_letter::RESOLVED,
    header::{self, Header},
};
use anyhow::{Context, bail};
use contract::topic::Topic;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use runtime::kafka::{self, ClientLog, KafkaConfig};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Time limit for each answer of the broker.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The dead letters without a marker, by partition and offset.
pub(super) async fn unresolved(kafka: &KafkaConfig) -> anyhow::Result<Vec<Letter>> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || read(&kafka)).await.context("reading ended in a bug")?
}

fn read(kafka: &KafkaConfig) -> anyhow::Result<Vec<Letter>> {
    let topic = &kafka.names.topic(Topic::DeadLetter);
    let consumer: BaseConsumer<ClientLog> = kafka
        .consumer()
        // The client needs it to assign partitions; nothing is ever committed.
        .set("group.id", kafka.names.group("dead-letters-command"))
        .create_with_context(ClientLog::default())?;
    kafka::serve_token(&consumer);
    let mut ends = ends(&consumer, topic)?;
    let mut start = TopicPartitionList::new();
    for partition in ends.keys() {
        start.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&start)?;
    let mut letters = BTreeMap::new();
    let mut heard = Instant::now();
    while !ends.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(record) => {
                let record = record.context("reading the dead-letter topic")?;
                heard = Instant::now();
                let place = (record.partition(), record.offset());
                let headers = headers(&record);
                match resolved(&headers) {
                    // A marker resolves one offset. A letter that was written again later stays.
                    Some(offset) => drop(letters.remove(&(record.partition(), offset))),
                    None => {
                        let (key, payload) =
                            (record.key().map(<[u8]>::to_vec), record.payload().map(<[u8]>::to_vec));
                        letters.insert(place, Letter::new(place, key, payload, headers));
                    }
                }
                if ends.get(&place.0).is_some_and(|end| place.1 + 1 >= *end) {
                    ends.remove(&place.0);
                }
            }
            None => {
                // The last offsets may be markers of transactions, which the client does not return.
                for at in consumer.position()?.elements() {
                    let Offset::Offset(next) = at.offset() else { continue };
                    ends.retain(|partition, end| at.partition() != *partition || next < *end);
                }
                if !ends.is_empty() && heard.elapsed() > TIMEOUT {
                    bail!("the broker does not answer");
                }
            }
        }
    }
    Ok(letters.into_values().collect())
}

/// The log-end offset of each partition that is not empty.
fn ends(consumer: &BaseConsumer<ClientLog>, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).context("the broker does not answer")?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let mut ends = BTreeMap::new();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
        if low < high {
            ends.insert(partition.id(), high);
        }
    }
    Ok(ends)
}

fn resolved(headers: &[Header]) -> Option<i64> {
    header::text(headers, RESOLVED)?.parse().ok()
}

fn headers(record: &impl Message<Headers = rdkafka::message::BorrowedHeaders>) -> Vec<Header> {
    kafka::headers(record.headers())
        .into_iter()
        .map(|(name, value)| Header { name: name.to_owned(), value: value.map(<[u8]>::to_vec) })
        .collect()
}
