//! Fetch: answers as soon as there is enough to read, or when the client's time is over.
//!
//! Without fetch sessions: each request names all its partitions, which clients do when they are given no session.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::broker::Node;

/// Kafka's `fetch.max.bytes`: no answer has more, whatever the client would take.
const MAX_BYTES: u64 = 57_671_680;

/// What one look at all partitions has found.
struct Found {
    topics: Vec<FetchableTopicResponse>,
    bytes: u64,
    failed: bool,
}

pub(super) async fn fetch(node: &Node, request: FetchRequest) -> FetchResponse {
    if request.session_id != 0 {
        return FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
    }
    let wait = Duration::from_millis(request.max_wait_ms.try_into().unwrap_or(0));
    let least = u64::try_from(request.min_bytes).unwrap_or(0);
    let deadline = Instant::now() + wait;
    loop {
        let record_came = Arc::new(Notify::new());
        let found = look(node, &request, &record_came);
        if found.failed || found.bytes >= least || Instant::now() >= deadline {
            return FetchResponse::default().with_responses(found.topics);
        }
        // Either way it is time for another look.
        let _ = timeout_at(deadline, record_came.notified()).await;
    }
}

fn look(node: &Node, request: &FetchRequest, record_came: &Arc<Notify>) -> Found {
    let max_bytes = u64::try_from(request.max_bytes).unwrap_or(0).min(MAX_BYTES);
    let mut found = Found { topics: Vec::new(), bytes: 0, failed: false };
    for topic in &request.topics {
        let mut partitions = Vec::new();
        for wanted in &topic.partitions {
            let left = max_bytes.saturating_sub(found.bytes);
            let most = left.min(wanted.partition_max_bytes.try_into().unwrap_or(0));
            // Only the first batch of an answer may be larger than what the client asked for.
            let is_first = found.bytes == 0;
            let answer = PartitionData::default().with_partition_index(wanted.partition);
            let read =
                read(node, &topic.topic, wanted.partition, wanted.fetch_offset, most, is_first, record_came);
            partitions.push(match read {
                Ok((batches, start, end)) => {
                    found.bytes += batches.len() as u64;
                    answer
                        .with_high_watermark(end)
                        .with_last_stable_offset(end)
                        .with_log_start_offset(start)
                        .with_records(Some(batches))
                }
                Err(error) => {
                    found.failed = true;
                    answer
                        .with_error_code(error.code())
                        .with_high_watermark(-1)
                        .with_records(Some(Bytes::new()))
                }
            });
        }
        let answer = FetchableTopicResponse::default().with_topic(topic.topic.clone());
        found.topics.push(answer.with_partitions(partitions));
    }
    found
}

/// Batches, and where the partition begins and ends.
fn read(
    node: &Node,
    topic: &str,
    partition: i32,
    offset: i64,
    most: u64,
    is_first: bool,
    record_came: &Arc<Notify>,
) -> Result<(Bytes, i64, i64), ResponseError> {
    let (_, partition) = node.topics.partition(topic, partition)?;
    let mut log = partition.log();
    if !(log.start()..=log.end()).contains(&offset) {
        return Err(ResponseError::OffsetOutOfRange);
    }
    log.wake(record_came);
    let batches = if most > 0 || is_first {
        log.read(offset, most).map_err(|error| {
            log::error!("the broker can't read {topic}: {error}");
            ResponseError::KafkaStorageError
        })?
    } else {
        Vec::new()
    };
    let fits = is_first || batches.len() as u64 <= most;
    Ok((if fits { batches.into() } else { Bytes::new() }, log.start(), log.end()))
}
