//! When to commit: the batch is full, its oldest record has waited long enough, or there is hurry, as at the end.

use std::time::{Duration, Instant};

/// When offsets are committed.
#[derive(Debug, Clone)]
pub struct CommitConfig {
    /// A commit is due at this many committable records.
    pub max_records: usize,
    /// The longest wait of a committable record.
    pub max_wait: Duration,
    /// The most records that may be finished and not committed.
    pub max_uncommitted: usize,
}

/// The longest wait for the next commit after a failed one.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(250);

/// The state of the present batch: its age, and whether the last commit failed.
#[derive(Debug, Default)]
pub(super) struct Batch {
    since: Option<Instant>,
    /// The last commit failed, so neither a full batch nor `hurry` makes the next one due.
    failed: bool,
}

impl Batch {
    /// Whether to commit now. `hurry`: don't wait for a full batch.
    pub(super) fn is_due(
        &mut self,
        config: &CommitConfig,
        committable: usize,
        hurry: bool,
        now: Instant,
    ) -> bool {
        if committable == 0 {
            *self = Self::default();
            return false;
        }
        self.since.get_or_insert(now);
        let full = hurry || committable >= config.max_records;
        (full && !self.failed) || self.due_at(config).is_some_and(|due| now >= due)
    }

    /// The latest time at which the batch is due.
    pub(super) fn due_at(&self, config: &CommitConfig) -> Option<Instant> {
        let wait = if self.failed { PAUSE_AFTER_FAILURE.min(config.max_wait) } else { config.max_wait };
        self.since.map(|since| since + wait)
    }

    /// Begins a new batch.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// Notes that the commit failed.
    pub(super) fn failed(&mut self) {
        self.failed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_due_when_it_is_full_or_old_enough() {
        let config =
            CommitConfig { max_records: 3, max_wait: Duration::from_millis(250), max_uncommitted: 10 };
        let now = Instant::now();
        let mut batch = Batch::default();
        assert!(!batch.is_due(&config, 0, true, now));
        assert!(batch.is_due(&config, 3, false, now));
        batch.begin();
        assert!(!batch.is_due(&config, 2, false, now));
        assert!(batch.is_due(&config, 2, true, now));
        assert_eq!(batch.due_at(&config), Some(now + config.max_wait));
        assert!(batch.is_due(&config, 2, false, now + config.max_wait));
    }

    #[test]
    fn after_a_failure_it_is_due_after_a_pause_whatever_the_hurry() {
        let config = CommitConfig { max_records: 3, max_wait: Duration::from_secs(30), max_uncommitted: 10 };
        let now = Instant::now();
        let mut batch = Batch::default();
        batch.begin();
        batch.failed();
        assert!(!batch.is_due(&config, 3, true, now));
        assert!(batch.is_due(&config, 3, true, now + PAUSE_AFTER_FAILURE));
        batch.begin();
        assert!(batch.is_due(&config, 3, false, now));
    }
}
