//! The coordinator of all consumer groups, in place of the library's own.
//!
//! The library's coordinator polls: it holds each join for half a session timeout, and a rebalance of two members takes
//! ten seconds. This one answers when the last member has joined. Membership lives in memory; offsets are in the
//! storage, so after a restart members join again and go on where they were.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nisshi_broker::coordinator::group::administrator::Controller;
use nisshi_broker::coordinator::group::{Coordinator, OffsetCommit};
use nisshi_broker::{Error, Result};
use nisshi_sans_io::join_group_request::JoinGroupRequestProtocol;
use nisshi_sans_io::join_group_response::JoinGroupResponseMember;
use nisshi_sans_io::leave_group_request::MemberIdentity;
use nisshi_sans_io::leave_group_response::MemberResponse;
use nisshi_sans_io::offset_commit_request::OffsetCommitRequestTopic;
use nisshi_sans_io::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use nisshi_sans_io::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic};
use nisshi_sans_io::sync_group_request::SyncGroupRequestAssignment;
use nisshi_sans_io::{
    Body, ErrorCode, HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, OffsetCommitResponse,
    SyncGroupResponse,
};
use nisshi_storage::{ArcDynStorage, OffsetCommitRequest, Storage as _, Topition};

use crate::broker::group::{Group, Join, Membership};

/// How often silent members are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct Groups {
    groups: Arc<Mutex<HashMap<String, Group>>>,
    storage: ArcDynStorage,
    /// Only for reading offsets, which needs no membership.
    offsets: Controller<ArcDynStorage>,
}

impl Groups {
    pub(super) fn new(storage: ArcDynStorage) -> Result<Groups> {
        let offsets = Controller::with_storage(storage.clone())?;
        Ok(Groups { groups: Arc::default(), storage, offsets })
    }

    /// Removes silent members for as long as it is polled.
    pub(super) async fn expire(self) {
        loop {
            tokio::time::sleep(EXPIRY_INTERVAL).await;
            let now = Instant::now();
            self.groups
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values_mut()
                .for_each(|group| group.expire(now));
        }
    }

    fn with<T>(&self, group: &str, act: impl FnOnce(&mut Group) -> T) -> T {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        act(groups.entry(group.to_owned()).or_default())
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Groups")
    }
}

#[async_trait]
impl Coordinator for Groups {
    async fn join(
        &self,
        _client_id: Option<&str>,
        group_id: &str,
        session_timeout_ms: i32,
        rebalance_timeout_ms: Option<i32>,
        member_id: &str,
        group_instance_id: Option<&str>,
        protocol_type: &str,
        protocols: Option<&[JoinGroupRequestProtocol]>,
        _reason: Option<&str>,
    ) -> Result<Body> {
        let protocols = protocols.unwrap_or_default().iter();
        let join = Join {
            member_id: member_id.to_owned(),
            instance: group_instance_id.map(str::to_owned),
            session_timeout: milliseconds(session_timeout_ms),
            rebalance_timeout: milliseconds(rebalance_timeout_ms.unwrap_or(session_timeout_ms)),
            protocol_type: protocol_type.to_owned(),
            protocols: protocols.map(|protocol| (protocol.name.clone(), protocol.metadata.clone())).collect(),
        };
        let joined = self.with(group_id, |group| group.join(Instant::now(), join)).await;
        // A sender that was dropped: the member was replaced or removed while it waited.
        let (code, membership) = match joined.unwrap_or(Err(ErrorCode::UnknownMemberId)) {
            Ok(membership) => (ErrorCode::None, membership),
            Err(code) => (code, Membership { generation: -1, ..Membership::default() }),
        };
        let members = membership.members.into_iter().map(|(id, instance, metadata)| {
            JoinGroupResponseMember::default().member_id(id).group_instance_id(instance).metadata(metadata)
        });
        Ok(JoinGroupResponse::default()
            .throttle_time_ms(Some(0))
            .error_code(code.into())
            .generation_id(membership.generation)
            .protocol_type(Some(membership.protocol_type))
            .protocol_name(Some(membership.protocol))
            .leader(membership.leader)
            .skip_assignment(Some(false))
            .member_id(membership.member_id)
            .members(Some(members.collect()))
            .into())
    }

    async fn sync(
        &self,
        group_id: &str,
        generation_id: i32,
        member_id: &str,
        _group_instance_id: Option<&str>,
        protocol_type: Option<&str>,
        protocol_name: Option<&str>,
        assignments: Option<&[SyncGroupRequestAssignment]>,
    ) -> Result<Body> {
        let assignments = assignments.unwrap_or_default().iter();
        let assignments = assignments.map(|given| (given.member_id.clone(), given.assignment.clone()));
        let assigned = self
            .with(group_id, |group| group.sync(Instant::now(), member_id, generation_id, assignments))
            .await;
        let (code, assignment) = match assigned.unwrap_or(Err(ErrorCode::UnknownMemberId)) {
            Ok(assignment) => (ErrorCode::None, assignment),
            Err(code) => (code, Default::default()),
        };
        Ok(SyncGroupResponse::default()
            .throttle_time_ms(Some(0))
            .error_code(code.into())
            .protocol_type(protocol_type.map(str::to_owned))
            .protocol_name(protocol_name.map(str::to_owned))
            .assignment(assignment)
            .into())
    }

    async fn heartbeat(
        &self,
        group_id: &str,
        generation_id: i32,
        member_id: &str,
        _group_instance_id: Option<&str>,
    ) -> Result<Body> {
        let code = self.with(group_id, |group| group.heartbeat(Instant::now(), member_id, generation_id));
        Ok(HeartbeatResponse::default().throttle_time_ms(Some(0)).error_code(code.into()).into())
    }

    async fn leave(
        &self,
        group_id: &str,
        member_id: Option<&str>,
        members: Option<&[MemberIdentity]>,
    ) -> Result<Body> {
        let leave = |id: &str, instance: Option<&str>| {
            self.with(group_id, |group| group.leave(Instant::now(), id, instance))
        };
        let code = member_id.filter(|id| !id.is_empty()).map_or(ErrorCode::None, |id| leave(id, None));
        let members = members.unwrap_or_default().iter().map(|member| {
            MemberResponse::default()
                .member_id(member.member_id.clone())
                .group_instance_id(member.group_instance_id.clone())
                .error_code(leave(&member.member_id, member.group_instance_id.as_deref()).into())
        });
        let members = members.collect();
        Ok(LeaveGroupResponse::default()
            .throttle_time_ms(Some(0))
            .error_code(code.into())
            .members(Some(members))
            .into())
    }

    async fn offset_commit(&self, commit: OffsetCommit<'_>) -> Result<Body> {
        let (id, generation) =
            (commit.member_id.unwrap_or_default(), commit.generation_id_or_member_epoch.unwrap_or(-1));
        let topics = commit.topics.unwrap_or_default();
        let results = match self.with(commit.group_id, |group| group.may_commit(id, generation)) {
            ErrorCode::None => self.storage.offset_commit(commit.group_id, None, &offsets(topics)?).await?,
            refused => offsets(topics)?.into_iter().map(|(topition, _)| (topition, refused)).collect(),
        };
        let topics = results.iter().map(|(topition, code)| {
            let partition = OffsetCommitResponsePartition::default()
                .partition_index(topition.partition())
                .error_code((*code).into());
            OffsetCommitResponseTopic::default()
                .name(topition.topic().to_owned())
                .partitions(Some(vec![partition]))
        });
        Ok(OffsetCommitResponse::default().throttle_time_ms(Some(0)).topics(Some(topics.collect())).into())
    }

    async fn offset_fetch(
        &self,
        group_id: Option<&str>,
        topics: Option<&[OffsetFetchRequestTopic]>,
        groups: Option<&[OffsetFetchRequestGroup]>,
        require_stable: Option<bool>,
    ) -> Result<Body> {
        self.offsets.offset_fetch(group_id, topics, groups, require_stable).await
    }
}

fn offsets(topics: &[OffsetCommitRequestTopic]) -> Result<Vec<(Topition, OffsetCommitRequest)>> {
    let mut offsets = Vec::new();
    for topic in topics {
        for partition in topic.partitions.iter().flatten() {
            let offset = OffsetCommitRequest::try_from(partition).map_err(Error::from)?;
            offsets.push((Topition::new(topic.name.clone(), partition.partition_index), offset));
        }
    }
    Ok(offsets)
}

fn milliseconds(number: i32) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}
