//! The state of this process: its ledger, the gates, its membership in the group.
//!
//! Only the consumer writes it; health and metrics read it. One lock covers all of it, so a reader never sees half a change:
//! at any time, the records taken are those ended plus those in flight.

use crate::{
    offsets::Partition,
    outcome::{Outcome, Reason},
    server_number::ServerNumber,
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Shared by the consumer, health and metrics.
#[derive(Debug, Default)]
pub(crate) struct Status(Mutex<State>);

/// A snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// The consumer group has assigned this process its partitions, possibly none.
    pub(crate) joined: bool,
    /// Uncommitted records of each assigned partition, as of a few seconds ago.
    pub(crate) lag: BTreeMap<Partition, i64>,
    pub(crate) work: Work,
}

/// What the state machine reports.
#[derive(Debug, Clone, Default)]
pub struct Work {
    pub(crate) ledger: Ledger,
    pub gates: Gates,
    /// When the oldest unfinished record was written.
    pub(crate) waiting_since: Option<Timestamp>,
}

/// The gates of the mail servers, in their order. Without any server before the consumer has begun.
#[derive(Debug, Clone, Default)]
pub struct Gates {
    closed_by: [Option<Arc<str>>; ServerNumber::MOST],
    servers: usize,
}

impl Gates {
    /// Takes why each gate is closed; `None` for an open one.
    pub(crate) fn new(all: impl Iterator<Item = Option<Arc<str>>>) -> Self {
        let mut gates = Self::default();
        for (place, closed_by) in gates.closed_by.iter_mut().zip(all) {
            *place = closed_by;
            gates.servers += 1;
        }
        gates
    }

    /// Why this server's gate is closed; `None` when it is open.
    pub fn closed_by(&self, server: ServerNumber) -> Option<&str> {
        self.closed_by[server.index()].as_deref()
    }

    /// Why no mail may be tried: what closed the gate of each server. `None` when one is open.
    pub fn all_closed_by(&self) -> Option<String> {
        let reasons: Vec<_> = self.closed_by[..self.servers].iter().flatten().collect();
        match reasons[..] {
            [] => None,
            _ if reasons.len() < self.servers => None,
            [only] => Some(only.to_string()),
            _ => {
                let numbered = reasons.iter().zip(1..).map(|(reason, number)| format!("{number}: {reason}"));
                Some(numbered.collect::<Vec<_>>().join("; "))
            }
        }
    }
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
    /// Taken, and unfinished when the partition moved to another process or this one stopped.
    pub(crate) handed_back: u64,
    pub(crate) in_flight: u64,
    /// Dead letters by reason.
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

    /// Notes that this process leaves the group and hands its records in flight back.
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
    /// Counts a record that was taken.
    pub(crate) fn taken(&mut self) {
        self.taken += 1;
        self.in_flight += 1;
    }

    /// Counts the outcome of a record.
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

    /// Counts records that went back unfinished.
    pub(crate) fn handed_back(&mut self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.handed_back += records;
        self.in_flight -= records;
    }

    /// The number of dead letters of each reason.
    pub(crate) fn dead_letters(&self) -> [(Reason, u64); Reason::ALL.len()] {
        Reason::ALL.map(|reason| (reason, self.dead_letters[reason as usize]))
    }

    /// Whether the records taken equal those ended, handed back and in flight.
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
