//! A service's Kafka consumer, as librdkafka behaves: joins, heartbeats, rebalances that wait for their answer, positions, stored
//! offsets.

use crate::group::{Group, MemberId, Pulse, SESSION_TIMEOUT, Share};
use notification_service::simulated::{Input, Partition, Position};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// A rebalance that the application has not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Assign,
    Revoke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Membership {
    None,
    Joining(MemberId),
    Member(MemberId),
}

/// How far a partition was handed out, and what may be committed of it.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// The offset of the next record; unknown until the committed one was asked for.
    pub(crate) next: Option<i64>,
    /// The next offset to commit.
    stored: Option<i64>,
    pub(crate) paused: bool,
}

#[derive(Debug)]
pub(crate) struct Client {
    service: usize,
    membership: Membership,
    generation: u64,
    question: Option<Question>,
    /// It joins again at the next opportunity.
    rejoins: bool,
    answered_at: Duration,
    pub(crate) cursors: BTreeMap<Partition, Cursor>,
    /// Rebalances that were reported and not read.
    pub(crate) rebalances: VecDeque<Input<'static>>,
}

impl Client {
    pub(crate) fn new(service: usize, now: Duration) -> Self {
        Self {
            service,
            membership: Membership::None,
            generation: 0,
            question: None,
            rejoins: false,
            answered_at: now,
            cursors: BTreeMap::new(),
            rebalances: VecDeque::new(),
        }
    }

    /// Who it is for the coordinator, and the generation of its partitions.
    pub(crate) fn member(&self) -> Option<(MemberId, u64)> {
        match self.membership {
            Membership::Member(id) => Some((id, self.generation)),
            Membership::None | Membership::Joining(_) => None,
        }
    }

    /// When it speaks to the coordinator again: `heartbeat.interval.ms`, or sooner while it joins.
    pub(crate) fn next_heartbeat(&self) -> Duration {
        let is_member = matches!(self.membership, Membership::Member(_)) && !self.rejoins;
        Duration::from_millis(if is_member { 500 } else { 100 })
    }

    /// Speaks to the coordinator. `sent`: what it says arrives; `answered`: it learns what follows.
    pub(crate) fn heartbeat(&mut self, group: &mut Group, sent: bool, answered: bool, now: Duration) {
        if !sent || !answered {
            if let (true, Some((id, _))) = (sent, self.member()) {
                group.heartbeat(id, now);
            }
            if now > self.answered_at + SESSION_TIMEOUT && self.membership != Membership::None {
                self.lose();
            }
            return;
        }
        self.answered_at = now;
        match self.membership {
            Membership::None if self.question.is_none() => self.join(None, group, now),
            Membership::None => {}
            Membership::Joining(id) => match group.share(id, now) {
                Share::Waiting => {}
                Share::Unknown => self.membership = Membership::None,
                Share::Ready { generation, partitions } => {
                    (self.membership, self.generation) = (Membership::Member(id), generation);
                    self.ask(Question::Assign, Input::Assigned(partitions));
                }
            },
            Membership::Member(id) => match group.heartbeat(id, now) {
                Pulse::Unknown => self.lose(),
                _ if self.rejoins => self.join(Some(id), group, now),
                Pulse::Rebalancing if self.question.is_none() => self.revoke(),
                Pulse::Fine | Pulse::Rebalancing => {}
            },
        }
    }

    fn join(&mut self, id: Option<MemberId>, group: &mut Group, now: Duration) {
        self.rejoins = false;
        self.membership = Membership::Joining(group.join(id, self.service, now));
    }

    fn ask(&mut self, question: Question, event: Input<'static>) {
        self.question = Some(question);
        self.rebalances.push_back(event);
    }

    /// The group takes all partitions back.
    fn revoke(&mut self) {
        if self.cursors.is_empty() {
            self.rejoins = true;
        } else {
            self.ask(Question::Revoke, Input::Revoked { lost: false });
        }
    }

    /// The group goes on without it. That is reported only while no answer is owed.
    fn lose(&mut self) {
        (self.membership, self.rejoins) = (Membership::None, false);
        if self.question.is_none() && !self.cursors.is_empty() {
            self.ask(Question::Revoke, Input::Revoked { lost: true });
        }
    }

    /// The topics have changed: it joins again, and does not wait for an answer to the revocation.
    pub(crate) fn join_again(&mut self) {
        if !matches!(self.membership, Membership::Member(_)) || self.question == Some(Question::Assign) {
            return;
        }
        if self.question.is_none() {
            self.revoke();
        }
        (self.question, self.rejoins) = (None, true);
    }

    /// The application takes its partitions over.
    pub(crate) fn assign(&mut self, partitions: &[Partition]) {
        self.cursors = partitions.iter().map(|partition| (*partition, Cursor::default())).collect();
        self.question = None;
        if self.membership == Membership::None {
            self.lose();
        }
    }

    /// The application gives its partitions up.
    pub(crate) fn unassign(&mut self) {
        self.cursors.clear();
        if self.question.take() == Some(Question::Revoke) {
            self.rejoins = true;
        }
    }

    /// Notes what the next commit commits. Nothing of a partition that it does not have.
    pub(crate) fn store(&mut self, positions: &[Position]) {
        for position in positions {
            if let Some(cursor) = self.cursors.get_mut(&position.partition) {
                cursor.stored = Some(position.offset + 1);
            }
        }
    }

    /// What was stored.
    pub(crate) fn stored(&self) -> Vec<(Partition, i64)> {
        self.cursors.iter().filter_map(|(partition, cursor)| Some((*partition, cursor.stored?))).collect()
    }

    /// Pauses or resumes.
    pub(crate) fn set_paused(&mut self, partitions: &[Partition], paused: bool) {
        for partition in partitions {
            if let Some(cursor) = self.cursors.get_mut(partition) {
                cursor.paused = paused;
            }
        }
    }
}
