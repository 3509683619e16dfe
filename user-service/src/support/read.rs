//! Reads topics to the log-end offsets of a moment, and hands over the records that are asked for. No trace is left in any
//! consumer group, and no record is kept.

use crate::log_ends::{Inquirer, Offsets, Partition, settings};
use anyhow::{anyhow, bail};
use contract::topic::Topic;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use runtime::kafka::{ClientLog, KafkaConfig, Names, headers};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How long offsets are asked for again after an error.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the brokers may send nothing. A topic is read for as long as they send records.
const SILENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

/// A record, as far as it may be of interest.
pub(super) struct Found<'a> {
    pub(super) topic: Topic,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Milliseconds since 1970.
    pub(super) timestamp: Option<i64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) payload: Option<&'a [u8]>,
    message: &'a BorrowedMessage<'a>,
}

/// Why a broker does not give a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Withheld {
    #[error("no right to read it (docs/operations.md, Rights in Kafka)")]
    NoRight,
    #[error("it does not exist")]
    Missing,
}

/// A topic could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// The broker does not give it.
    #[error("{0}")]
    Withheld(Withheld),
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// The log, for one pass.
#[derive(Clone)]
pub(super) struct Log {
    consumer: Arc<BaseConsumer<ClientLog>>,
    inquirer: Arc<Inquirer>,
    names: Names,
}

impl Found<'_> {
    /// Its headers, in their order.
    pub(super) fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        headers(self.message.headers())
    }
}

impl Log {
    pub(super) fn new(kafka: &KafkaConfig, inquirer: Arc<Inquirer>) -> anyhow::Result<Self> {
        let consumer = settings(kafka).create_with_context(ClientLog::default())?;
        Ok(Self { consumer: Arc::new(consumer), inquirer, names: kafka.names.clone() })
    }

    /// The offsets at which the partitions of a topic begin and end. Blocks for some seconds at most.
    pub(super) fn span(&self, topic: Topic) -> Result<(Offsets, Offsets), Unread> {
        let began = Instant::now();
        loop {
            match self.inquirer.span(&[topic], |_| None) {
                // A partition may be between two leaders.
                Err(error) if withheld(&error).is_none() && began.elapsed() < PATIENCE => {
                    std::thread::sleep(POLL);
                }
                span => return span.map_err(|error| unread(&error, topic)),
            }
        }
    }

    /// Calls `each` with all records of a topic from `start` to `end`. Blocks.
    pub(super) fn read(
        &self,
        topic: Topic,
        (start, end): (&Offsets, &Offsets),
        mut each: impl FnMut(&Found<'_>) -> anyhow::Result<()>,
    ) -> Result<(), Unread> {
        let mut missing: Offsets = end.clone();
        missing.retain(|partition, end| start.get(partition).is_some_and(|start| start < end));
        self.assign(start).map_err(|error| unread(&error, topic))?;
        let (mut heard, mut trouble) = (Instant::now(), None);
        while !missing.is_empty() {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    if let Some(found) = found(&message, &self.names) {
                        let place = (found.topic, found.partition);
                        if missing.contains_key(&place) {
                            each(&found)?;
                            pass(&mut missing, place, found.offset.saturating_add(1));
                        }
                    }
                }
                Some(Err(error)) if withheld(&error).is_some() => return Err(unread(&error, topic)),
                // The client recovers by itself, if the brokers come back in time.
                Some(Err(error)) => trouble = Some(error),
                // The last offsets may be markers of transactions, which the client passes to nobody.
                None => self.positions(|place, position| pass(&mut missing, place, position)),
            }
            if heard.elapsed() > SILENCE {
                let why = trouble.map_or_else(|| "it sends nothing".to_owned(), |error| error.to_string());
                let name = topic.name();
                return Err(Unread::Failed(anyhow!(
                    "{name} could not be read to its end; the broker: {why}"
                )));
            }
        }
        Ok(())
    }

    /// Goes on from these offsets until `stop` is cancelled. Calls `each` with every record, and `passed` with the offset behind
    /// it, in the order of each partition. Blocks.
    pub(super) fn follow(
        &self,
        from: &Offsets,
        stop: &CancellationToken,
        each: impl Fn(&Found<'_>),
        passed: impl Fn(Partition, i64),
    ) -> anyhow::Result<()> {
        self.assign(from)?;
        while !stop.is_cancelled() {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    if let Some(found) = found(&message, &self.names) {
                        each(&found);
                        passed((found.topic, found.partition), found.offset.saturating_add(1));
                    }
                }
                Some(Err(error)) if withheld(&error).is_some() => bail!(error),
                Some(Err(_)) => {}
                None => self.positions(&passed),
            }
        }
        Ok(())
    }

    fn assign(&self, from: &Offsets) -> Result<(), KafkaError> {
        let mut partitions = TopicPartitionList::with_capacity(from.len());
        for ((topic, partition), offset) in from {
            partitions.add_partition_offset(
                &self.names.topic(*topic),
                *partition,
                Offset::Offset(*offset),
            )?;
        }
        self.consumer.assign(&partitions)
    }

    fn positions(&self, mut each: impl FnMut(Partition, i64)) {
        let Ok(positions) = self.consumer.position() else { return };
        for at in positions.elements() {
            if let (Some(topic), Offset::Offset(offset)) = (self.names.topic_of(at.topic()), at.offset()) {
                each((topic, at.partition()), offset);
            }
        }
    }
}

fn pass(missing: &mut Offsets, place: Partition, next: i64) {
    if missing.get(&place).is_some_and(|end| next >= *end) {
        missing.remove(&place);
    }
}

fn found<'a>(message: &'a BorrowedMessage<'a>, names: &Names) -> Option<Found<'a>> {
    Some(Found {
        topic: names.topic_of(message.topic())?,
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key(),
        payload: message.payload(),
        message,
    })
}

fn withheld(error: &KafkaError) -> Option<Withheld> {
    use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownTopic, UnknownTopicOrPartition};
    match error.rdkafka_error_code()? {
        TopicAuthorizationFailed => Some(Withheld::NoRight),
        UnknownTopic | UnknownTopicOrPartition => Some(Withheld::Missing),
        _ => None,
    }
}

fn unread(error: &KafkaError, topic: Topic) -> Unread {
    match withheld(error) {
        Some(why) => Unread::Withheld(why),
        None => Unread::Failed(anyhow!("the broker does not show {}: {error}", topic.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::{bindings::rd_kafka_resp_err_t, mocking::MockCluster};
    use runtime::env::Env;

    fn log(brokers: &str) -> Log {
        let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", brokers)]));
        let inquirer = Inquirer::new(&kafka).unwrap();
        Log::new(&kafka, Arc::new(inquirer)).unwrap()
    }

    #[test]
    fn a_topic_that_is_withheld_is_no_broker_that_is_away() {
        let cluster = MockCluster::new(1).unwrap();
        let topic = Topic::DeadLetter;
        cluster.create_topic(topic.name(), 1, 1).unwrap();
        let log = log(&cluster.bootstrap_servers());
        log.span(topic).unwrap();
        cluster
            .topic_error(topic.name(), rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
            .unwrap();
        let withheld = log.span(topic).unwrap_err();
        assert!(matches!(withheld, Unread::Withheld(Withheld::NoRight)), "{withheld}");
        cluster.broker_down(1).unwrap();
        let away = log.span(topic).unwrap_err();
        assert!(matches!(away, Unread::Failed(_)), "{away}");
    }
}
