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

/// The clock of the batch that is being filled.
#[derive(Debug, Default)]
pub(super) struct Batch {
    since: Option<Instant>,
}

impl Batch {
    /// Whether to commit now, with so many records committable.
    pub(super) fn is_due(&mut self, config: &CommitConfig, committable: usize, now: Instant) -> bool {
        if committable == 0 {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        committable >= config.max_records || now >= since + config.max_wait
    }

    /// When the batch is due at the latest.
    pub(super) fn due_at(&self, config: &CommitConfig) -> Option<Instant> {
        self.since.map(|since| since + config.max_wait)
    }

    /// Begins a new batch.
    pub(super) fn begin(&mut self) {
        self.since = None;
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
        assert!(!batch.is_due(&config, 0, now));
        assert!(batch.is_due(&config, 3, now));
        batch.begin();
        assert!(!batch.is_due(&config, 2, now));
        assert_eq!(batch.due_at(&config), Some(now + config.max_wait));
        assert!(batch.is_due(&config, 2, now + config.max_wait));
    }
}
