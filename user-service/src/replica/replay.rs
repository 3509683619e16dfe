//! The progress of a replay: for the log lines, and for the moment when it is over.

use crate::log_ends::{Offsets, Partition};
use std::time::{Duration, Instant};

/// A line of the log.
pub(super) enum Report {
    Progress { read: i64, total: i64 },
    CaughtUp { read: i64, after: Duration },
}

impl Report {
    /// Writes the line. That may block, so no lock is held meanwhile.
    pub(super) fn log(&self) {
        match self {
            Self::Progress { read, total } => log::info!("replayed {read} of {total} records"),
            Self::CaughtUp { read, after } => {
                let duration_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                log::info!("duration_ms" = duration_ms; "caught up after {read} records");
            }
        }
    }
}

/// The progress of a replay.
pub(super) struct Replay {
    missing: Offsets,
    pub(super) total: i64,
    pub(super) read: i64,
    began: Instant,
    reported: Instant,
}

impl Replay {
    const REPORT: Duration = Duration::from_secs(2);

    pub(super) fn new(start: &Offsets, mut end: Offsets, now: Instant) -> Self {
        let records = |(partition, end): (&Partition, &i64)| {
            end.saturating_sub(start.get(partition).copied().unwrap_or(*end))
        };
        let total = end.iter().map(records).fold(0, i64::saturating_add);
        end.retain(|partition, end| start.get(partition).is_some_and(|start| start < end));
        Self { missing: end, total, read: 0, began: now, reported: now }
    }

    /// Counts a record that was read. `next` is the offset behind it.
    pub(super) fn advance(&mut self, partition: Partition, next: i64) {
        if !self.is_over() {
            self.read = self.read.saturating_add(1);
            self.reached(partition, next);
        }
    }

    /// Notes that all records before this offset have been read.
    pub(super) fn reached(&mut self, partition: Partition, next: i64) {
        if self.missing.get(&partition).is_some_and(|end| next >= *end) {
            self.missing.remove(&partition);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.missing.is_empty()
    }

    /// What is to be logged now: the progress every two seconds, and the end.
    pub(super) fn report(&mut self, now: Instant) -> Option<Report> {
        let Self { read, total, .. } = *self;
        if self.is_over() {
            return Some(Report::CaughtUp { read, after: now.saturating_duration_since(self.began) });
        }
        let is_due = now.saturating_duration_since(self.reported) >= Self::REPORT;
        is_due.then(|| {
            self.reported = now;
            Report::Progress { read, total }
        })
    }
}
