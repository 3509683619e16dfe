//! The log: topics, partitions, offsets, and the time stamp that a topic gives a record.

use contract::topic::Topic;
use jiff::Timestamp;
use notification_service::simulated::{Header, Lent, Partition};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

/// The topics that user services read and write.
pub(crate) const OF_USERS: [Topic; 3] = [Topic::Created, Topic::Activity, Topic::Verified];
/// The topics that the group reads.
pub(crate) const SOURCES: [Topic; 3] = [Topic::Created, Topic::Verified, Topic::MailRetry];

/// A record as it stands in a topic.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Vec<Header>,
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
}

/// A record on its way to its topic.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) topic: Topic,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Vec<Header>,
    /// By its writer's clock.
    pub(crate) created_at: Timestamp,
}

/// All partitions with their records; an offset is an index. Where a topic was compacted there is none.
#[derive(Debug)]
pub(crate) struct Broker {
    count: i32,
    partitions: BTreeMap<Partition, Vec<Option<Rc<Stored>>>>,
}

impl Stored {
    /// As a client lends it.
    pub(crate) fn lend(&self) -> Lent<'_> {
        Lent {
            key: self.key.as_deref(),
            payload: self.payload.as_deref(),
            timestamp: Some(self.timestamp),
            headers: self.headers.iter().map(|it| (it.name.as_str(), it.value.as_deref())).collect(),
        }
    }
}

impl Broker {
    /// `count`: the partitions of each topic.
    pub(crate) fn new(count: i32) -> Self {
        Self { count, partitions: BTreeMap::new() }
    }

    /// All partitions that the group reads.
    pub(crate) fn read_by_the_group(&self) -> impl Iterator<Item = Partition> + use<> {
        self.partitions_of(SOURCES)
    }

    /// All partitions of these topics.
    pub(crate) fn partitions_of(&self, topics: [Topic; 3]) -> impl Iterator<Item = Partition> + use<> {
        let numbers = 0..self.count;
        topics
            .into_iter()
            .flat_map(move |topic| numbers.clone().map(move |number| Partition { topic, number }))
    }

    /// Where the partitions of the user services end.
    pub(crate) fn ends(&self) -> BTreeMap<Partition, i64> {
        self.partitions_of(OF_USERS).map(|partition| (partition, self.log_end(partition))).collect()
    }

    /// The first offset of a partition whose record is not older than this time.
    pub(crate) fn first_since(&self, partition: Partition, since: Timestamp) -> i64 {
        let records = self.partitions.get(&partition).map(Vec::as_slice).unwrap_or_default();
        let is_older = |record: &Option<Rc<Stored>>| {
            record.as_ref().is_none_or(|record| record.timestamp < since.as_millisecond())
        };
        i64::try_from(records.partition_point(is_older)).unwrap_or(i64::MAX)
    }

    /// Records that compaction has removed, in the partition of that key.
    pub(crate) fn skip(&mut self, topic: Topic, key: &[u8], count: usize) {
        let partition = Partition { topic, number: number_of(Some(key), self.count) };
        self.partitions.entry(partition).or_default().extend(std::iter::repeat_n(None, count));
    }

    /// Appends a record to the partition that its key decides; `now` by the broker's clock.
    pub(crate) fn append(&mut self, record: Outgoing, now: Timestamp) -> (Partition, i64, Rc<Stored>) {
        let Outgoing { topic, key, payload, headers, created_at } = record;
        let number = number_of(key.as_deref(), self.count);
        let partition = Partition { topic, number };
        // Copies have the time of their writer; see `Topic::settings`.
        let timestamp = if topic.takes_copies() { created_at } else { now }.as_millisecond();
        let stored = Rc::new(Stored { key, payload, headers, timestamp });
        let records = self.partitions.entry(partition).or_default();
        records.push(Some(Rc::clone(&stored)));
        (partition, end(records) - 1, stored)
    }

    /// The record at that offset, if there is one.
    pub(crate) fn get(&self, partition: Partition, offset: i64) -> Option<Rc<Stored>> {
        self.partitions.get(&partition)?.get(usize::try_from(offset).ok()?)?.clone()
    }

    /// The offset that the next record gets.
    pub(crate) fn log_end(&self, partition: Partition) -> i64 {
        self.partitions.get(&partition).map_or(0, |records| end(records))
    }
}

/// The partition of a key.
pub(crate) fn number_of(key: Option<&[u8]>, count: i32) -> i32 {
    let mut hash = DefaultHasher::new();
    key.hash(&mut hash);
    i32::try_from(hash.finish() % u64::from(count.unsigned_abs())).unwrap_or_default()
}

fn end(records: &[Option<Rc<Stored>>]) -> i64 {
    i64::try_from(records.len()).unwrap_or(i64::MAX)
}
