//! One consumer group: Kafka's classic protocol as a state machine, without clock or sockets.
//!
//! A rebalance waits until every member has joined again, or for the longest rebalance timeout. Then the leader assigns. A
//! request that has to wait for other members gets the receiving end of a channel.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::sync::oneshot::{self, Receiver, Sender};

mod rebalance;

/// What a member learns about a generation that it belongs to.
#[derive(Clone, Debug, Default)]
pub(super) struct Membership {
    pub(super) member_id: String,
    pub(super) generation: i32,
    pub(super) protocol_type: String,
    pub(super) protocol: String,
    pub(super) leader: String,
    /// For the leader: every member's id, instance and subscription.
    pub(super) members: Vec<(String, Option<String>, Bytes)>,
}

type Joined = Result<Membership, ResponseError>;
type Assigned = Result<Bytes, ResponseError>;

/// A request to join, or to join again.
#[derive(Clone, Debug)]
pub(super) struct Join {
    /// Empty at the first join.
    pub(super) member_id: String,
    pub(super) instance: Option<String>,
    /// The client's name for itself.
    pub(super) client: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocol_type: String,
    /// Name and subscription, in the order of preference.
    pub(super) protocols: Vec<(String, Bytes)>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    #[default]
    Empty,
    /// Waits until all members have joined again.
    Joining,
    /// Waits for the leader's assignment.
    Syncing,
    Stable,
}

#[derive(Debug)]
struct Member {
    join: Join,
    assignment: Bytes,
    joining: Option<Sender<Joined>>,
    syncing: Option<Sender<Assigned>>,
    heard: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    phase: Phase,
    generation: i32,
    protocol: String,
    leader: String,
    members: BTreeMap<String, Member>,
    /// When a rebalance continues without the members that have not joined again.
    deadline: Option<Instant>,
}

impl Group {
    pub(super) fn join(&mut self, now: Instant, mut join: Join) -> Receiver<Joined> {
        let (tell, hear) = oneshot::channel();
        if let Err(code) = self.admit(&mut join) {
            drop(tell.send(Err(code)));
            return hear;
        }
        let id = join.member_id.clone();
        let known = self.members.get(&id);
        let unchanged = known.is_some_and(|member| member.join.protocols == join.protocols);
        let settled = self.phase == Phase::Syncing || self.phase == Phase::Stable && id != self.leader;
        if unchanged && settled {
            drop(tell.send(Ok(self.membership(&id))));
            return hear;
        }
        let assignment = known.map(|member| member.assignment.clone()).unwrap_or_default();
        let member = Member { join, assignment, joining: Some(tell), syncing: None, heard: now };
        self.members.insert(id, member);
        if self.phase != Phase::Joining {
            self.rebalance(now);
        }
        self.finish_joining(now);
        hear
    }

    pub(super) fn sync(
        &mut self,
        now: Instant,
        id: &str,
        generation: i32,
        assignments: impl IntoIterator<Item = (String, Bytes)>,
    ) -> Receiver<Assigned> {
        let (tell, hear) = oneshot::channel();
        match (self.check(id, generation), self.phase) {
            (Ok(()), Phase::Syncing) if id == self.leader => {
                for (member, assignment) in assignments {
                    if let Some(member) = self.members.get_mut(&member) {
                        member.assignment = assignment;
                    }
                }
                self.phase = Phase::Stable;
                for member in self.members.values_mut() {
                    member.heard = now;
                    if let Some(waiting) = member.syncing.take() {
                        drop(waiting.send(Ok(member.assignment.clone())));
                    }
                }
                drop(tell.send(Ok(self.assignment(id))));
            }
            (Ok(()), Phase::Syncing) => {
                if let Some(member) = self.members.get_mut(id) {
                    member.syncing = Some(tell);
                }
            }
            (Ok(()), Phase::Stable) => drop(tell.send(Ok(self.assignment(id)))),
            (Ok(()), _) => drop(tell.send(Err(ResponseError::RebalanceInProgress))),
            (Err(refused), _) => drop(tell.send(Err(refused))),
        }
        hear
    }

    pub(super) fn heartbeat(&mut self, now: Instant, id: &str, generation: i32) -> Result<(), ResponseError> {
        let checked = self.check(id, generation);
        if let Some(member) = self.members.get_mut(id) {
            member.heard = now;
        }
        match checked {
            Ok(()) if self.phase == Phase::Joining => Err(ResponseError::RebalanceInProgress),
            checked => checked,
        }
    }

    /// Checks that offsets may be committed: by a member of this generation, or by anybody while the group has no members.
    pub(super) fn may_commit(&self, id: &str, generation: i32) -> Result<(), ResponseError> {
        if generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        match self.check(id, generation) {
            Ok(()) if self.phase == Phase::Syncing => Err(ResponseError::RebalanceInProgress),
            checked => checked,
        }
    }

    /// Removes a member by its id or, with an empty id, by its instance.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        id: &str,
        instance: Option<&str>,
    ) -> Result<(), ResponseError> {
        let by_instance = || instance.and_then(|instance| self.holder(instance));
        let id = if id.is_empty() { by_instance() } else { Some(id.to_owned()) };
        match id {
            Some(id) if self.members.contains_key(&id) => {
                self.remove(now, &id);
                Ok(())
            }
            _ => Err(ResponseError::UnknownMemberId),
        }
    }

    /// Removes members that were silent for their session timeout, or that hold up a rebalance for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let late = self.phase == Phase::Joining && self.deadline.is_some_and(|deadline| now >= deadline);
        let gone = |member: &Member| {
            let waits = member.joining.as_ref().is_some_and(|waiting| !waiting.is_closed())
                || member.syncing.as_ref().is_some_and(|waiting| !waiting.is_closed());
            let silent = now.duration_since(member.heard) > member.join.session_timeout;
            !waits && (silent || late && member.joining.is_none())
        };
        let gone: Vec<String> =
            self.members.iter().filter(|(_, member)| gone(member)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.remove(now, &id);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Kafka's name of the state.
    pub(super) fn state(&self) -> &'static str {
        match self.phase {
            _ if self.members.is_empty() => "Empty",
            Phase::Empty | Phase::Joining => "PreparingRebalance",
            Phase::Syncing => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }

    pub(super) fn protocol(&self) -> &str {
        &self.protocol
    }

    pub(super) fn protocol_type(&self) -> String {
        self.members.values().next().map(|member| member.join.protocol_type.clone()).unwrap_or_default()
    }

    /// Every member's id, request to join, subscription and assignment.
    pub(super) fn describe(&self) -> impl Iterator<Item = (&str, &Join, Bytes, Bytes)> {
        let members = self.members.iter();
        members.map(|(id, member)| {
            (id.as_str(), &member.join, self.subscription(member), member.assignment.clone())
        })
    }

    fn assignment(&self, id: &str) -> Bytes {
        self.members.get(id).map(|member| member.assignment.clone()).unwrap_or_default()
    }

    fn holder(&self, instance: &str) -> Option<String> {
        let mut members = self.members.iter();
        members
            .find(|(_, member)| member.join.instance.as_deref() == Some(instance))
            .map(|(id, _)| id.clone())
    }

    fn check(&self, id: &str, generation: i32) -> Result<(), ResponseError> {
        if !self.members.contains_key(id) {
            Err(ResponseError::UnknownMemberId)
        } else if generation != self.generation {
            Err(ResponseError::IllegalGeneration)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
