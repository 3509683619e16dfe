//! Fetch: answers when there is enough to read, or when the client's wait is over.
//!
//! There are no fetch sessions: each request names all its partitions. Clients do so when they get no session.

use crate::broker::Node;
use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        FetchRequest, FetchResponse,
        fetch_response::{FetchableTopicResponse, PartitionData},
    },
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// Kafka's `fetch.max.bytes`: the largest answer, whatever the client allows.
const MAX_BYTES: u64 = 57_671_680;

/// The result of one read of all partitions.
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
        // In either case the partitions are read again.
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
            // Only the first batch of an answer may be larger than the client's limit.
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

/// Reads batches, the partition's start and its end.
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
