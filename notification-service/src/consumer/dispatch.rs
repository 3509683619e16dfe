//! Which record is started when: as the gate, the sessions and the bound on uncommitted records allow.

use super::{Consumer, Started, backlog::Item, recent::MailId};
use crate::{
    dead_letters::replay_command,
    delivery::{self, Task},
    email,
    gate::{Admission, Signal},
    mailer::ServerFailure,
    offsets::Position,
    outcome::{Outcome, Reason, Report},
    record::Content,
};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Instant};

/// A record on which the server failed so often while it served others is put off, as if it had been refused.
const FAILURES_OF_ONE_RECORD: u32 = 3;

impl Consumer {
    /// Starts all deliveries that may start now.
    pub(super) fn dispatch(&mut self, now: Instant) {
        if self.ending().is_some() {
            return;
        }
        let mut twins = Vec::new();
        while self.running.len() < self.max_running {
            let probe = match self.gate.admission(now) {
                Admission::All => false,
                Admission::Probe => true,
                Admission::Nothing(_) => break,
            };
            if probe && self.gate.prefers_untried() {
                self.backlog.put_untried_first();
            } else if probe {
                self.backlog.put_first_refused_first();
            }
            let Some(item) = self.next_item() else { break };
            if let Some(outcome) = self.settled(&item) {
                self.finish(item.record.position, outcome);
                continue;
            }
            if self.is_being_mailed(&item) {
                twins.push(item);
                continue;
            }
            let task =
                if item.failures >= FAILURES_OF_ONE_RECORD { Task::Postpone } else { Task::Mail { probe } };
            self.start(item, task, probe);
        }
        twins.into_iter().rev().for_each(|item| self.backlog.push_front(item));
    }

    /// The next record to start. At the bound on uncommitted records only one that blocks a commit qualifies: any other
    /// would exceed the bound.
    fn next_item(&mut self) -> Option<Item> {
        if !self.is_at_bound() {
            return self.backlog.pop();
        }
        let is_running = |at: &Position| self.started.values().any(|it| it.item.record.position == *at);
        let blockers: Vec<_> = self.offsets.blockers().filter(|at| !is_running(at)).collect();
        // Most often all of them are running, and the backlog, which is long then, has nothing to be looked for.
        if blockers.is_empty() {
            return None;
        }
        let is_in_the_way = |position| blockers.contains(&position);
        if let Some(item) = self.backlog.pop_ready(is_in_the_way) {
            return Some(item);
        }
        let waiting = self.backlog.pop_delayed(is_in_the_way)?;
        self.start(waiting, Task::Requeue, false);
        None
    }

    fn is_at_bound(&self) -> bool {
        self.offsets.done() + self.running.len() >= self.config.max_uncommitted
    }

    /// The outcome of a record that needs no delivery.
    fn settled(&self, item: &Item) -> Option<Outcome> {
        if self.chains.is_outdated(&item.record) {
            return Some(Outcome::Duplicate);
        }
        let Content::Event(event) = &item.record.content else { return None };
        if self.recent.contains(MailId::of(event)) {
            return Some(Outcome::Duplicate);
        }
        let expired = email::is_expired(event, Timestamp::now());
        if expired {
            delivery::note_expired(&item.record);
        }
        expired.then_some(Outcome::Expired)
    }

    /// Whether another record of the same mail is on its way at this moment.
    fn is_being_mailed(&self, item: &Item) -> bool {
        matches!(&item.record.content, Content::Event(event) if self.mailing.contains(&MailId::of(event)))
    }

    pub(super) fn start(&mut self, item: Item, task: Task, probe: bool) {
        if probe {
            self.gate.probe_started();
        }
        if let (Task::Mail { .. }, Content::Event(event)) = (task, &item.record.content) {
            self.mailing.insert(MailId::of(event));
        }
        let (delivery, record) = (Arc::clone(&self.delivery), Arc::clone(&item.record));
        let (round, talks) = (self.round.clone(), self.talks.clone());
        let running = self.running.spawn(async move { delivery.run(task, &record, &round, &talks).await });
        self.started.insert(running.id(), Started { item, task, probe, began: Instant::now() });
    }

    /// Tells the gate how a delivery ended. When it closes, deliveries that wait for a session are called back.
    pub(super) fn observe(&mut self, report: &Report, started: &Started) {
        let was_open = self.gate.is_open();
        self.gate.observe(report.signal, started.tried(), Instant::now(), rand::random_range(0.0..1.0));
        match (was_open, self.gate.is_open()) {
            (true, false) => {
                let reason = report.failure.as_ref().map_or_else(
                    || match report.reply {
                        Some(reply) => {
                            format!("refused many recipients in a row, the last with reply {reply}")
                        }
                        None => "refused many recipients in a row".to_owned(),
                    },
                    ToString::to_string,
                );
                log::warn!("reason" = reason.as_str(); "mail server not usable: gate closed, probing");
                self.say_how_to_replay();
                self.status.set_gate(Some(reason));
                self.call_back_waiting();
            }
            (false, true) => {
                log::info!("mail server usable again: gate open");
                self.status.set_gate(None);
            }
            (false, false) => {
                if let Some(failure) = &report.failure {
                    self.status.set_gate(Some(failure.to_string()));
                }
            }
            (true, true) => {}
        }
    }

    /// The first ones of a row of refusals for good have become dead letters before it was one.
    fn say_how_to_replay(&self) {
        let Some(since) = self.gate.refused_for_good_since() else { return };
        let age = SignedDuration::try_from(since.elapsed()).unwrap_or_default();
        let since = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
        log::warn!(
            "replay" = replay_command(Reason::RecipientRefused, since).as_str();
            "recipients were refused for good in a row, nobody was served: if the server meant us, replay these dead letters"
        );
    }

    /// Deliveries that still wait for a session come back as interrupted.
    pub(super) fn call_back_waiting(&mut self) {
        std::mem::take(&mut self.round).cancel();
    }

    /// Puts an interrupted record back into the backlog. A failed probe goes last, so that a record on which the
    /// server always fails can't keep the gate closed. One that the server left without an answer is put off: each further
    /// try could take as long, while the gate is closed or finished records wait behind it.
    pub(super) fn put_back(&mut self, started: Started, report: &Report) {
        let Started { mut item, probe, .. } = started;
        if !self.offsets.is_current(item.record.position) {
            return;
        }
        item.tried |= report.signal != Signal::Silent;
        let unanswered = report.failure.as_ref().is_some_and(ServerFailure::may_be_about_the_mail);
        let failed = matches!(report.signal, Signal::Failed | Signal::Unwelcome);
        if unanswered {
            item.failures = FAILURES_OF_ONE_RECORD;
        } else if failed && (!probe || self.is_at_bound()) {
            // At the bound there is no other to probe with.
            item.failures += 1;
        }
        if probe && !unanswered { self.backlog.push_back(item) } else { self.backlog.push_front(item) }
    }
}
