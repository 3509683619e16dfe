//! Deadlines for giving up all partitions, and for stopping the process. Both are states of the machine, not loops of their
//! own.

use std::time::{Duration, Instant};

/// How long mails may go on when partitions are given up or the process stops. A server may take longer
/// (`SMTP_FINAL_TIMEOUT`), but the group waits meanwhile, and a supervisor kills a process that takes too long. The server
/// may have accepted an abandoned mail, and the mail is sent again.
pub(super) const DRAIN: Duration = Duration::from_secs(15);
/// Further time to write those records to the retry topic, and for the last commits.
pub(super) const LAST_WRITES: Duration = Duration::from_secs(5);

/// The deadlines of one drain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    /// When mails in flight are abandoned.
    pub(super) abandons: Instant,
    /// When all waiting ends.
    pub(super) over: Instant,
}

/// The drains that have begun.
#[derive(Debug, Default)]
pub(super) struct Endings {
    /// The group takes all partitions back.
    pub(super) revocation: Option<Ending>,
    pub(super) stop: Option<Ending>,
}

impl Ending {
    pub(super) fn begin(now: Instant) -> Self {
        let abandons = now + DRAIN;
        Self { abandons, over: abandons + LAST_WRITES }
    }
}

impl Endings {
    /// The drain that applies. A process that stops gives up its partitions by leaving the group.
    pub(super) fn current(&self) -> Option<Ending> {
        self.stop.or(self.revocation)
    }
}
