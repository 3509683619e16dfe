//! The offsets at which the partitions of the log begin and end.
//!
//! They are asked for on a connection of its own: on the follower's
//! connection, each answer would queue behind a fetch that waits for records.

use contract::topic::Topic;
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use runtime::kafka::{ClientLog, KafkaConfig, KafkaWatch, Names, serve_token};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The topics that a user service reads and writes.
pub(crate) const TOPICS: [Topic; 3] = [Topic::Created, Topic::Activity, Topic::Verified];
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between two tries.
const TRY_PAUSE: Duration = Duration::from_millis(50);

/// How long the client waits before it checks again whether it may fetch, in milliseconds.
const FETCH_BACKOFF: &str = "20";
/// The largest reply of a broker to a fetch, in octets. A single record that is larger comes alone.
const LARGEST_FETCH: &str = "16777216";

/// One partition of one of our topics.
pub type Partition = (Topic, i32);
/// An offset for each partition.
pub type Offsets = HashMap<Partition, i64>;

/// Asks the brokers for offsets. All its functions block for a few seconds at most.
pub(crate) struct Inquirer {
    client: BaseConsumer<ClientLog>,
    names: Names,
}

/// The settings that all clients that read the log have in common.
pub(crate) fn settings(kafka: &KafkaConfig) -> ClientConfig {
    let mut settings = kafka.consumer();
    settings
        // `assign` needs a group id; nothing is committed under it.
        .set("group.id", kafka.names.group("user-service-view"))
        .set("enable.auto.offset.store", "false")
        // Bounds the memory of each reader: this queue, and a reply of each broker beside it.
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.max.bytes", LARGEST_FETCH)
        .set("fetch.queue.backoff.ms", FETCH_BACKOFF)
        // Kafka answers a waiting fetch as soon as there is a record. Other brokers may look
        // again only at the end of the wait, and a longer one would delay every verification.
        .set("fetch.wait.max.ms", "100");
    settings
}

impl Inquirer {
    /// Makes the client for these queries.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(crate) fn new(kafka: &KafkaConfig) -> KafkaResult<Self> {
        let client = settings(kafka).create_with_context(ClientLog::default())?;
        Ok(Self { client, names: kafka.names.clone() })
    }

    /// Whether the broker answers this client. Blocks for a second at most.
    pub(crate) fn broker_answers(&self, watch: &KafkaWatch) -> bool {
        serve_token(&self.client);
        watch.ask(self.client.client())
    }

    /// The offset from which each partition of these topics has to be read, and its present log-end offset.
    /// A topic is read from the time that `since` names, or from its beginning.
    ///
    /// # Errors
    /// When the brokers don't answer within some seconds.
    pub(crate) fn span(
        &self,
        topics: &[Topic],
        since: impl Fn(Topic) -> Option<Timestamp>,
    ) -> KafkaResult<(Offsets, Offsets)> {
        serve_token(&self.client);
        let mut partitions = Vec::new();
        for topic in topics.iter().copied() {
            partitions.extend((0..self.partition_count(topic)?).map(|partition| (topic, partition)));
        }
        let end = self.offsets(&partitions, Offset::End, QUERY_TIMEOUT)?;
        let mut start = self.offsets(&partitions, Offset::Beginning, QUERY_TIMEOUT)?;
        for topic in topics.iter().copied() {
            let Some(since) = since(topic) else { continue };
            let by_time: Vec<Partition> = partitions.iter().copied().filter(|(of, _)| *of == topic).collect();
            let found = self.offsets(&by_time, Offset::Offset(since.as_millisecond()), QUERY_TIMEOUT)?;
            for partition in by_time {
                // A partition without a record since then has nothing to read yet.
                let first = found.get(&partition).or_else(|| end.get(&partition)).copied();
                if let (Some(start), Some(first)) = (start.get_mut(&partition), first) {
                    *start = first.max(*start);
                }
            }
        }
        Ok((start, end))
    }

    /// The present log-end offsets of these partitions. It tries for some seconds, because
    /// a partition may be between two leaders. librdkafka looks every second for the next
    /// leader, in the topics that it has been asked for by name; `span` does that.
    ///
    /// # Errors
    /// When the brokers don't answer within that time.
    pub(crate) fn ends(&self, partitions: &[Partition]) -> KafkaResult<Offsets> {
        let began = Instant::now();
        loop {
            serve_token(&self.client);
            let ends = self.offsets(partitions, Offset::End, QUERY_TIMEOUT.saturating_sub(began.elapsed()));
            if ends.is_ok() || began.elapsed().saturating_add(TRY_PAUSE) > QUERY_TIMEOUT {
                return ends;
            }
            std::thread::sleep(TRY_PAUSE);
        }
    }

    fn partition_count(&self, topic: Topic) -> KafkaResult<i32> {
        let name = self.names.topic(topic);
        let metadata = self.client.fetch_metadata(Some(&name), QUERY_TIMEOUT)?;
        let found = metadata.topics().iter().find(|found| found.name() == name);
        match found.map(|found| (found.error(), found.partitions().len())) {
            Some((None, count)) if count > 0 => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
            Some((Some(code), _)) => Err(KafkaError::MetadataFetch(code.into())),
            _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
        }
    }

    /// The offsets at which these partitions begin or end. For a time (in milliseconds
    /// since 1970): the offsets of the first records that are not older, without the
    /// partitions that have none. Sends one request to each broker that leads some of them.
    fn offsets(&self, partitions: &[Partition], wanted: Offset, within: Duration) -> KafkaResult<Offsets> {
        let mut query = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            query.add_partition_offset(&self.names.topic(*topic), *partition, wanted)?;
        }
        let mut offsets = Offsets::with_capacity(partitions.len());
        for found in self.client.offsets_for_times(query, within)?.elements() {
            found.error()?;
            let Some(topic) = self.names.topic_of(found.topic()) else { continue };
            match (found.offset(), wanted) {
                (Offset::Offset(offset), _) => {
                    offsets.insert((topic, found.partition()), offset);
                }
                (Offset::End, Offset::Offset(_)) => {}
                _ => return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OffsetNotAvailable)),
            }
        }
        Ok(offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::{
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
    };
    use runtime::env::Env;

    const PARTITIONS: [Partition; 3] = [(Topic::Created, 0), (Topic::Activity, 0), (Topic::Verified, 0)];

    type Cluster = MockCluster<'static, DefaultProducerContext>;

    /// An inquirer that knows the topics, each of one partition.
    fn inquirer(cluster: &Cluster) -> Inquirer {
        for (topic, _) in PARTITIONS {
            cluster.create_topic(topic.name(), 1, 1).unwrap();
        }
        let inquirer = Inquirer::new(&kafka(cluster)).unwrap();
        inquirer.span(&TOPICS, |_| Some(Timestamp::now())).unwrap();
        inquirer
    }

    fn kafka(cluster: &Cluster) -> KafkaConfig {
        KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", cluster.bootstrap_servers())]))
    }

    fn give_leader(cluster: &Cluster, partitions: &[Partition], leader: Option<i32>) {
        for (topic, partition) in partitions {
            cluster.partition_leader(topic.name(), *partition, leader).unwrap();
        }
    }

    #[test]
    fn the_ends_are_after_the_last_records() {
        let cluster = MockCluster::new(1).unwrap();
        let inquirer = inquirer(&cluster);
        let producer: BaseProducer = kafka(&cluster).client().create().unwrap();
        for topic in [Topic::Created, Topic::Created, Topic::Activity] {
            producer.send(BaseRecord::<(), _>::to(topic.name()).payload("p")).unwrap();
        }
        producer.flush(QUERY_TIMEOUT).unwrap();
        let ends = [((Topic::Created, 0), 2), ((Topic::Activity, 0), 1), ((Topic::Verified, 0), 0)];
        assert_eq!(inquirer.ends(&PARTITIONS).unwrap(), ends.into());
    }

    #[test]
    fn a_partition_that_was_seen_without_a_leader_is_found_when_it_has_one() {
        let cluster = MockCluster::new(1).unwrap();
        let inquirer = inquirer(&cluster);
        give_leader(&cluster, &PARTITIONS, None);
        // The first error makes the client look for leaders. It uses what it finds until it looks again.
        let seen = || inquirer.offsets(&PARTITIONS, Offset::End, QUERY_TIMEOUT).unwrap_err();
        while seen().rdkafka_error_code() != Some(RDKafkaErrorCode::UnknownPartition) {}

        give_leader(&cluster, &PARTITIONS, Some(1));
        assert_eq!(inquirer.ends(&PARTITIONS).unwrap().len(), PARTITIONS.len());
    }

    #[test]
    fn the_ends_are_not_known_as_long_as_one_partition_has_no_leader() {
        let cluster = MockCluster::new(1).unwrap();
        let inquirer = inquirer(&cluster);
        give_leader(&cluster, &PARTITIONS[1..2], None);
        let began = Instant::now();
        inquirer.ends(&PARTITIONS).unwrap_err();
        assert!(began.elapsed() < 2 * QUERY_TIMEOUT, "{:?}", began.elapsed());
    }

    #[test]
    fn a_leader_that_goes_away_is_not_waited_for() {
        let cluster = MockCluster::new(2).unwrap();
        let inquirer = inquirer(&cluster);
        give_leader(&cluster, &PARTITIONS, Some(1));
        inquirer.ends(&PARTITIONS).unwrap();

        give_leader(&cluster, &PARTITIONS, Some(2));
        cluster.broker_down(1).unwrap();
        assert_eq!(inquirer.ends(&PARTITIONS).unwrap().len(), PARTITIONS.len());
    }
}
