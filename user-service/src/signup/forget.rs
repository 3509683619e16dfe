//! Forget: the tombstone that makes an account new.
//!
//! A verification that is under way may be written after the tombstone. So this waits until none can be any more, reads what
//! came after it, and writes another one if the account was verified meanwhile.

use crate::{
    config::Config,
    publisher::{Publisher, Written},
};
use anyhow::{Context as _, bail};
use contract::account_id::AccountId;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use runtime::kafka::KafkaConfig;
use std::time::{Duration, Instant};

/// How long the ack of a tombstone may take: the command's first record waits for a connection and a producer id, and nobody
/// waits for an answer with a deadline.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the topic's end may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

/// Forgets an account. Takes `PUBLISH_TIMEOUT` and `MAX_CLOCK_SKEW` at least.
///
/// # Errors
/// When a tombstone is not acknowledged, or what came after it can't be read: the command is to be run again.
pub(crate) async fn forget(config: &Config, id: AccountId) -> anyhow::Result<()> {
    let publisher = Publisher::new(&config.kafka, ACK_TIMEOUT)?;
    let wait = config.rules.clock_tolerance();
    loop {
        let tombstone = publisher.forget(id).await?;
        log::info!(
            "the tombstone is written; looking in {wait:?} whether the account was verified meanwhile"
        );
        tokio::time::sleep(wait).await;
        let kafka = config.kafka.clone();
        let is_back = tokio::task::spawn_blocking(move || was_verified_after(&kafka, tombstone, id)).await?;
        if !is_back.context("what came after the tombstone can't be read")? {
            return Ok(());
        }
        log::info!("it was verified meanwhile: forgetting it again");
    }
}

/// Whether the newest record of the account after the tombstone is none. Blocks.
fn was_verified_after(kafka: &KafkaConfig, tombstone: Written, id: AccountId) -> anyhow::Result<bool> {
    let mut settings = kafka.consumer();
    // `assign` needs a group id; nothing is committed under it.
    settings.set("group.id", "user-service-forget").set("enable.auto.offset.store", "false");
    let consumer: BaseConsumer = settings.create()?;
    let (topic, partition) = (tombstone.topic.name(), tombstone.partition);
    let (first, end) = consumer.fetch_watermarks(topic, partition, READ_TIMEOUT)?;
    let mut next = tombstone.offset.max(first);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(next))?;
    consumer.assign(&assignment)?;
    let (key, began) = (id.to_string(), Instant::now());
    let mut is_verified = false;
    while next < end {
        if began.elapsed() > READ_TIMEOUT {
            bail!("the end of {topic} was not reached in {READ_TIMEOUT:?}");
        }
        match consumer.poll(POLL) {
            Some(record) => {
                let record = record?;
                next = record.offset().saturating_add(1);
                if record.key() == Some(key.as_bytes()) {
                    is_verified = record.payload().is_some();
                }
            }
            // Markers of transactions have offsets and are passed on to nobody.
            None => {
                if let Some(Offset::Offset(position)) =
                    consumer.position()?.find_partition(topic, partition).map(|at| at.offset())
                {
                    next = next.max(position);
                }
            }
        }
    }
    Ok(is_verified)
}
