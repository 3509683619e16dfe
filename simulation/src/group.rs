//! The coordinator of the consumer group: members, generations, assignments, committed offsets (Kafka's classic protocol, eager).

use notification_service::simulated::Partition;
use std::{collections::BTreeMap, time::Duration};

/// `session.timeout.ms`: a member that is not heard of for longer is expelled.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// `max.poll.interval.ms`: how long members may take to join again.
const REBALANCE_TIMEOUT: Duration = Duration::from_mins(5);
/// `group.initial.rebalance.delay.ms`, shortened: members that start together join together.
const INITIAL_DELAY: Duration = Duration::from_millis(500);

/// Names a member; a client that joins anew gets another one.
pub(crate) type MemberId = u64;

/// The answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulse {
    Fine,
    /// It has to join again.
    Rebalancing,
    Unknown,
}

/// The answer to a member that waits for its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Share {
    Waiting,
    Ready { generation: u64, partitions: Vec<Partition> },
    Unknown,
}

/// Without members at first.
#[derive(Debug, Default)]
pub(crate) struct Group {
    members: BTreeMap<MemberId, Member>,
    generation: u64,
    /// Since when all are to join again.
    rebalancing_since: Option<Duration>,
    joined_so_far: MemberId,
    /// The next offset of each partition.
    pub(crate) committed: BTreeMap<Partition, i64>,
}

#[derive(Debug)]
struct Member {
    service: usize,
    heard_at: Duration,
    joined: bool,
    share: Vec<Partition>,
}

impl Group {
    /// A client joins, or joins again.
    pub(crate) fn join(&mut self, id: Option<MemberId>, service: usize, now: Duration) -> MemberId {
        let known = id.filter(|id| self.members.contains_key(id));
        let id = known.unwrap_or_else(|| {
            self.joined_so_far += 1;
            self.joined_so_far
        });
        self.rebalance(now);
        self.members.insert(id, Member { service, heard_at: now, joined: true, share: Vec::new() });
        id
    }

    /// All have to join again.
    pub(crate) fn rebalance(&mut self, now: Duration) {
        if self.rebalancing_since.is_none() {
            self.rebalancing_since = Some(now);
            self.members.values_mut().for_each(|member| member.joined = false);
        }
    }

    pub(crate) fn leave(&mut self, id: MemberId, now: Duration) {
        if self.members.remove(&id).is_some() {
            self.rebalance(now);
        }
    }

    /// Forgets the members of a service.
    pub(crate) fn expel(&mut self, service: usize, now: Duration) {
        let before = self.members.len();
        self.members.retain(|_, member| member.service != service);
        if self.members.len() < before {
            self.rebalance(now);
        }
    }

    pub(crate) fn heartbeat(&mut self, id: MemberId, now: Duration) -> Pulse {
        let Some(member) = self.members.get_mut(&id) else { return Pulse::Unknown };
        member.heard_at = now;
        if self.rebalancing_since.is_some() && !member.joined { Pulse::Rebalancing } else { Pulse::Fine }
    }

    /// What a member gets that has joined; it joins again if another rebalance has begun since.
    pub(crate) fn share(&mut self, id: MemberId, now: Duration) -> Share {
        let Some(member) = self.members.get_mut(&id) else { return Share::Unknown };
        member.heard_at = now;
        if self.rebalancing_since.is_some() {
            member.joined = true;
            return Share::Waiting;
        }
        Share::Ready { generation: self.generation, partitions: member.share.clone() }
    }

    /// Commits offsets; false when the group goes on without this member.
    pub(crate) fn commit(&mut self, id: MemberId, generation: u64, offsets: &[(Partition, i64)]) -> bool {
        let is_member = self.members.contains_key(&id) && self.generation == generation;
        if is_member {
            self.committed.extend(offsets.iter().copied());
        }
        is_member
    }

    /// Goes on with what time brings: sessions end, and a rebalance is over. Returns the services whose members were expelled, and
    /// whether the partitions were shared anew.
    pub(crate) fn look(
        &mut self,
        now: Duration,
        partitions: impl Iterator<Item = Partition>,
    ) -> (Vec<usize>, bool) {
        let late = |since: Option<Duration>| since.is_some_and(|since| now > since + REBALANCE_TIMEOUT);
        let is_late = late(self.rebalancing_since);
        let gone = |member: &Member| now > member.heard_at + SESSION_TIMEOUT || (is_late && !member.joined);
        let expelled: Vec<_> = self.members.extract_if(.., |_, member| gone(member)).collect();
        if !expelled.is_empty() {
            self.rebalance(now);
        }
        let ready = self.rebalancing_since.is_some_and(|since| now >= since + INITIAL_DELAY);
        let complete = ready && !self.members.is_empty() && self.members.values().all(|member| member.joined);
        if complete {
            self.share_out(partitions);
        }
        (expelled.into_iter().map(|(_, member)| member.service).collect(), complete)
    }

    /// `roundrobin`.
    fn share_out(&mut self, partitions: impl Iterator<Item = Partition>) {
        self.rebalancing_since = None;
        self.generation += 1;
        let ids: Vec<_> = self.members.keys().copied().collect();
        self.members.values_mut().for_each(|member| member.share.clear());
        for (number, partition) in partitions.enumerate() {
            let id = ids[number % ids.len()];
            if let Some(member) = self.members.get_mut(&id) {
                member.share.push(partition);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::topic::Topic;

    const SECOND: Duration = Duration::from_secs(1);

    fn partitions() -> impl Iterator<Item = Partition> {
        (0..4).map(|number| Partition { topic: Topic::Created, number })
    }

    #[test]
    fn partitions_are_shared_when_all_have_joined_and_an_old_generation_commits_nothing() {
        let mut group = Group::default();
        let first = group.join(None, 0, Duration::ZERO);
        assert_eq!(group.look(SECOND, partitions()), (vec![], true));
        let Share::Ready { generation: 1, partitions: all } = group.share(first, SECOND) else { panic!() };
        assert_eq!(all.len(), 4);
        let second = group.join(None, 1, SECOND);
        assert_eq!(group.heartbeat(first, SECOND), Pulse::Rebalancing);
        assert_eq!(group.look(2 * SECOND, partitions()), (vec![], false), "the first has not joined again");
        assert!(group.commit(first, 1, &[(all[0], 5)]));
        group.join(Some(first), 0, 2 * SECOND);
        assert_eq!(group.look(2 * SECOND, partitions()), (vec![], true));
        assert!(!group.commit(first, 1, &[(all[0], 6)]) && group.commit(second, 2, &[]));
        assert_eq!(group.committed[&all[0]], 5);
    }

    #[test]
    fn a_member_that_is_not_heard_of_is_expelled() {
        let mut group = Group::default();
        let (first, second) = (group.join(None, 0, Duration::ZERO), group.join(None, 1, Duration::ZERO));
        group.look(SECOND, partitions());
        group.heartbeat(second, 6 * SECOND);
        assert_eq!(group.look(8 * SECOND, partitions()), (vec![0], false));
        assert_eq!(group.heartbeat(first, 8 * SECOND), Pulse::Unknown);
        assert_eq!(group.heartbeat(second, 8 * SECOND), Pulse::Rebalancing);
    }
}
