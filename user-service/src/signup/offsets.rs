//! Where the partitions of the log begin and end.
//!
//! Asked on a connection of its own: on the follower's every answer would queue behind a fetch that waits for records.

use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use shared::{
    kafka::{ClientLog, KafkaWatch},
    topic::Topic,
};
use std::{collections::HashMap, time::Duration};

const TOPICS: [Topic; 3] = [Topic::Created, Topic::Activity, Topic::Verified];
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// One partition of one of our topics.
pub(super) type Partition = (Topic, i32);
/// An offset for each partition.
pub(super) type Offsets = HashMap<Partition, i64>;

/// Asks the broker for offsets. All its functions block for a few seconds at most.
pub(super) struct Inquirer(BaseConsumer<ClientLog>);

impl Inquirer {
    /// Makes a client of its own.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(super) fn new(settings: &ClientConfig) -> KafkaResult<Self> {
        settings.create_with_context(ClientLog::default()).map(Self)
    }

    /// Whether the broker answers this client. Blocks for a second at most.
    pub(super) fn broker_answers(&self, watch: &KafkaWatch) -> bool {
        watch.ask(self.0.client())
    }

    /// From where each partition has to be read, and its end as of now: the topic of verified accounts from its
    /// beginning, the others from this time.
    pub(super) fn span(&self, since: Timestamp) -> KafkaResult<(Offsets, Offsets)> {
        let (mut start, mut end) = (Offsets::new(), Offsets::new());
        for topic in TOPICS {
            for partition in 0..self.partition_count(topic)? {
                let (low, high) = self.watermarks(topic, partition)?;
                start.insert((topic, partition), low);
                end.insert((topic, partition), high);
            }
        }
        let mut times = TopicPartitionList::new();
        for (topic, partition) in start.keys().filter(|(topic, _)| *topic != Topic::Verified) {
            times.add_partition_offset(topic.name(), *partition, Offset::Offset(since.as_millisecond()))?;
        }
        for found in self.0.offsets_for_times(times, QUERY_TIMEOUT)?.elements() {
            found.error()?;
            let Some(topic) = Topic::from_name(found.topic()) else { continue };
            let partition = (topic, found.partition());
            let (low, high) = (start.get(&partition).copied(), end.get(&partition).copied());
            // Past the end the look-up by time answers `End`.
            let first = match found.offset() {
                Offset::Offset(offset) => low.map(|low| offset.max(low)),
                _ => high,
            };
            start.extend(first.map(|first| (partition, first)));
        }
        Ok((start, end))
    }

    /// The ends of these partitions as of now.
    pub(super) fn ends<'a>(&self, partitions: impl Iterator<Item = &'a Partition>) -> KafkaResult<Offsets> {
        partitions
            .map(|&(topic, partition)| Ok(((topic, partition), self.watermarks(topic, partition)?.1)))
            .collect()
    }

    fn partition_count(&self, topic: Topic) -> KafkaResult<i32> {
        let metadata = self.0.fetch_metadata(Some(topic.name()), QUERY_TIMEOUT)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic.name());
        match found.map(|found| (found.error(), found.partitions().len())) {
            Some((None, count)) if count > 0 => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
            Some((Some(code), _)) => Err(KafkaError::MetadataFetch(code.into())),
            _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
        }
    }

    fn watermarks(&self, topic: Topic, partition: i32) -> KafkaResult<(i64, i64)> {
        self.0.fetch_watermarks(topic.name(), partition, QUERY_TIMEOUT)
    }
}
