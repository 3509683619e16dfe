//! Starts records when the gate, the sessions and the limit on uncommitted records allow it, and brings each to its outcome.

use super::{
    Command, DeliveryId, Mailing, Now,
    backlog::Item,
    journal,
    running::Delivery,
    server::Change,
    turn::Turn,
    verdict::{self, Next},
};
use crate::{
    gate::{Admission, Signal},
    offsets::Position,
    outcome::{End, Outcome, Reason, Report, Target},
};
use runtime::caught::caught;
use std::sync::Arc;

/// For each session, one delivery that uses it and one that is next.
const DELIVERIES_PER_SESSION: usize = 2;

impl Mailing {
    /// Begins all deliveries that may begin now.
    pub(super) fn dispatch(&mut self, now: Now) {
        if self.endings.current().is_some() {
            return;
        }
        let mut twins = Vec::new();
        while self.running.deliveries.len() < self.settings.sessions * DELIVERIES_PER_SESSION {
            let probe = match self.server.gate.admission(now.instant) {
                Admission::All => false,
                Admission::Probe => true,
                Admission::Nothing(_) => break,
            };
            let is_at_bound = self.is_at_bound();
            if probe && !is_at_bound {
                if self.server.gate.prefers_untried() {
                    self.assignment.backlog.put_untried_first();
                } else {
                    self.assignment.backlog.put_first_refused_first();
                }
            }
            let item = match self.assignment.next(is_at_bound, |at| self.running.has(at)) {
                Some(Turn::Ready(item)) => item,
                Some(Turn::MakeWay(item)) => {
                    self.make_way(item, now);
                    continue;
                }
                None => break,
            };
            let known = item.mail.is_some_and(|mail| self.running.recent.contains(mail));
            if known || self.assignment.chains.is_outdated(&item.record) {
                self.finish(item.record.position, Outcome::Duplicate);
                continue;
            }
            let next = judged(|| verdict::at_turn(&item, now));
            if !matches!(next, Next::Finish(_)) && self.running.is_mailing(item.mail) {
                // It goes back, and gets its turn again when the other record of this mail has ended.
                twins.push(item);
                continue;
            }
            if probe {
                self.server.gate.probe_started();
            }
            self.follow(Delivery::new(item, probe, now.instant), next, now);
        }
        twins.into_iter().rev().for_each(|item| self.assignment.backlog.push_front(item));
    }

    /// Takes in how the task of a delivery ended.
    pub(super) fn ended(&mut self, id: DeliveryId, end: End, now: Now) {
        let Some(mut delivery) = self.running.deliveries.remove(&id) else { return };
        let position = delivery.item.record.position;
        let is_current = self.assignment.offsets.is_current(position);
        let judged = match end {
            End::Written(outcome) => Some(Next::Finish(outcome)),
            End::Tried(tried) => {
                let judged =
                    caught(|| verdict::of_try(&delivery.item.record, tried, delivery.probe, now)).ok();
                judged.map(|(next, report)| {
                    delivery.report = report;
                    next
                })
            }
            End::Gone => None,
        };
        let next = judged.unwrap_or_else(|| {
            self.server.let_go_of(&delivery, now.instant);
            (delivery.probe, delivery.quiet, delivery.report) = (false, true, Report::new(Signal::Silent));
            if is_current {
                journal::note_bug(position);
            }
            verdict::dead_letter(Reason::Panicked, None)
        });
        if matches!(next, Next::Write(_)) && !is_current {
            // The partition's new owner reads the record again.
            return self.server.let_go_of(&delivery, now.instant);
        }
        self.follow(delivery, next, now);
    }

    /// Carries out the next step of a delivery.
    fn follow(&mut self, mut delivery: Delivery, next: Next, now: Now) {
        match next {
            Next::Mail(event) => {
                delivery.mails = true;
                let (position, trace) = (delivery.item.record.position, delivery.item.record.trace());
                let delivery = self.running.add(delivery);
                self.commands.push(Command::Start { delivery, position, event, trace });
            }
            Next::Write(target) => {
                let record = Arc::clone(&delivery.item.record);
                let delivery = self.running.add(delivery);
                self.commands.push(Command::Write { delivery, record, target });
            }
            Next::PutBack => {
                self.observe(&delivery, now);
                self.put_back(delivery);
            }
            Next::Finish(outcome) => {
                if !delivery.quiet {
                    // The outcome stands, with or without its line.
                    let _ = caught(|| journal::note(&delivery, outcome, now));
                }
                self.observe(&delivery, now);
                if let (Outcome::Delivered, Some(mail)) = (outcome, delivery.item.mail) {
                    self.running.recent.insert(mail);
                }
                self.finish(delivery.item.record.position, outcome);
            }
        }
    }

    /// Tells the gate how a delivery ended. If the gate closes, deliveries that wait for a session are called back.
    fn observe(&mut self, delivery: &Delivery, now: Now) {
        match self.server.observe(delivery, now) {
            Some(Change::Closed) => self.commands.push(Command::CallBack),
            // When it closes again, it waits for none of these.
            Some(Change::Opened) => {
                self.running.deliveries.values_mut().for_each(|delivery| delivery.probe = false)
            }
            None => {}
        }
    }

    /// Puts a record back into the backlog. A failed probe goes last: a record on which the server always fails must not
    /// keep the gate closed. A record to which the server gave no answer is put off. Each further try could take just as
    /// long, and meanwhile the gate would be closed or finished records would wait behind it.
    fn put_back(&mut self, delivery: Delivery) {
        let Delivery { mut item, probe, report, .. } = delivery;
        if !self.assignment.offsets.is_current(item.record.position) {
            return;
        }
        // At the limit no other record can be the probe, so its failures count.
        item.note_try(&report, probe && !self.is_at_bound());
        if probe && !report.is_unanswered() {
            self.assignment.backlog.push_back(item);
        } else {
            self.assignment.backlog.push_front(item);
        }
    }

    pub(super) fn finish(&mut self, position: Position, outcome: Outcome) {
        // False: its assignment has ended, and the record was counted as handed back.
        if self.assignment.finish(position, outcome) {
            self.ledger.ended(outcome);
        }
    }

    /// Takes a record out of the way, so that finished records behind it can be committed.
    pub(super) fn make_way(&mut self, item: Item, now: Now) {
        let next = judged(|| verdict::out_of_the_way(&item, now));
        let mut delivery = Delivery::new(item, false, now.instant);
        delivery.quiet = matches!(next, Next::Write(Target::Retry(_)));
        self.follow(delivery, next, now);
    }

    /// Whether one more delivery could exceed the limit on records that are finished but not committed.
    pub(super) fn is_at_bound(&self) -> bool {
        self.assignment.offsets.done() + self.running.deliveries.len() >= self.settings.commit.max_uncommitted
    }
}

/// The next step for a record. A bug in judging it makes it a dead letter, and ends no other work.
fn judged(judge: impl FnOnce() -> Next) -> Next {
    caught(judge).unwrap_or_else(|_| verdict::dead_letter(Reason::Panicked, None))
}
