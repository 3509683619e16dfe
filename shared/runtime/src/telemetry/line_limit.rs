//! A limit for log lines that anybody with the right to write a record can
//! cause: in each period the first lines are written, the others are counted.
//!
//! At a hundred thousand broken records a second, a line for each would fill a disk
//! in an hour. Each such record stays in its topic and is counted in a metric. The
//! line is for the person who looks for the cause, and a few lines show it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most lines that are written in [`TIME`].
const LINES: u32 = 20;
const TIME: Duration = Duration::from_secs(10);

/// The limit for one kind of lines.
#[derive(Debug, Default)]
pub struct LineLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl LineLimit {
    /// A limit for lines of which none was written yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(State { began: None, written: 0, left_out: 0 }))
    }

    /// Whether a line is to be written `now`. If so: how many were left out since the last one.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.began.is_none_or(|began| now.saturating_duration_since(began) >= TIME) {
            (state.began, state.written) = (Some(now), 0);
        }
        if state.written >= LINES {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.written = state.written.saturating_add(1);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_the_first_lines_are_written_and_the_rest_is_counted() {
        let (limit, began) = (LineLimit::new(), Instant::now());
        let mut lines = Vec::new();
        for second in 0..25 {
            let now = began + Duration::from_secs(second);
            lines.extend((0..1_000).filter_map(|_| limit.admit(now)));
        }
        // Lines are written in the seconds 0, 10 and 20. The first line after a pause says how many were left out.
        assert_eq!(lines.len(), 3 * 20);
        assert_eq!(lines.iter().sum::<u64>(), 2 * (10_000 - 20));
        assert_eq!(lines[20], 10_000 - 20);
    }

    #[test]
    fn of_a_few_lines_none_is_left_out() {
        let (limit, began) = (LineLimit::new(), Instant::now());
        assert!((0..100).all(|second| limit.admit(began + Duration::from_secs(second)) == Some(0)));
    }
}
