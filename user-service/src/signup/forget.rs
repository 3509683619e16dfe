//! Forget: writes the tombstone after which an account is new.
//!
//! A verification in flight may be written after the tombstone. So this waits until none can follow any more,
//! reads the records after the tombstone, and writes another one if the account was verified meanwhile.

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
use runtime::{
    kafka::{ClientLog, KafkaConfig, serve_token},
    spans::Spans,
};
use std::time::{Duration, Instant};

/// How long the ack of a tombstone may take. The command's first record waits for
/// a connection and a producer id, and no client waits for it with a deadline.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long reading to the topic's log-end offset may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

/// Forgets an account. Takes at least `PUBLISH_TIMEOUT` + `MAX_CLOCK_SKEW`.
///
/// # Errors
/// When a tombstone is not acknowledged, or the records after it can't be read: the command must be run again.
pub(crate) async fn forget(config: &Config, id: AccountId) -> anyhow::Result<()> {
    let publisher = Publisher::new(&config.kafka, ACK_TIMEOUT, Spans::default())?;
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

/// Whether the newest record of the account, from the tombstone on, is a verification. Blocks.
fn was_verified_after(kafka: &KafkaConfig, tombstone: Written, id: AccountId) -> anyhow::Result<bool> {
    let mut settings = kafka.consumer();
    // `assign` needs a group id; nothing is committed under it.
    settings
        .set("group.id", kafka.names.group("user-service-forget"))
        .set("enable.auto.offset.store", "false");
    let consumer: BaseConsumer<ClientLog> = settings.create_with_context(ClientLog::default())?;
    serve_token(&consumer);
    let (topic, partition) = (kafka.names.topic(tombstone.topic), tombstone.partition);
    let topic = topic.as_str();
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
            // Transaction markers have offsets, and the client passes them to nobody.
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
