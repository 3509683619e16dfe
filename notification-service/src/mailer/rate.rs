//! The provider's rate limit, evenly spread: no burst, however few emails there were before. Pure: `now` is an argument.

use std::time::{Duration, Instant};

/// Hands out the times at which an email may start.
#[derive(Debug)]
pub(super) struct Rate {
    interval: Duration,
    next: Option<Instant>,
}

impl Rate {
    /// `interval`: from one email to the next.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, next: None }
    }

    /// The next free time, not before `now`.
    pub(super) fn slot(&self, now: Instant) -> Instant {
        self.next.map_or(now, |next| next.max(now))
    }

    /// Notes that an email starts at this time.
    pub(super) fn take(&mut self, slot: Instant) {
        self.next = Some(slot + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_are_spread_evenly_and_unused_time_is_not_saved_up() {
        let now = Instant::now();
        let mut rate = Rate::new(Duration::from_millis(100));
        let mut reserve = |now| {
            let slot = rate.slot(now);
            rate.take(slot);
            slot
        };
        let tenth = Duration::from_millis(100);
        assert_eq!([reserve(now), reserve(now), reserve(now)], [now, now + tenth, now + 2 * tenth]);
        let later = now + Duration::from_secs(5);
        assert_eq!([reserve(later), reserve(later)], [later, later + tenth]);
    }
}
