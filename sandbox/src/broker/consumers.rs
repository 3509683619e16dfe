//! Requests of consumer group members: join, sync, heartbeat, commit.
//!
//! Membership lives in memory, offsets are on disk. After a restart members join again and continue at their offsets.

use crate::broker::{
    Node,
    group::{Group, Join, Membership},
    offsets::{Committed, GroupOffsets},
};
use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
        LeaveGroupResponse, OffsetCommitRequest, OffsetCommitResponse, SyncGroupRequest, SyncGroupResponse,
        join_group_response::JoinGroupResponseMember,
        leave_group_response::MemberResponse,
        offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
    },
    protocol::StrBytes,
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

mod committed;

pub(super) use committed::committed;

/// The interval of the search for silent members.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(100);
/// Kafka's `offset.metadata.max.bytes`.
const MAX_METADATA: usize = 4_096;

/// All consumer groups with members.
#[derive(Default)]
pub(super) struct Groups(Mutex<HashMap<String, Group>>);

impl Groups {
    /// Removes silent members while it is polled.
    pub(super) async fn expire(&self) {
        loop {
            tokio::time::sleep(EXPIRY_INTERVAL).await;
            let now = Instant::now();
            let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            groups.retain(|_, group| {
                group.expire(now);
                !group.is_empty()
            });
        }
    }

    pub(super) fn with<T>(&self, group: &str, act: impl FnOnce(&mut Group) -> T) -> T {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(groups.entry(group.to_owned()).or_default())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

pub(super) async fn join(node: &Node, request: JoinGroupRequest, client: String) -> JoinGroupResponse {
    let protocols = request.protocols.into_iter();
    // The first version has one timeout for both.
    let rebalance_timeout_ms = match request.rebalance_timeout_ms {
        ..0 => request.session_timeout_ms,
        given => given,
    };
    let join = Join {
        member_id: request.member_id.to_string(),
        instance: request.group_instance_id.map(|id| id.to_string()),
        client,
        session_timeout: milliseconds(request.session_timeout_ms),
        rebalance_timeout: milliseconds(rebalance_timeout_ms),
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.map(|protocol| (protocol.name.to_string(), protocol.metadata)).collect(),
    };
    let joined = if request.group_id.is_empty() {
        Err(ResponseError::InvalidGroupId)
    } else {
        let joined = node.groups.with(&request.group_id, |group| group.join(Instant::now(), join)).await;
        // The sender was dropped: the member was replaced or removed while it waited.
        joined.unwrap_or(Err(ResponseError::UnknownMemberId))
    };
    let (code, membership) = match joined {
        Ok(membership) => (0, membership),
        Err(error) => (error.code(), Membership { generation: -1, ..Membership::default() }),
    };
    let members = membership.members.into_iter().map(|(id, instance, metadata)| {
        JoinGroupResponseMember::default()
            .with_member_id(id.into())
            .with_group_instance_id(instance.map(StrBytes::from))
            .with_metadata(metadata)
    });
    JoinGroupResponse::default()
        .with_error_code(code)
        .with_generation_id(membership.generation)
        .with_protocol_type(Some(membership.protocol_type.into()))
        .with_protocol_name(Some(membership.protocol.into()))
        .with_leader(membership.leader.into())
        .with_member_id(membership.member_id.into())
        .with_members(members.collect())
}

pub(super) async fn sync(node: &Node, request: SyncGroupRequest) -> SyncGroupResponse {
    let assignments = request.assignments.into_iter();
    let assignments = assignments.map(|given| (given.member_id.to_string(), given.assignment));
    let (member, generation) = (&request.member_id, request.generation_id);
    let assigned = node
        .groups
        .with(&request.group_id, |group| group.sync(Instant::now(), member, generation, assignments))
        .await;
    let (code, assignment) = match assigned.unwrap_or(Err(ResponseError::UnknownMemberId)) {
        Ok(assignment) => (0, assignment),
        Err(error) => (error.code(), Bytes::new()),
    };
    SyncGroupResponse::default()
        .with_error_code(code)
        .with_protocol_type(request.protocol_type)
        .with_protocol_name(request.protocol_name)
        .with_assignment(assignment)
}

pub(super) fn heartbeat(node: &Node, request: &HeartbeatRequest) -> HeartbeatResponse {
    let (member, generation) = (&request.member_id, request.generation_id);
    let heard =
        node.groups.with(&request.group_id, |group| group.heartbeat(Instant::now(), member, generation));
    HeartbeatResponse::default().with_error_code(code(heard))
}

pub(super) fn leave(node: &Node, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let leave = |id: &str, instance: Option<&str>| {
        code(node.groups.with(&request.group_id, |group| group.leave(Instant::now(), id, instance)))
    };
    let left = if request.member_id.is_empty() { 0 } else { leave(&request.member_id, None) };
    let members = request.members.into_iter().map(|member| {
        MemberResponse::default()
            .with_error_code(leave(&member.member_id, member.group_instance_id.as_deref()))
            .with_member_id(member.member_id)
            .with_group_instance_id(member.group_instance_id)
    });
    LeaveGroupResponse::default().with_members(members.collect()).with_error_code(left)
}

pub(super) fn commit(node: &Node, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let (member, generation) = (&request.member_id, request.generation_id_or_member_epoch);
    let allowed = node.groups.with(&request.group_id, |group| group.may_commit(member, generation));
    let mut offsets = GroupOffsets::new();
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for partition in topic.partitions {
            let metadata = partition.committed_metadata.unwrap_or_default().to_string();
            let checked = allowed.and_then(|()| match metadata.len() {
                0..=MAX_METADATA => node.topics.partition(&topic.name, partition.partition_index).map(|_| ()),
                _ => Err(ResponseError::OffsetMetadataTooLarge),
            });
            partitions.push((partition.partition_index, checked));
            if checked.is_ok() {
                let committed = Committed {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata,
                };
                offsets.insert((topic.name.to_string(), partition.partition_index), committed);
            }
        }
        topics.push((topic.name, partitions));
    }
    let stored = node.offsets.commit(&request.group_id, offsets).map_err(|error| {
        log::error!("the broker can't write committed offsets: {error}");
        ResponseError::KafkaStorageError
    });
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, checked)| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(code(checked.and(stored)))
        });
        OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// Kafka's number of an error; 0 for success.
fn code(result: Result<(), ResponseError>) -> i16 {
    result.map_or_else(|error| error.code(), |()| 0)
}

fn milliseconds(number: i32) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}
