//! What this process is doing: its ledger, the gate, its membership in the group.
//!
//! Written by the consumer alone, read by health and metrics. All of it lies under one lock, so that a reader never
//! sees half a change: at any time, what was taken is what ended plus what is in flight.

use crate::{
    offsets::Partition,
    outcome::{Outcome, Reason},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Shared by the consumer and those who report on it.
#[derive(Debug, Default)]
pub(crate) struct Status(Mutex<State>);

/// A copy of everything at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// The consumer group has given this process its partitions, be it none.
    pub(crate) joined: bool,
    /// Records of each assigned partition that are not committed yet, as of a few seconds ago.
    pub(crate) lag: BTreeMap<Partition, i64>,
    pub(crate) work: Work,
}

/// What the state machine says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    pub(crate) ledger: Ledger,
    /// Why the gate is closed; `None` when it is open.
    pub(crate) gate_closed_by: Option<Arc<str>>,
    /// When the oldest record was written that was taken and has not ended.
    pub(crate) waiting_since: Option<Timestamp>,
}

/// Records since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Ledger {
    pub(crate) taken: u64,
    pub(crate) delivered: u64,
    pub(crate) handed_on: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) expired: u64,
    pub(crate) ignored: u64,
    pub(crate) duplicates: u64,
    /// Taken, but not finished when their partition went to another process or this one stopped.
    pub(crate) handed_back: u64,
    pub(crate) in_flight: u64,
    /// Dead letters by their reason.
    #[serde(skip)]
    dead_letters: [u64; Reason::ALL.len()],
}

impl Status {
    pub(crate) fn snapshot(&self) -> State {
        self.lock().clone()
    }

    pub(crate) fn set_joined(&self) {
        self.lock().joined = true;
    }

    pub(crate) fn set_lag(&self, lag: BTreeMap<Partition, i64>) {
        self.lock().lag = lag;
    }

    pub(crate) fn set_work(&self, work: Work) {
        self.lock().work = work;
    }

    /// Notes that this process leaves the group: what is in flight goes back.
    pub(crate) fn set_left(&self) {
        let mut state = self.lock();
        state.joined = false;
        let ledger = &mut state.work.ledger;
        ledger.handed_back += std::mem::take(&mut ledger.in_flight);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// Enters a record that was taken.
    pub(crate) fn taken(&mut self) {
        self.taken += 1;
        self.in_flight += 1;
    }

    /// Enters how a record ended.
    pub(crate) fn ended(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Delivered => &mut self.delivered,
            Outcome::HandedOn => &mut self.handed_on,
            Outcome::DeadLettered(reason) => {
                self.dead_letters[reason as usize] += 1;
                &mut self.dead_lettered
            }
            Outcome::Expired => &mut self.expired,
            Outcome::Ignored => &mut self.ignored,
            Outcome::Duplicate => &mut self.duplicates,
        };
        *count += 1;
        self.in_flight -= 1;
    }

    /// Enters records that went back unfinished.
    pub(crate) fn handed_back(&mut self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.handed_back += records;
        self.in_flight -= records;
    }

    /// Each reason, with its dead letters.
    pub(crate) fn dead_letters(&self) -> [(Reason, u64); Reason::ALL.len()] {
        Reason::ALL.map(|reason| (reason, self.dead_letters[reason as usize]))
    }

    /// What was taken must be what ended, went back, or is in flight.
    #[cfg(test)]
    pub(crate) fn balances(&self) -> bool {
        let ended = self.delivered
            + self.handed_on
            + self.dead_lettered
            + self.expired
            + self.ignored
            + self.duplicates
            + self.handed_back;
        self.taken == ended + self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_ledger_balances_at_any_time(steps in proptest::collection::vec(0..8_usize, 0..200)) {
            let mut ledger = Ledger::default();
            let outcomes = [
                Outcome::Delivered, Outcome::HandedOn, Outcome::DeadLettered(Reason::Undecodable), Outcome::Expired,
                Outcome::Ignored, Outcome::Duplicate,
            ];
            for step in steps {
                match outcomes.get(step) {
                    Some(outcome) if ledger.in_flight > 0 => ledger.ended(*outcome),
                    None if step == 6 && ledger.in_flight > 0 => ledger.handed_back(1),
                    _ => ledger.taken(),
                }
                prop_assert!(ledger.balances());
                let letters = ledger.dead_letters().iter().map(|(_, count)| count).sum::<u64>();
                prop_assert_eq!(letters, ledger.dead_lettered);
            }
            let status = Status::default();
            status.set_work(Work { ledger, ..Work::default() });
            status.set_left();
            let left = status.snapshot().work.ledger;
            prop_assert!(left.balances() && left.in_flight == 0);
        }
    }
}
