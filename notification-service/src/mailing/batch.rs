//! When to commit: a batch is full, its oldest record has waited long enough, or all must be settled.

use std::time::{Duration, Instant};

/// The size of a commit's batch.
#[derive(Debug, Clone)]
pub struct CommitConfig {
    /// Records that may be committed, before a commit is due.
    pub max_records: usize,
    /// How long such a record waits at most.
    pub max_wait: Duration,
    /// Records that are finished but not committed, at most.
    pub max_uncommitted: usize,
}

/// After a commit that failed the next one waits no longer than this.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(250);

/// The clock of the batch that is being filled.
#[derive(Debug, Default)]
pub(super) struct Batch {
    since: Option<Instant>,
    /// The last commit failed: there is no hurry that helps.
    failed: bool,
}

impl Batch {
    /// Whether to commit now, with so many records committable; `hurry` when they shall wait for no others.
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

    /// When the batch is due at the latest.
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
