//! Starts records when the gate, the sessions and the limit on uncommitted records allow it, and brings each to its outcome.

use super::{
    Command, DeliveryId, Mailing, Now,
    backlog::Item,
    journal,
    running::{Delivery, Withdrawal},
    server::Change,
    servers::{Choice, holds_up},
    turn::Turn,
    verdict::{self, Next, Role},
};
use crate::{
    gate::Signal,
    offsets::Position,
    outcome::{End, Outcome, Reason, Report, Target},
    server_number::ServerNumber,
};
use runtime::caught::caught;
use std::sync::Arc;

impl Mailing {
    /// Begins all deliveries that may begin now.
    pub(super) fn dispatch(&mut self, now: Now) {
        if self.endings.current().is_some() {
            return;
        }
        let mut twins = Vec::new();
        while let Some(Choice { mut server, mut probe }) = self.servers.choose(&self.running, now.instant) {
            let is_at_bound = self.is_at_bound();
            let beside_another = self.servers.does_another_answer(server);
            if probe && !is_at_bound {
                if beside_another || self.servers.get(server).gate.prefers_untried() {
                    self.assignment.backlog.put_untried_first();
                } else {
                    self.assignment.backlog.put_first_refused_first();
                }
            }
            let mut item = match self.assignment.next(is_at_bound, |at| self.running.has(at)) {
                Some(Turn::Ready(item)) => item,
                Some(Turn::MakeWay(item)) => {
                    self.make_way(item, now);
                    continue;
                }
                None => {
                    self.free_what_is_held_up(&twins, now);
                    break;
                }
            };
            let known = item.mail.is_some_and(|mail| self.running.recent.contains(mail));
            if known || self.assignment.chains.is_outdated(&item.record) {
                self.finish(item.record.position, Outcome::Duplicate);
                continue;
            }
            let has_waited = if beside_another { !item.is_untried() } else { item.was_probe };
            if probe && has_waited && self.servers.is_another_open(server) {
                // Nobody waits for a probe twice, or, while no server answers, twice in a row.
                let Some(open) = self.servers.open(&self.running) else {
                    self.assignment.backlog.push_front(item);
                    break;
                };
                (server, probe) = (open, false);
            }
            let next = judged(|| verdict::at_turn(&item, now));
            if !matches!(next, Next::Finish(_)) && self.running.is_mailing(item.mail) {
                // It goes back, and gets its turn again when the other record of this mail has ended.
                twins.push(item);
                continue;
            }
            item.was_probe = probe;
            if probe {
                self.servers.get(server).gate.probe_started();
            }
            self.follow(Delivery::new(item, server, probe, now.instant), next, now);
        }
        twins.into_iter().rev().for_each(|item| self.assignment.backlog.push_front(item));
    }

    /// Takes in how the task of a delivery ended.
    pub(super) fn ended(&mut self, id: DeliveryId, end: End, now: Now) {
        let Some(mut delivery) = self.running.remove(id) else { return };
        delivery.asks = false;
        let position = delivery.item.record.position;
        let is_current = self.assignment.offsets.is_current(position);
        let judged = match end {
            End::Written(outcome) => Some(Next::Finish(outcome)),
            End::Tried(tried) => {
                let role = match (delivery.probe, self.servers.is_another_open(delivery.server)) {
                    (false, _) => Role::Ordinary,
                    (true, false) => Role::Probe,
                    (true, true) => Role::ProbeBesideAnother,
                };
                let judged = caught(|| verdict::of_try(&delivery.item.record, tried, role, now)).ok();
                judged.map(|(next, report)| {
                    delivery.report = report;
                    let late = delivery.probe && delivery.withdrawn.is_some();
                    if late && (delivery.report.signal == Signal::Silent || role == Role::ProbeBesideAnother)
                    {
                        // It was taken back because the server did not answer. A late answer is none while another server
                        // is faster.
                        delivery.report.signal = Signal::Failed;
                    }
                    next
                })
            }
            End::Gone => None,
        };
        let next = judged.unwrap_or_else(|| {
            self.servers.get(delivery.server).let_go_of(&delivery, now.instant);
            (delivery.probe, delivery.quiet, delivery.report) = (false, true, Report::new(Signal::Silent));
            if is_current {
                journal::note_bug(position);
            }
            verdict::dead_letter(Reason::Panicked, None)
        });
        if matches!(next, Next::Write(_)) && !is_current {
            // The partition's new owner reads the record again.
            return self.servers.get(delivery.server).let_go_of(&delivery, now.instant);
        }
        self.follow(delivery, next, now);
    }

    /// Carries out the next step of a delivery.
    fn follow(&mut self, mut delivery: Delivery, next: Next, now: Now) {
        match next {
            Next::Mail(event) => {
                (delivery.mails, delivery.asks) = (true, true);
                let Delivery { item, server, .. } = &delivery;
                let (position, server, trace) = (item.record.position, *server, item.record.trace());
                let delivery = self.running.add(delivery);
                self.commands.push(Command::Start { delivery, server, position, event, trace });
            }
            Next::Write(target) => {
                let record = Arc::clone(&delivery.item.record);
                let delivery = self.running.add(delivery);
                self.commands.push(Command::Write { delivery, record, target });
            }
            Next::PutBack => {
                self.observe(&delivery, now);
                self.put_back(delivery, now);
            }
            Next::Finish(outcome) => {
                if !delivery.quiet {
                    // The outcome stands, with or without its line.
                    let named = self.servers.are_several();
                    let _ = caught(|| journal::note(&delivery, outcome, named, now));
                }
                self.observe(&delivery, now);
                if let (Outcome::Delivered, Some(mail)) = (outcome, delivery.item.mail) {
                    self.running.recent.insert(mail);
                }
                self.finish(delivery.item.record.position, outcome);
            }
        }
    }

    /// Tells the gate how a delivery ended. If the gate closes, deliveries that wait for a session are called back; with
    /// another server beside this one, so are those whose mail is not sent yet.
    fn observe(&mut self, delivery: &Delivery, now: Now) {
        match self.servers.observe(delivery, now) {
            Some(Change::Closed) if self.servers.are_several() => {
                self.withdraw(delivery.server, Withdrawal::IfUnsent);
            }
            Some(Change::Closed) => self.commands.push(Command::CallBack),
            // When it closes again, it waits for none of these.
            Some(Change::Opened) => {
                let running = self.running.deliveries.values_mut();
                running.filter(|it| it.server == delivery.server).for_each(|it| it.probe = false);
            }
            None => {}
        }
    }

    /// Takes mails back from servers that have been silent for too long.
    pub(super) fn withdraw_from_silent(&mut self, now: Now) {
        for server in self.servers.find_silent(&self.running, now) {
            self.withdraw(server, Withdrawal::IfUnsent);
        }
        if !self.servers.is_any_open() {
            self.give_up_silent_probes(now);
        }
    }

    /// A probe that was sent to its end may be with its silent server for as long as `SMTP_FINAL_TIMEOUT`. Now that no server
    /// takes the mail, the next one begins meanwhile.
    fn give_up_silent_probes(&mut self, now: Now) {
        let running = self.running.deliveries.values_mut();
        for delivery in running.filter(|it| it.probe && it.asks && it.withdrawn.is_some()) {
            self.servers.get(delivery.server).give_up_probe(delivery, now);
            delivery.probe = false;
        }
    }

    /// Nothing may be started because of mails that have not ended. Takes those back that are with a server whose gate is
    /// closed: another one is open, so the others need not wait for it. Such a mail may be sent twice. `twins`: records that wait
    /// for another one of the same mail.
    fn free_what_is_held_up(&mut self, twins: &[Item], now: Now) {
        if !self.servers.are_several() || !self.is_at_bound() || self.assignment.offsets.commit_makes_room() {
            return;
        }
        let blockers: Vec<_> = self.assignment.offsets.blockers().collect();
        let holds_up_twin = |it: &Delivery| twins.iter().any(|twin| twin.mail == it.item.mail);
        for server in self.servers.waits_for_nobody() {
            let with_it = self.running.deliveries.values().filter(|it| it.server == server && it.asks);
            // Without any finished record, the mails in flight alone are at the limit.
            let mut blocking = with_it.filter(|it| {
                blockers.is_empty() || blockers.contains(&it.item.record.position) || holds_up_twin(it)
            });
            let blocks = |it: &Delivery| it.withdrawn < Some(Withdrawal::Anyway) && holds_up(it, now.instant);
            if blocking.any(blocks) {
                self.withdraw(server, Withdrawal::Anyway);
            }
        }
    }

    fn withdraw(&mut self, server: ServerNumber, withdrawal: Withdrawal) {
        let with_it = self.running.deliveries.values_mut().filter(|it| it.server == server && it.asks);
        with_it.for_each(|delivery| delivery.withdrawn = delivery.withdrawn.max(Some(withdrawal)));
        self.commands.push(Command::Withdraw { server, withdrawal });
    }

    /// Puts a record back into the backlog. A failed probe goes last: a record on which the server always fails must not
    /// keep the gate closed. With another server open it goes first, since that one takes it at once. A record to which the
    /// server gave no answer is put off. Each further try could take just as long, and meanwhile the gate would be closed or
    /// finished records would wait behind it.
    fn put_back(&mut self, delivery: Delivery, now: Now) {
        let has_waited = delivery.withdrawn.is_some() && holds_up(&delivery, now.instant);
        let Delivery { mut item, server, probe, report, .. } = delivery;
        if !self.assignment.offsets.is_current(item.record.position) {
            return;
        }
        let another_takes_it = self.servers.is_another_open(server);
        // At the limit no other record can be the probe, so its failures count.
        item.note_try(&report, (probe || another_takes_it) && !self.is_at_bound());
        if has_waited {
            item.note_wait();
        }
        if probe && !report.is_unanswered() && !another_takes_it {
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
        let mut delivery = Delivery::new(item, ServerNumber::FIRST, false, now.instant);
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
