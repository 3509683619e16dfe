//! The end of the work in hand: partitions are given up, or the process stops. Both are states, not loops of their own.

use std::time::{Duration, Instant};

/// Mails may take this long to end when partitions are given up or the process stops. A server may take longer
/// (`SMTP_FINAL_TIMEOUT`), but the rest of the group waits meanwhile, and a supervisor kills in the end. A mail that is
/// abandoned may have been accepted, and is mailed again.
pub(super) const DRAIN: Duration = Duration::from_secs(15);
/// Further time to hand on what was abandoned, and for the last commits.
pub(super) const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limits of one end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    /// When mails that have not ended are abandoned.
    pub(super) abandons: Instant,
    /// When nothing is waited for any more.
    pub(super) over: Instant,
}

/// The ends in progress.
#[derive(Debug, Default)]
pub(super) struct Endings {
    /// Of all partitions, which the group takes back.
    pub(super) revocation: Option<Ending>,
    pub(super) stop: Option<Ending>,
}

impl Ending {
    pub(super) fn begin(now: Instant) -> Self {
        let abandons = now + DRAIN;
        Self { abandons, over: abandons + SETTLE_TIMEOUT }
    }
}

impl Endings {
    /// The time limits that hold now. A process that stops gives its partitions up by leaving.
    pub(super) fn current(&self) -> Option<Ending> {
        self.stop.or(self.revocation)
    }
}
