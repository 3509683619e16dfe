//! Decides what happens next: the one state machine between Kafka and the mail server.
//!
//! ```text
//!   record ──► assignment ──► running ──► verdict ──► assignment ──► commit
//!              (backlog)  ◄──────────────── put back  (offsets: the contiguous prefix, in batches)
//! ```
//!
//! An input and the time go in, commands come out. The caller (the shell, `consumer`) carries the commands out in their
//! order. It reports
//!
//! - one [`Input::Ended`] for each [`Command::Start`] and [`Command::Write`], also for those that were discarded;
//! - one [`Input::Committed`] or [`Input::CommitFailed`] for each [`Command::Commit`]; at most one is in flight;
//! - [`Input::Tick`] at [`Mailing::wake_at`] at the latest.
//!
//! Pure except for log lines: no Kafka, no SMTP, no task, no clock, no randomness. The same inputs at the same times lead to
//! the same commands.

use crate::{
    offsets::Partition,
    outcome::Outcome,
    record::Lent,
    status::{Ledger, Work},
};
use assignment::Assignment;
use contract::topic::Topic;
use ending::{Ending, Endings};
use running::Running;
use servers::Servers;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

mod assignment;
mod back_pressure;
mod backlog;
mod batch;
mod chains;
mod dispatch;
mod ending;
mod interface;
mod journal;
mod recent;
mod running;
mod server;
mod servers;
mod turn;
mod verdict;

pub use batch::CommitConfig;
pub use interface::{Command, Input, Now, ServerSettings, Settings};
pub use running::{DeliveryId, Withdrawal};

/// The longest time between two ticks.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The state machine of one group member. It begins without partitions.
#[derive(Debug)]
pub struct Mailing {
    settings: Settings,
    assignment: Assignment,
    running: Running,
    servers: Servers,
    endings: Endings,
    ledger: Ledger,
    /// Topics that contain records of an earlier version. The log has a line for each.
    with_earlier: HashSet<Topic>,
    /// The time of the last input.
    now: Now,
    /// The commands of that input.
    commands: Vec<Command>,
}

impl Mailing {
    pub fn new(settings: Settings, now: Now) -> Self {
        Self {
            servers: Servers::new(&settings.servers),
            settings,
            assignment: Assignment::default(),
            running: Running::default(),
            endings: Endings::default(),
            ledger: Ledger::default(),
            with_earlier: HashSet::new(),
            now,
            commands: Vec::new(),
        }
    }

    /// Takes in an input and returns the commands to carry out.
    pub fn on(&mut self, input: Input<'_>, now: Now) -> Vec<Command> {
        self.now = now;
        match input {
            Input::Taken { partition, offset, lent } => self.take(partition, offset, &lent, now),
            Input::Ended { delivery, end } => self.ended(delivery, end, now),
            Input::Committed => self.assignment.committed(true),
            Input::CommitFailed { expelled } => self.commit_failed(expelled),
            Input::Assigned(partitions) => self.assigned(partitions),
            Input::Revoked { lost } => self.revoked(lost, now),
            Input::Stop => self.stop(now),
            Input::Tick => {}
        }
        self.assignment.backlog.take_up_due(now.wall);
        self.withdraw_from_silent(now);
        self.dispatch(now);
        self.drain_and_commit(now);
        self.apply_back_pressure();
        if self.endings.stop.is_some() && self.is_over(now) {
            self.commands.push(Command::Leave);
        }
        std::mem::take(&mut self.commands)
    }

    /// When the next [`Input::Tick`] is due, always later than the last input. A deadline that has passed is left to the
    /// next one.
    pub fn wake_at(&self) -> Instant {
        let now = self.now;
        let waits = self.assignment.backlog.ready() > 0;
        let probe = if waits { self.servers.next_probe(now.instant) } else { None };
        let due = self.assignment.backlog.next_due().map(|due| {
            now.instant + Duration::try_from(due.duration_since(now.wall)).unwrap_or(Duration::ZERO)
        });
        let commit = self.assignment.commit_due_at(&self.settings.commit);
        let ending = self.endings.current();
        let (abandons, over) = (ending.map(|ending| ending.abandons), ending.map(|ending| ending.over));
        let deadlines = [probe, due, commit, abandons, over].into_iter().flatten();
        deadlines.filter(|at| *at > now.instant).fold(now.instant + LONGEST_SLEEP, Instant::min)
    }

    /// What health and metrics show of this member.
    pub fn work(&self) -> Work {
        Work {
            ledger: self.ledger,
            gates: self.servers.gates(),
            waiting_since: self.assignment.offsets.waiting_since(),
        }
    }

    /// Takes a record; one that asks for no email is finished at once.
    fn take(&mut self, partition: Partition, offset: i64, lent: &Lent<'_>, now: Now) {
        if self.endings.current().is_some() {
            return;
        }
        let taken = self.assignment.take(partition, offset, lent, &self.settings, now.wall);
        let Some(record) = taken else { return };
        if let Some(version) = record.earlier_version()
            && self.with_earlier.insert(partition.topic)
        {
            journal::note_earlier_version(partition.topic, version);
        }
        self.ledger.taken();
        if record.asks_for_nothing() {
            self.finish(record.position, Outcome::Ignored);
        } else {
            self.assignment.backlog.add(record, now.wall);
        }
    }

    fn commit_failed(&mut self, expelled: bool) {
        self.assignment.committed(false);
        // While a revocation is pending, a failed commit is the only sign of an expulsion: librdkafka reports a lost
        // assignment only while none is pending.
        if expelled && self.endings.revocation.is_some() {
            self.give_up();
        }
    }

    fn assigned(&mut self, partitions: Vec<Partition>) {
        // When the topics change, librdkafka rejoins without waiting for the answer to its revocation.
        self.forget_partitions();
        self.assignment.begin(partitions.clone());
        self.commands.push(Command::Assign(partitions));
    }

    fn revoked(&mut self, lost: bool, now: Now) {
        log::info!("deliveries.running" = self.running.deliveries.len(), "lost" = lost; "partitions are given up");
        self.commands.push(Command::CallBack);
        if lost {
            // They already belong to other members: there is nothing to wait for or to commit.
            self.give_up();
        } else {
            self.endings.revocation = Some(Ending::begin(now.instant));
        }
    }

    fn stop(&mut self, now: Now) {
        log::info!("deliveries.running" = self.running.deliveries.len(); "draining");
        self.commands.push(Command::CallBack);
        self.commands.push(Command::Pause(self.assignment.partitions.clone()));
        // A pending revocation has begun the drain already, and the group waits for it: its deadlines hold.
        let ending = self.endings.revocation.unwrap_or_else(|| Ending::begin(now.instant));
        self.endings.stop = Some(ending);
    }

    fn give_up(&mut self) {
        self.forget_partitions();
        self.commands.push(Command::Unassign);
    }

    fn forget_partitions(&mut self) {
        self.endings.revocation = None;
        self.commands.push(Command::Discard);
        self.ledger.handed_back(self.assignment.forget_records());
        // The backlog is empty, so this resumes all partitions. The client would otherwise remember a pause when a partition
        // comes back.
        self.apply_back_pressure();
        self.assignment.begin(Vec::new());
    }

    /// Moves a drain on, and commits if a commit is due.
    fn drain_and_commit(&mut self, now: Now) {
        let ending = self.endings.current();
        if let Some(ending) = ending {
            if self.running.deliveries.is_empty() {
                self.assignment.take_blockers().into_iter().for_each(|item| self.make_way(item, now));
            } else if now.instant >= ending.abandons {
                self.commands.push(Command::Abandon);
            }
            // A process that stops gives up its partitions by leaving the group.
            if self.endings.stop.is_none() && self.is_over(now) {
                self.give_up();
            }
        }
        let hurry = ending.is_some() || (self.is_at_bound() && self.assignment.offsets.commit_makes_room());
        if let Some(positions) = self.assignment.commit(&self.settings.commit, hurry, now.instant) {
            self.commands.push(Command::Commit(positions));
        }
    }

    /// Whether all deliveries have ended and are committed, or the time for that is over.
    fn is_over(&self, now: Now) -> bool {
        let is_done = self.running.deliveries.is_empty() && self.assignment.is_committed();
        is_done || self.endings.current().is_some_and(|ending| now.instant >= ending.over)
    }

    fn apply_back_pressure(&mut self) {
        if self.endings.stop.is_none() {
            self.commands.extend(self.assignment.apply_back_pressure(self.settings.max_backlog_octets));
        }
    }
}

#[cfg(test)]
mod tests;
