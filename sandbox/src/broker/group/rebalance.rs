//! Leads from a change of the members to a new generation.

use super::{Group, Join, Member, Membership, Phase};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use std::time::Instant;
use uuid::Uuid;

impl Group {
    /// Checks that a member fits into the group, and gives it an id if it has none. A static member replaces its
    /// predecessor.
    pub(super) fn admit(&mut self, join: &mut Join) -> Result<(), ResponseError> {
        let fits = |member: &Member| {
            member.join.protocol_type == join.protocol_type
                && member
                    .join
                    .protocols
                    .iter()
                    .any(|(name, _)| join.protocols.iter().any(|(other, _)| other == name))
        };
        if join.protocols.is_empty() || !self.members.values().all(fits) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if join.member_id.is_empty() {
            if let Some(predecessor) = join.instance.as_deref().and_then(|instance| self.holder(instance)) {
                self.members.remove(&predecessor);
            }
            join.member_id = Uuid::new_v4().to_string();
        } else if !self.members.contains_key(&join.member_id) {
            return Err(ResponseError::UnknownMemberId);
        }
        Ok(())
    }

    /// Removes a member. The others join again.
    pub(super) fn remove(&mut self, now: Instant, id: &str) {
        self.members.remove(id);
        if self.phase != Phase::Joining {
            self.rebalance(now);
        }
        self.finish_joining(now);
    }

    pub(super) fn rebalance(&mut self, now: Instant) {
        let longest = self.members.values().map(|member| member.join.rebalance_timeout).max();
        self.deadline = longest.map(|longest| now + longest);
        self.phase = Phase::Joining;
        for member in self.members.values_mut() {
            if let Some(waiting) = member.syncing.take() {
                drop(waiting.send(Err(ResponseError::RebalanceInProgress)));
            }
        }
    }

    /// Begins a generation when all members have joined.
    pub(super) fn finish_joining(&mut self, now: Instant) {
        if self.phase != Phase::Joining || self.members.values().any(|member| member.joining.is_none()) {
            return;
        }
        self.generation += 1;
        let Some(first) = self.members.keys().next() else {
            self.phase = Phase::Empty;
            return;
        };
        if !self.members.contains_key(&self.leader) {
            self.leader = first.clone();
        }
        self.protocol = self.common_protocol();
        self.phase = Phase::Syncing;
        let memberships: Vec<Membership> = self.members.keys().map(|id| self.membership(id)).collect();
        for (member, membership) in self.members.values_mut().zip(memberships) {
            member.heard = now;
            if let Some(waiting) = member.joining.take() {
                drop(waiting.send(Ok(membership)));
            }
        }
    }

    /// The leader's most preferred protocol that all members know.
    fn common_protocol(&self) -> String {
        let knows =
            |member: &Member, name: &str| member.join.protocols.iter().any(|(known, _)| known == name);
        let preferred = self.members.get(&self.leader).map(|leader| leader.join.protocols.as_slice());
        let mut names = preferred.unwrap_or_default().iter().map(|(name, _)| name);
        names
            .find(|name| self.members.values().all(|member| knows(member, name)))
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn membership(&self, id: &str) -> Membership {
        let all = self.members.iter();
        let members =
            all.map(|(id, member)| (id.clone(), member.join.instance.clone(), self.subscription(member)));
        Membership {
            member_id: id.to_owned(),
            generation: self.generation,
            protocol_type: self.members.get(id).map(|own| own.join.protocol_type.clone()).unwrap_or_default(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: if id == self.leader { members.collect() } else { Vec::new() },
        }
    }
    /// A member's subscription for the chosen protocol.
    pub(super) fn subscription(&self, member: &Member) -> Bytes {
        let mut known = member.join.protocols.iter();
        known.find(|(name, _)| *name == self.protocol).map(|(_, data)| data.clone()).unwrap_or_default()
    }
}
