//! How large everything is in a run, and how it is configured: a pure function of the seed.

use crate::random::{Random, generator};
use notification_service::{CommitConfig, simulated::Settings};
use rand::RngExt;
use std::time::Duration;

/// The consumer group of all services of a run.
pub(crate) const GROUP: &str = "mailers";

/// What a run is made of.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    /// Notification services.
    pub(crate) services: usize,
    /// Of each topic.
    pub(crate) partitions: i32,
    /// Faults begin and end in this time.
    pub(crate) faults_for: Duration,
    /// Between two sign-ups, about.
    pub(crate) pause: Duration,
    /// `SMTP_FINAL_TIMEOUT`; the time-out of other replies is half of it.
    pub(crate) final_timeout: Duration,
    pub(crate) sessions: usize,
    pub(crate) max_uncommitted: usize,
    max_records: usize,
    max_wait: Duration,
}

impl Setup {
    pub(crate) fn new(seed: u64, services: usize) -> Self {
        let mut random = generator(seed, 1);
        let sessions = one_of(&mut random, [1, 2, 4, 16]);
        let max_uncommitted = sessions.max(one_of(&mut random, [1, 5, 20, 100, 500]));
        Self {
            seed,
            services,
            partitions: one_of(&mut random, [1, 2, 3, 6]),
            faults_for: Duration::from_mins(one_of(&mut random, [3, 10, 30])),
            pause: Duration::from_millis(one_of(&mut random, [500, 2_000, 5_000, 10_000])),
            final_timeout: Duration::from_secs(one_of(&mut random, [20, 60, 600])),
            sessions,
            max_uncommitted,
            max_records: max_uncommitted.min(one_of(&mut random, [1, 10, 100])),
            max_wait: Duration::from_millis(one_of(&mut random, [50, 250, 2_000])),
        }
    }

    /// As a service gets it.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            group: GROUP.to_owned(),
            commit: CommitConfig {
                max_records: self.max_records,
                max_wait: self.max_wait,
                max_uncommitted: self.max_uncommitted,
            },
            sessions: self.sessions,
            max_backlog_octets: 4 << 20,
            // MAX_CLOCK_SKEW and PUBLISH_TIMEOUT.
            clock_tolerance: Duration::from_secs(125),
        }
    }

    /// The longest time from the last fault until everything is finished and committed. A mail without an answer is given up
    /// after the time-out. Its next try is 2 minutes away, by clocks that differ by 2 minutes. Then the backlog takes a while.
    pub(crate) fn settles_within(&self) -> Duration {
        self.final_timeout + Duration::from_mins(6)
    }
}

/// One of these.
pub(crate) fn one_of<T: Copy, const N: usize>(random: &mut Random, choices: [T; N]) -> T {
    choices[random.random_range(0..N)]
}
