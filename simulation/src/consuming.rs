//! What a service's Kafka consumer does in the course of time: heartbeats, fetches, commits.

use crate::{
    group::MemberId,
    schedule::{CommitFault, Link},
    service::{Next, State},
    world::{CommitRequest, Happening, World},
};
use notification_service::simulated::{Input, Partition};
use rand::RngExt;
use std::time::Duration;

/// The longest that a commit waits for its answer.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

impl World {
    pub(crate) fn heartbeat(&mut self, number: usize) {
        let (link, now) = (self.services[number].link(), self.agenda.now());
        let (sent, answered) = (link != Link::Down, link < Link::AnswersLost);
        self.services[number].client.heartbeat(&mut self.group, sent, answered, now);
        self.report_rebalances(number);
        let wait = self.services[number].client.next_heartbeat();
        self.later(number, wait, Next::Heartbeat);
    }

    pub(crate) fn report_rebalances(&mut self, number: usize) {
        for _ in 0..self.services[number].client.rebalances.len() {
            let wait = self.moment(number);
            self.later(number, wait, Next::Rebalance);
        }
    }

    /// Looks for records after a moment, as the client fetches them.
    pub(crate) fn receive_soon(&mut self, number: usize) {
        if self.services[number].state != State::Down && !self.services[number].receives {
            self.services[number].receives = true;
            let wait = self.latency(number);
            self.later(number, wait, Next::Receive);
        }
    }

    /// Takes the next record of a partition that has one.
    pub(crate) fn receive(&mut self, number: usize) {
        let service = &mut self.services[number];
        service.receives = false;
        if service.link() >= Link::AnswersLost {
            return;
        }
        for (partition, cursor) in &mut service.client.cursors {
            let committed = || self.group.committed.get(partition).copied().unwrap_or_default();
            cursor.next.get_or_insert_with(committed);
        }
        let available: Vec<(Partition, i64)> = service
            .client
            .cursors
            .iter()
            .filter(|(_, cursor)| !cursor.paused)
            .filter_map(|(partition, cursor)| Some((*partition, cursor.next?)))
            .filter(|(partition, next)| *next < self.broker.log_end(*partition))
            .collect();
        if available.is_empty() {
            return;
        }
        let (partition, offset) = available[service.random.random_range(0..available.len())];
        service.receives = true;
        if let Some(cursor) = service.client.cursors.get_mut(&partition) {
            cursor.next = Some(offset + 1);
        }
        let Some(stored) = self.broker.get(partition, offset) else { return };
        let wall = self.wall(number);
        self.ledger.taken(number, partition, offset, wall);
        self.step(number, Input::Taken { partition, offset, lent: stored.lend() });
        if self.services[number].state == State::Running {
            let wait = Duration::from_micros(self.services[number].random.random_range(20..200));
            self.later(number, wait, Next::Receive);
        }
    }

    /// The commit, on the thread that it has of its own: what is stored of the partitions that the client still has.
    pub(crate) fn commit(&mut self, number: usize) {
        let service = &self.services[number];
        let (member, offsets, link) = (service.client.member(), service.client.stored(), service.link());
        let fault = service.commit_faults.last().map(|(_, fault)| *fault);
        if offsets.is_empty() {
            return self.later(number, Duration::ZERO, Next::Committed(Ok(())));
        }
        if fault == Some(CommitFault::Refused) {
            let wait = self.latency(number);
            return self.later(number, wait, Next::Committed(Err(false)));
        }
        let answered = fault != Some(CommitFault::AnswerLost) && link < Link::AnswersLost;
        if !answered {
            self.later(number, COMMIT_TIMEOUT, Next::Committed(Err(false)));
        }
        if link == Link::Down {
            return;
        }
        let late = if fault == Some(CommitFault::Late) { Duration::from_secs(4) } else { Duration::ZERO };
        let latency = self.latency(number) + late;
        let (process, assignment) = (self.services[number].process, self.ledger.assignment_of(number));
        let request = CommitRequest { service: number, process, member, offsets, assignment, answered };
        self.agenda.after(latency, Happening::CommitArrives(request));
    }

    pub(crate) fn commit_arrives(&mut self, request: CommitRequest) {
        let CommitRequest { service, process, member, offsets, assignment, answered } = request;
        let is_member = member
            .is_some_and(|(id, generation): (MemberId, u64)| self.group.commit(id, generation, &offsets));
        if is_member {
            self.ledger.committed(assignment, &offsets);
        }
        if answered {
            let latency = self.latency(service);
            let result = if is_member { Ok(()) } else { Err(true) };
            self.process_later(service, process, latency, Next::Committed(result));
        }
    }
}
