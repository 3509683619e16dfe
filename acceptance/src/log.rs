//! Reads topics, and writes records as no service does.

use contract::{
    account_id::AccountId,
    event::{Event, Mailing, Registered},
    topic::Topic,
};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    message::{Headers, OwnedHeaders, OwnedMessage},
    producer::{BaseProducer, BaseRecord, Producer},
};
use runtime::kafka::owned_headers;
use sandbox::topics;
use std::{collections::HashMap, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);

/// A record with an event, or an account's tombstone.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// The id of its account.
    pub key: String,
    /// `None` for a tombstone.
    pub event: Option<Event>,
}

/// All records of a topic by partition and offset.
///
/// # Panics
/// When the broker does not answer, or a record is no event.
#[must_use]
pub fn read(bootstrap: &str, topic: Topic) -> Vec<Record> {
    let mut records = Vec::new();
    topics::read(bootstrap, &[topic.name()], LIMIT, |record| records.push(Record::of(&record.detach())))
        .expect("the topic is read");
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

/// The event of a registration.
///
/// # Panics
/// When the log has none.
#[must_use]
pub fn registered(bootstrap: &str, id: &str) -> (Mailing, Registered) {
    let mut found = read(bootstrap, Topic::Created).into_iter().filter_map(|record| match record.event {
        Some(Event::Registered(mailing, event)) if event.registration.to_string() == id => {
            Some((mailing, event))
        }
        _ => None,
    });
    found.next().expect("a record of this registration")
}

/// The leader of each partition of a topic.
///
/// # Panics
/// When the broker does not answer.
#[must_use]
pub fn leaders(bootstrap: &str, topic: Topic) -> HashMap<i32, i32> {
    let consumer: BaseConsumer = client(bootstrap).create().expect("a consumer");
    partitions(&consumer, topic)
}

/// The partition of an account's records. The services' producers choose it with librdkafka's partitioner `murmur2_random`:
/// the hash of the id's 36 octets, which are nine whole words.
///
/// # Panics
/// When `partitions` is 0.
#[must_use]
pub fn partition_of(account: AccountId, partitions: usize) -> i32 {
    let key = account.to_string();
    const M: u32 = 0x5bd1_e995;
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ (k >> 24)).wrapping_mul(M)
    };
    let word = |octets: &[u8]| octets.iter().rev().fold(0, |word, octet| (word << 8) | u32::from(*octet));
    let seed = 0x9747_b28c ^ u32::try_from(key.len()).expect("a short key");
    let words = key.as_bytes().chunks_exact(4).map(word);
    let mut hash = words.fold(seed, |hash, word| hash.wrapping_mul(M) ^ mix(word));
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^= hash >> 15;
    let partition = usize::try_from(hash & 0x7fff_ffff).expect("31 bits") % partitions;
    i32::try_from(partition).expect("a small number")
}

fn partitions(consumer: &BaseConsumer, topic: Topic) -> HashMap<i32, i32> {
    let metadata = consumer.fetch_metadata(Some(topic.name()), LIMIT).expect("metadata");
    metadata.topics()[0].partitions().iter().map(|it| (it.id(), it.leader())).collect()
}

/// A foreign producer that writes to the partitions that the services use.
pub struct Writer(BaseProducer);

impl Writer {
    /// Creates the producer.
    ///
    /// # Panics
    /// When librdkafka refuses its configuration.
    #[must_use]
    pub fn new(bootstrap: &str) -> Self {
        let mut config = client(bootstrap);
        Self(config.set("partitioner", "murmur2_random").create().expect("a producer"))
    }

    /// Writes an event; `flush` waits for the ack.
    pub fn write(&self, event: &Event) {
        let encoded = event.encode().expect("an event");
        let record = BaseRecord::to(encoded.topic.name()).key(&encoded.key).payload(&encoded.payload);
        self.send(record.headers(owned_headers(&encoded.headers)));
    }

    /// Writes an account's tombstone; `flush` waits for the ack.
    pub fn forget(&self, account: AccountId) {
        let key = account.to_string();
        self.send(BaseRecord::to(Topic::Verified.name()).key(&key));
    }

    /// Waits for all acks.
    ///
    /// # Panics
    /// When they do not come in time.
    pub fn flush(&self) {
        self.0.flush(LIMIT).expect("written");
    }

    fn send(&self, mut record: BaseRecord<'_, String, Vec<u8>>) {
        while let Err((_, refused)) = self.0.send(record) {
            // The queue is full.
            self.0.poll(Duration::from_millis(10));
            record = refused;
        }
    }
}

impl Record {
    fn of(record: &OwnedMessage) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let kind = |headers: &OwnedHeaders| {
            headers.iter().find(|it| it.key == "ce_type").and_then(|it| it.value).map(<[u8]>::to_vec)
        };
        let event = record.payload().map(|payload| {
            let kind = record.headers().and_then(kind);
            Event::decode(kind.as_deref(), payload).expect("an event")
        });
        let key = record.key().map(text).expect("a key");
        Self { partition: record.partition(), offset: record.offset(), key, event }
    }
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}
