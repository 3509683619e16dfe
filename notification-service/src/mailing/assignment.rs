//! The partitions that this member owns, and their records from taken to committed.
//!
//! This state dies with the assignment: the next owner reads the records again from the last commit.

use super::{
    Command, Settings,
    back_pressure::{Levels, Pressure},
    backlog::{Backlog, Item},
    batch::{Batch, CommitConfig},
    chains::Chains,
};
use crate::{
    offsets::{Offsets, Partition, Position},
    outcome::Outcome,
    record::{Lent, Record},
    retry,
};
use contract::topic::Topic;
use jiff::Timestamp;
use std::time::Instant;

/// The partitions and everything known of their records. None at first.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    pub(super) partitions: Vec<Partition>,
    pub(super) offsets: Offsets,
    pub(super) backlog: Backlog,
    pub(super) chains: Chains,
    batch: Batch,
    /// The positions in the commit that is in flight.
    committing: Option<Vec<Position>>,
    sources: Pressure,
    retries: Pressure,
}

impl Assignment {
    /// Begins with these partitions.
    pub(super) fn begin(&mut self, partitions: Vec<Partition>) {
        self.offsets.assign(partitions.iter().copied());
        self.partitions = partitions;
    }

    /// Forgets all records, and returns how many of them were unfinished.
    pub(super) fn forget_records(&mut self) -> usize {
        self.backlog.clear();
        self.chains.clear();
        self.offsets.revoke()
    }

    /// Takes a record. `None` when there is nothing to do for it: it was taken before, its partition belongs to another
    /// member, or it is a retry of another consumer group.
    pub(super) fn take(
        &mut self,
        partition: Partition,
        offset: i64,
        lent: &Lent<'_>,
        settings: &Settings,
        now: Timestamp,
    ) -> Option<Record> {
        let position = self.offsets.take(partition, offset, lent.written_at(now))?;
        if partition.topic == Topic::MailRetry
            && retry::is_of_another_group(lent.header(retry::GROUP), &settings.group)
        {
            self.offsets.pass(position);
            return None;
        }
        let record = Record::new(position, lent, now, settings.clock_tolerance);
        self.chains.note(&record);
        Some(record)
    }

    /// All waiting records that stand before finished ones. Left unfinished, they would cause duplicates of the finished
    /// ones.
    pub(super) fn take_blockers(&mut self) -> Vec<Item> {
        self.backlog.take_all(|position| self.offsets.holds_up_done(position))
    }

    /// Notes a record as finished; false when its assignment has ended.
    pub(super) fn finish(&mut self, position: Position, outcome: Outcome) -> bool {
        match outcome {
            // If it is read again, there is nothing to do either.
            Outcome::Ignored | Outcome::Expired => self.offsets.pass(position),
            _ => self.offsets.finish(position),
        }
    }

    /// The positions to commit now, if a commit is due and none is in flight. `hurry`: finished records don't wait for a
    /// fuller batch.
    pub(super) fn commit(
        &mut self,
        config: &CommitConfig,
        hurry: bool,
        now: Instant,
    ) -> Option<Vec<Position>> {
        if !self.batch.is_due(config, self.offsets.committable(), hurry, now) || self.committing.is_some() {
            return None;
        }
        self.batch.begin();
        self.committing = Some(self.offsets.prefixes());
        self.committing.clone()
    }

    /// The latest time at which the present batch is committed.
    pub(super) fn commit_due_at(&self, config: &CommitConfig) -> Option<Instant> {
        if self.committing.is_none() { self.batch.due_at(config) } else { None }
    }

    /// Takes in whether the commit succeeded.
    pub(super) fn committed(&mut self, succeeded: bool) {
        let positions = self.committing.take().unwrap_or_default();
        if succeeded {
            positions.into_iter().for_each(|position| self.offsets.committed(position));
        } else {
            self.offsets.commit_failed();
            self.batch.failed();
        }
    }

    /// Whether everything committable is committed.
    pub(super) fn is_committed(&self) -> bool {
        self.committing.is_none() && self.offsets.committable() == 0
    }

    /// Pauses partitions above the high level and resumes them below the low one. `most`: the limit in octets for all
    /// records together.
    ///
    /// The retry topic is paused later than the others. While a client has one partition to fetch from a broker, it asks
    /// that broker every `fetch.wait.max.ms`, and that request also covers resumed partitions. Not every process owns a
    /// partition of the retry topic.
    pub(super) fn apply_back_pressure(&mut self, most: usize) -> Vec<Command> {
        let levels = Levels::of(&self.backlog, self.offsets.octets(), most);
        let changes =
            [(false, self.sources.update(levels.sources)), (true, self.retries.update(levels.retries))];
        let mut commands = Vec::new();
        for (of_retries, change) in changes {
            let Some(paused) = change else { continue };
            let partitions = self.partitions.iter().copied();
            let partitions = partitions.filter(|it| (it.topic == Topic::MailRetry) == of_retries).collect();
            commands.push(if paused { Command::Pause(partitions) } else { Command::Resume(partitions) });
        }
        commands
    }
}
