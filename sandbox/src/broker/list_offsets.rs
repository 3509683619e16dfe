//! ListOffsets: the start and end of a partition, and the offset for a time.

use crate::broker::Node;
use kafka_protocol::{
    ResponseError,
    messages::{
        ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const GREATEST_TIMESTAMP: i64 = -3;
/// The earliest offset on this broker, as opposed to a remote tier. Here both are the same.
const EARLIEST_LOCAL: i64 = -4;
/// The first version whose answer has the leader's epoch.
const WITH_EPOCH: i16 = 4;
/// Offset and timestamp of a record that does not exist.
const NONE: (i64, i64) = (-1, -1);

pub(super) fn list_offsets(node: &Node, request: ListOffsetsRequest, version: i16) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
            match find(node, &topic.name, wanted.partition_index, wanted.timestamp) {
                Ok((offset, timestamp)) => {
                    let epoch = if offset < 0 || version < WITH_EPOCH { -1 } else { 0 };
                    answer.with_offset(offset).with_timestamp(timestamp).with_leader_epoch(epoch)
                }
                Err(error) => answer.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn find(node: &Node, topic: &str, partition: i32, time: i64) -> Result<(i64, i64), ResponseError> {
    let (_, partition) = node.topics.partition(topic, partition)?;
    let log = partition.log();
    let found = match time {
        LATEST => return Ok((log.end(), -1)),
        EARLIEST | EARLIEST_LOCAL => return Ok((log.start(), -1)),
        GREATEST_TIMESTAMP => log.find_newest(),
        time if time >= 0 => log.find_time(time),
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    found.map(|found| found.unwrap_or(NONE)).map_err(|error| {
        log::error!("the broker can't read {topic}: {error}");
        ResponseError::KafkaStorageError
    })
}

/// There is one epoch, so it ends at the partition's end.
pub(super) fn end_of_epoch(
    node: &Node,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let answer = EpochEndOffset::default().with_partition(wanted.partition);
            match node.topics.partition(&topic.topic, wanted.partition) {
                Ok((_, partition)) => answer.with_leader_epoch(0).with_end_offset(partition.log().end()),
                Err(error) => answer.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
