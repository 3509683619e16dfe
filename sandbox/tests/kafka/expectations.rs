//! What the project expects of any Kafka. The embedded broker (in `sandbox`) and Apache Kafka (in `acceptance`) pass the
//! same list of tests, through librdkafka, or byte by byte where librdkafka would not send a request.
//!
//! Each expectation has topics and groups of its own, so that all of them can share a broker.

use rdkafka::{
    ClientConfig, Offset, Timestamp, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
    types::RDKafkaErrorCode,
};
use std::time::{Duration, Instant};

pub(crate) mod compaction;
pub(crate) mod groups;
pub(crate) mod raw;
pub(crate) mod records;
pub(crate) mod times;
pub(crate) mod topics;

/// Passes the list of all expectations to a macro that makes tests of them.
macro_rules! each_expectation {
    ($make_tests:ident) => {
        $make_tests! {
            records::a_record_comes_back_with_key_value_headers_and_timestamp,
            records::a_null_value_stays_null,
            records::an_idempotent_producer_writes_each_record_once_and_in_order,
            records::all_kinds_of_acks_are_written,
            records::a_record_that_is_larger_than_the_topic_takes_is_refused,
            records::a_compacted_topic_takes_no_record_without_a_key,
            records::records_in_compressed_batches_come_back,
            records::watermarks_tell_where_a_partition_ends,
            records::deleted_records_move_the_start,
            times::offsets_are_found_by_time,
            times::the_broker_stamps_records_when_the_topic_says_so,
            compaction::compaction_keeps_the_newest_record_of_each_key_with_its_time,
            compaction::a_record_younger_than_the_lag_is_not_compacted_away,
            compaction::a_tombstone_outlives_the_records_that_it_ends,
            times::a_waiting_fetch_is_answered_by_the_next_record,
            times::a_fetch_with_nothing_to_read_takes_its_time,
            raw::a_batch_that_is_sent_again_is_acknowledged_with_its_first_offset,
            raw::a_batch_that_is_sent_again_is_acknowledged_with_its_first_time,
            raw::a_time_of_appending_that_a_producer_states_is_refused,
            raw::a_gap_in_the_sequence_is_refused,
            raw::an_old_epoch_is_refused_and_a_new_one_begins_at_zero,
            raw::a_batch_with_a_wrong_checksum_is_refused,
            raw::an_unknown_version_of_api_versions_is_answered_in_the_oldest,
            topics::topics_are_created_with_partitions_and_configuration,
            topics::settings_that_were_not_given_are_kafkas,
            topics::what_can_not_be_a_topic_is_refused_with_kafkas_error,
            topics::creating_a_topic_twice_answers_that_it_exists,
            topics::an_unknown_topic_is_unknown_and_is_not_made,
            topics::a_deleted_topic_is_empty_when_created_again,
            topics::partitions_can_be_added,
            groups::two_members_share_the_partitions_and_the_one_left_takes_all,
            groups::a_static_member_comes_back_to_its_partitions,
            groups::commits_come_back_with_their_metadata,
            groups::a_group_goes_on_after_what_it_committed,
            groups::groups_are_listed_with_their_members_and_deleted,
        }
    };
}

pub(crate) use each_expectation;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("retry.backoff.ms", "20");
    config
}

pub(crate) fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    client(bootstrap).create().unwrap()
}

pub(crate) async fn create_topic(
    bootstrap: &str,
    topic: NewTopic<'_>,
) -> Result<String, (String, RDKafkaErrorCode)> {
    admin(bootstrap).create_topics([&topic], &AdminOptions::new()).await.unwrap().remove(0)
}

pub(crate) fn topic(name: &str, partitions: i32) -> NewTopic<'_> {
    NewTopic::new(name, partitions, TopicReplication::Fixed(1))
}

pub(crate) fn producer(bootstrap: &str) -> FutureProducer {
    client(bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .create()
        .unwrap()
}

/// Sends and waits for the ack.
pub(crate) async fn send(
    producer: &FutureProducer,
    topic: &str,
    partition: i32,
    key: &str,
    value: &str,
) -> i64 {
    let record = FutureRecord::to(topic).partition(partition).key(key).payload(value);
    producer.send(record, DEADLINE).await.unwrap().offset
}

/// A producer that waits 200 ms, so records that are sent together become one batch.
pub(crate) fn batches(bootstrap: &str) -> FutureProducer {
    client(bootstrap).set("linger.ms", "200").create().unwrap()
}

/// Sends keys and values in one batch. Returns the times in the acks.
pub(crate) async fn send_batch(
    producer: &FutureProducer,
    topic: &str,
    records: &[(&str, Option<&str>)],
    timestamp: i64,
) -> Vec<Timestamp> {
    let record = |(key, value): &(_, Option<_>)| FutureRecord {
        topic,
        partition: Some(0),
        payload: *value,
        key: Some(*key),
        timestamp: Some(timestamp),
        headers: None,
    };
    let sent: Vec<_> =
        records.iter().map(|pair| producer.send_result::<str, str>(record(pair)).unwrap()).collect();
    let mut times = Vec::new();
    for ack in sent {
        times.push(ack.await.unwrap().unwrap().timestamp);
    }
    times
}

/// A consumer without a group that starts at the beginning of one partition.
pub(crate) fn reader(bootstrap: &str, topic: &str, partition: i32) -> BaseConsumer {
    reader_with(bootstrap, topic, partition, "50")
}

/// The same with another `fetch.wait.max.ms`.
pub(crate) fn reader_with(bootstrap: &str, topic: &str, partition: i32, wait: &str) -> BaseConsumer {
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", wait)
        .create()
        .unwrap();
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&start).unwrap();
    consumer
}

/// Reads up to the end of the partition, which the broker has to report.
pub(crate) fn read_to_end<T>(
    consumer: &BaseConsumer,
    mut each: impl FnMut(&BorrowedMessage<'_>) -> T,
) -> Vec<T> {
    let started = Instant::now();
    let mut read = Vec::new();
    while started.elapsed() < DEADLINE {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => read.push(each(&record)),
            Some(Err(KafkaError::PartitionEOF(_))) => return read,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    panic!("the end of the partition was not reported in {DEADLINE:?}");
}

/// The value of the next record.
pub(crate) fn next(consumer: &BaseConsumer) -> String {
    let started = Instant::now();
    while started.elapsed() < DEADLINE {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => return value(&record),
            Some(Err(KafkaError::PartitionEOF(_))) | None => {}
            Some(Err(error)) => panic!("{error}"),
        }
    }
    panic!("no record in {DEADLINE:?}");
}

pub(crate) fn value(record: &BorrowedMessage<'_>) -> String {
    String::from_utf8(record.payload().unwrap_or_default().to_vec()).unwrap()
}

pub(crate) fn headers(record: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let header =
        |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.unwrap_or_default().to_vec());
    record.headers().map(|headers| headers.iter().map(header).collect()).unwrap_or_default()
}

pub(crate) fn owned_headers(pairs: &[(&str, &str)]) -> OwnedHeaders {
    pairs.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(*value) })
    })
}
