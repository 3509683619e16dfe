//! The attempts that the log has handed out.

use std::cmp::Ordering;

/// Attempts at the newest code that any were made at. There are no counters to merge: every replica counts the
/// records of one partition, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attempts {
    window: u64,
    generation: u32,
    count: u32,
}

impl Attempts {
    /// Counts the next attempt in the order of the log, and answers its rank from 1.
    ///
    /// An attempt at an older code than the newest one tried is beyond every budget: a newer code exists only
    /// because the older one's was used up or has ended.
    pub(crate) fn count(&mut self, window: u64, generation: u32) -> u32 {
        match (window, generation).cmp(&(self.window, self.generation)) {
            Ordering::Less => return u32::MAX,
            Ordering::Equal => self.count = self.count.saturating_add(1),
            Ordering::Greater => *self = Self { window, generation, count: 1 },
        }
        self.count
    }

    /// How many were handed out for this code.
    pub(crate) fn at(&self, window: u64, generation: u32) -> u32 {
        match (window, generation).cmp(&(self.window, self.generation)) {
            Ordering::Less => u32::MAX,
            Ordering::Equal => self.count,
            Ordering::Greater => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_hands_out_attempts_in_its_own_order() {
        let mut attempts = Attempts::default();
        assert_eq!((1..=7).map(|_| attempts.count(500_000, 0)).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(attempts.count(500_000, 1), 1, "a new code has a budget of its own");
        assert_eq!(attempts.count(500_000, 0), u32::MAX, "an old code has none left");
        assert_eq!((attempts.at(500_000, 1), attempts.at(500_001, 0)), (1, 0));
    }
}
