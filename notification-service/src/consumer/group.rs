//! The consumer group: client settings, and rebalances as events.
//!
//! librdkafka reports a rebalance inside `recv` and waits for the answer. The callback only passes the rebalance on; the
//! answer comes when the state machine commands it. When the receiver is gone, the consumer is closing, and the callback
//! answers at once.
//!
//! Each rebalance takes all partitions from all members and distributes them anew, so that every member has its share of
//! every topic. `cooperative-sticky` would move fewer partitions, but it balances partitions and not topics. A member that
//! joins later would get all partitions of the first topics by name, and the others would mail no codes of new
//! registrations.

use crate::{mailing::Input, offsets::Partition, record::Lent, status::Status};
use contract::topic::Topic;
use rdkafka::{
    ClientContext, Message, Statistics, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};
use runtime::kafka::{ClientLog, KafkaConfig, Names, headers};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The topics whose records may ask for an email.
pub(super) const TOPICS: [Topic; 3] = [Topic::Created, Topic::Verified, Topic::MailRetry];

/// Passes rebalances to the consumer's loop.
pub(super) struct GroupContext {
    log: ClientLog,
    names: Names,
    rebalances: UnboundedSender<Input<'static>>,
    status: Arc<Status>,
}

/// The Kafka client whose rebalances go into a channel.
pub(super) type GroupClient = StreamConsumer<GroupContext>;

/// How this process takes part in the group.
#[derive(Debug, Clone)]
pub struct GroupConfig {
    /// Name of the group.
    pub group: String,
    /// Name of this member, for static membership.
    pub instance_id: Option<String>,
    /// Octets of waiting records at which partitions are paused.
    pub max_backlog_octets: usize,
    /// How far the clock of a record's writer may differ from the broker's. Beyond it a record counts as not understood.
    pub clock_tolerance: Duration,
}

pub(super) fn client(
    kafka: &KafkaConfig,
    group: &GroupConfig,
    status: Arc<Status>,
) -> KafkaResult<(GroupClient, UnboundedReceiver<Input<'static>>)> {
    let mut config = kafka.consumer();
    config
        .set("group.id", &group.group)
        .set("enable.auto.offset.store", "false")
        .set("partition.assignment.strategy", "roundrobin")
        // The shortest that a broker allows by default. A crashed member's partitions move after this time.
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "500")
        // A broker answers a fetch at the first byte. So this wait only bounds how late a resumed partition is fetched
        // again.
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "50")
        // Prefetch little: pausing a partition discards its prefetched records. Check a full queue again soon.
        .set("queued.min.messages", "2000")
        // Both bound the prefetched bytes: the queue, and one response of each broker.
        .set("queued.max.messages.kbytes", "4096")
        .set("fetch.max.bytes", "4194304")
        .set("fetch.queue.backoff.ms", "5")
        // The lag comes from these statistics.
        .set("statistics.interval.ms", "5000")
        // Topics that this process may not create can appear at any time.
        .set("topic.metadata.refresh.interval.ms", "10000");
    kafka.read_in_own_zone(&mut config);
    if let Some(instance_id) = &group.instance_id {
        config.set("group.instance.id", instance_id);
    }
    let (rebalances, receiver) = unbounded_channel();
    let context = GroupContext { log: ClientLog::default(), names: kafka.names.clone(), rebalances, status };
    Ok((config.create_with_context(context)?, receiver))
}

impl ClientContext for GroupContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = ClientLog::ENABLE_REFRESH_OAUTH_TOKEN;

    fn generate_oauth_token(&self, token_file: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.log.generate_oauth_token(token_file)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let lag = statistics.topics.iter().flat_map(|(name, topic)| {
            let topic_of_ours = self.names.topic_of(name);
            // Negative: not known. For partitions that were given up, librdkafka goes on reporting the last known value.
            let read_here = |state: &str| !matches!(state, "none" | "stopping" | "stopped");
            let known = topic
                .partitions
                .values()
                .filter(move |partition| partition.consumer_lag >= 0 && read_here(&partition.fetch_state));
            known.filter_map(move |partition| {
                let partition_of_ours = Partition { topic: topic_of_ours?, number: partition.partition };
                Some((partition_of_ours, partition.consumer_lag))
            })
        });
        self.status.set_lag(lag.collect());
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigned = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let input = if assigned {
            Input::Assigned(of_ours(partitions, &self.names))
        } else {
            Input::Revoked { lost: consumer.assignment_lost() }
        };
        if self.rebalances.send(input).is_err() {
            let changed = if assigned { consumer.assign(partitions) } else { consumer.unassign() };
            if let Err(error) = changed {
                log::warn!("error" = error.to_string().as_str(); "the answer to a rebalance failed");
            }
        }
    }
}

/// The partitions of a list that belong to this project's topics.
fn of_ours(list: &TopicPartitionList, names: &Names) -> Vec<Partition> {
    let elements = list.elements();
    let of_ours = elements.iter().filter_map(|element| {
        Some(Partition { topic: names.topic_of(element.topic())?, number: element.partition() })
    });
    of_ours.collect()
}

/// A record that arrived. It borrows librdkafka's buffer, which must not be held while the record is processed.
pub(super) fn taken<'a>(record: &'a BorrowedMessage<'_>, names: &Names) -> Option<Input<'a>> {
    let partition = Partition { topic: names.topic_of(record.topic())?, number: record.partition() };
    let timestamp = record.timestamp().to_millis();
    let lent =
        Lent { key: record.key(), payload: record.payload(), timestamp, headers: headers(record.headers()) };
    Some(Input::Taken { partition, offset: record.offset(), lent })
}
