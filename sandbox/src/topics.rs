//! Reads topics to their end, as tests and their tools look into a log.

use anyhow::{Context as _, ensure};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::BorrowedMessage,
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(100);

/// Reads topics from their start to the present log-end offsets, and shows each record. Those of a partition come in their order.
/// Blocks, and commits nothing.
///
/// # Errors
/// When the broker does not answer, or not all records arrive within `limit`.
pub fn read(
    bootstrap: &str,
    topics: &[&str],
    limit: Duration,
    mut show: impl FnMut(&BorrowedMessage<'_>),
) -> anyhow::Result<()> {
    let began = Instant::now();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "a-look-into-the-log")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .create()
        .context("no Kafka consumer")?;
    let (mut begins, mut missing) = (TopicPartitionList::new(), HashMap::new());
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), limit)?;
        for partition in metadata.topics().iter().flat_map(|found| found.partitions()) {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), limit)?;
            if low < high {
                begins.add_partition_offset(topic, partition.id(), Offset::Offset(low))?;
                missing.insert(((*topic).to_owned(), partition.id()), high);
            }
        }
    }
    consumer.assign(&begins)?;
    while !missing.is_empty() {
        ensure!(began.elapsed() < limit, "not read to their log-end offsets in time: {missing:?}");
        // librdkafka tries again after an error.
        let Some(Ok(record)) = consumer.poll(POLL) else { continue };
        let partition = (record.topic().to_owned(), record.partition());
        if missing.get(&partition).is_some_and(|end| record.offset() + 1 >= *end) {
            missing.remove(&partition);
        }
        show(&record);
    }
    Ok(())
}
