//! What this process is doing: its ledger, the gate, its membership in the group.
//!
//! Written by the consumer alone, read by health and metrics. All of it lies under one lock, so that a reader never
//! sees half a change: at any time, what was taken is what ended plus what is in flight.

use crate::{offsets::Partition, outcome::Outcome};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Shared by the consumer and those who report on it.
#[derive(Debug, Default)]
pub(crate) struct Status(Mutex<State>);

/// A copy of everything at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// The consumer group has given this process its partitions, be it none.
    pub(crate) joined: bool,
    /// Why the gate is closed; `None` when it is open.
    pub(crate) gate_closed_by: Option<String>,
    pub(crate) ledger: Ledger,
    /// Dead letters by the name of their reason.
    pub(crate) dead_letters: BTreeMap<&'static str, u64>,
    /// Records of each assigned partition that are not committed yet, as of a few seconds ago.
    pub(crate) lag: BTreeMap<Partition, i64>,
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
}

impl Status {
    pub(crate) fn snapshot(&self) -> State {
        self.lock().clone()
    }

    pub(crate) fn set_joined(&self, joined: bool) {
        self.lock().joined = joined;
    }

    pub(crate) fn set_gate(&self, closed_by: Option<String>) {
        self.lock().gate_closed_by = closed_by;
    }

    pub(crate) fn set_lag(&self, lag: BTreeMap<Partition, i64>) {
        self.lock().lag = lag;
    }

    pub(crate) fn set_waiting_since(&self, waiting_since: Option<Timestamp>) {
        self.lock().waiting_since = waiting_since;
    }

    pub(crate) fn taken(&self) {
        let ledger = &mut self.lock().ledger;
        ledger.taken += 1;
        ledger.in_flight += 1;
    }

    /// Enters how a record ended; an interrupted one stays in flight.
    pub(crate) fn ended(&self, outcome: Outcome) {
        let mut state = self.lock();
        if let Outcome::DeadLettered(reason) = outcome {
            *state.dead_letters.entry(reason.name()).or_default() += 1;
        }
        let ledger = &mut state.ledger;
        let count = match outcome {
            Outcome::Delivered => &mut ledger.delivered,
            Outcome::HandedOn => &mut ledger.handed_on,
            Outcome::DeadLettered(_) => &mut ledger.dead_lettered,
            Outcome::Expired => &mut ledger.expired,
            Outcome::Ignored => &mut ledger.ignored,
            Outcome::Duplicate => &mut ledger.duplicates,
            Outcome::Interrupted => return,
        };
        *count += 1;
        ledger.in_flight -= 1;
    }

    pub(crate) fn handed_back(&self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        let ledger = &mut self.lock().ledger;
        ledger.handed_back += records;
        ledger.in_flight -= records;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
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
    use crate::outcome::Reason;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_ledger_balances_at_any_time(steps in proptest::collection::vec(0..9_usize, 0..200)) {
            let status = Status::default();
            let outcomes = [
                Outcome::Delivered, Outcome::HandedOn, Outcome::DeadLettered(Reason::Undecodable), Outcome::Expired,
                Outcome::Ignored, Outcome::Duplicate, Outcome::Interrupted,
            ];
            for step in steps {
                let in_flight = status.snapshot().ledger.in_flight;
                match outcomes.get(step) {
                    Some(outcome) if in_flight > 0 => status.ended(*outcome),
                    None if step == 7 && in_flight > 0 => status.handed_back(1),
                    _ => status.taken(),
                }
                prop_assert!(status.snapshot().ledger.balances());
            }
        }
    }
}
