//! The progress of a replay: for the log lines, and for the moment when it is over.

use crate::log_ends::{Offsets, Partition};
use std::time::{Duration, Instant};

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

    /// Logs the progress every two seconds, and the end.
    pub(super) fn report(&mut self, now: Instant) {
        if self.is_over() {
            let duration = now.saturating_duration_since(self.began);
            let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            log::info!("duration_ms" = duration_ms; "caught up after {} records", self.read);
        } else if now.saturating_duration_since(self.reported) >= Self::REPORT {
            self.reported = now;
            log::info!("replayed {} of {} records", self.read, self.total);
        }
    }
}
