//! OffsetFetch: the committed offsets of one group or, from version 8, of several.

use crate::broker::{
    Node,
    offsets::{Committed, GroupOffsets},
};
use kafka_protocol::{
    messages::{
        OffsetFetchRequest, OffsetFetchResponse, TopicName,
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
    protocol::StrBytes,
};

/// The version from which a request names several groups.
const SEVERAL_GROUPS: i16 = 8;

/// A topic and the commits of its partitions.
type OfTopic = (TopicName, Vec<(i32, Option<Committed>)>);

pub(in crate::broker) fn committed(
    node: &Node,
    request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    if version < SEVERAL_GROUPS {
        let wanted = request
            .topics
            .map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect());
        let topics =
            look_up(&node.offsets.of(&request.group_id), wanted).into_iter().map(|(name, offsets)| {
                let offsets = offsets.into_iter().map(|(index, committed)| {
                    let (offset, epoch, metadata) = shown(committed);
                    OffsetFetchResponsePartition::default()
                        .with_partition_index(index)
                        .with_committed_offset(offset)
                        .with_committed_leader_epoch(epoch)
                        .with_metadata(Some(metadata))
                });
                OffsetFetchResponseTopic::default().with_name(name).with_partitions(offsets.collect())
            });
        return OffsetFetchResponse::default().with_topics(topics.collect());
    }
    let groups = request.groups.into_iter().map(|group| {
        let wanted = group
            .topics
            .map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect());
        let topics = look_up(&node.offsets.of(&group.group_id), wanted).into_iter().map(|(name, offsets)| {
            let offsets = offsets.into_iter().map(|(index, committed)| {
                let (offset, epoch, metadata) = shown(committed);
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(index)
                    .with_committed_offset(offset)
                    .with_committed_leader_epoch(epoch)
                    .with_metadata(Some(metadata))
            });
            OffsetFetchResponseTopics::default().with_name(name).with_partitions(offsets.collect())
        });
        let topics = topics.collect();
        OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics)
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

/// The commits of the requested partitions; all of them for `None`.
fn look_up(offsets: &GroupOffsets, wanted: Option<Vec<(TopicName, Vec<i32>)>>) -> Vec<OfTopic> {
    if let Some(wanted) = wanted {
        let find = |name: &TopicName, index| offsets.get(&(name.to_string(), index)).cloned();
        let of_topic = |(name, indexes): (TopicName, Vec<i32>)| {
            let found = indexes.into_iter().map(|index| (index, find(&name, index))).collect();
            (name, found)
        };
        return wanted.into_iter().map(of_topic).collect();
    }
    let mut topics = Vec::<OfTopic>::new();
    for ((topic, index), committed) in offsets {
        let found = (*index, Some(committed.clone()));
        match topics.last_mut().filter(|(name, _)| name.as_str() == topic) {
            Some((_, found_before)) => found_before.push(found),
            None => topics.push((TopicName(StrBytes::from_string(topic.clone())), vec![found])),
        }
    }
    topics
}

fn shown(committed: Option<Committed>) -> (i64, i32, StrBytes) {
    committed.map_or((-1, -1, StrBytes::new()), |committed| {
        (committed.offset, committed.leader_epoch, StrBytes::from_string(committed.metadata))
    })
}
