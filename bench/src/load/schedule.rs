//! The due times of an open loop's requests. Pure.

use std::time::Duration;

/// A constant rate for some time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) per_second: u32,
    pub(crate) length: Duration,
}

impl Schedule {
    /// Number and due time of every request. Each time is computed from the start, so that errors don't add up.
    pub(crate) fn moments(self) -> impl Iterator<Item = (u64, Duration)> {
        let per_second = u64::from(self.per_second.max(1));
        (0..)
            .map(move |number: u64| {
                let rest = (number % per_second) * 1_000_000_000 / per_second;
                (number, Duration::from_secs(number / per_second) + Duration::from_nanos(rest))
            })
            .take_while(move |(_, due)| *due < self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_divides_no_second_evenly_does_not_drift() {
        let schedule = Schedule { per_second: 7, length: Duration::from_secs(1000) };
        let moments: Vec<_> = schedule.moments().collect();
        assert_eq!(moments.len(), 7000);
        assert_eq!(moments[6993], (6993, Duration::from_secs(999)));
        assert!(moments.windows(2).all(|pair| pair[0].1 < pair[1].1));
    }

    #[test]
    fn nothing_is_due_at_the_end_or_later() {
        let schedule = Schedule { per_second: 10, length: Duration::from_millis(250) };
        let due: Vec<_> = schedule.moments().map(|(_, due)| due.as_millis()).collect();
        assert_eq!(due, [0, 100, 200]);
    }
}
