//! The progress of a replay: for the log lines, and for the moment when it is over.

use super::offsets::{Offsets, Partition};
use contract::topic::Topic;
use rdkafka::{Message, message::BorrowedMessage};
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

    pub(super) fn new(start: &Offsets, mut end: Offsets) -> Self {
        let records = |(partition, end): (&Partition, &i64)| {
            end.saturating_sub(start.get(partition).copied().unwrap_or(*end))
        };
        let total = end.iter().map(records).fold(0, i64::saturating_add);
        end.retain(|partition, end| start.get(partition).is_some_and(|start| start < end));
        Self { missing: end, total, read: 0, began: Instant::now(), reported: Instant::now() }
    }

    pub(super) fn advance(&mut self, record: &BorrowedMessage<'_>) {
        if self.is_over() {
            return;
        }
        self.read = self.read.saturating_add(1);
        if let Some(topic) = Topic::from_name(record.topic()) {
            self.reached((topic, record.partition()), record.offset().saturating_add(1));
        }
        if self.reported.elapsed() >= Self::REPORT {
            self.reported = Instant::now();
            log::info!("replayed {} of {} records", self.read, self.total);
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

    /// Logs that the replay is over.
    pub(super) fn report_end(&self) {
        let duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        log::info!("duration_ms" = duration_ms; "caught up after {} records", self.read);
    }
}
