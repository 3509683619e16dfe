//! The attempts that the log has handed out.

use shared::event::EventId;
use std::cmp::Ordering;

/// No budget is larger (`CODE_ATTEMPTS`), so a later attempt needs no place of its own.
const MOST_COUNTED: usize = 100;

/// Attempts at the newest code that any were made at. There are no counters to merge: every replica counts the
/// records of one partition, in their order.
///
/// They are counted by event id: a producer whose broker froze may write the same attempt twice, which must cost
/// nobody two.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Attempts(Option<Box<AtCode>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct AtCode {
    window: u64,
    generation: u32,
    events: Vec<EventId>,
}

impl Attempts {
    /// Counts an attempt in the order of the log, and answers its rank from 1.
    ///
    /// An attempt at an older code than the newest one tried is beyond every budget: a newer code exists only
    /// because the older one's was used up or has ended.
    pub(crate) fn count(&mut self, window: u64, generation: u32, event: EventId) -> u32 {
        match self.newer_than(window, generation) {
            Ordering::Greater => return u32::MAX,
            Ordering::Equal => {}
            Ordering::Less => self.0 = Some(Box::new(AtCode { window, generation, events: Vec::new() })),
        }
        let Some(AtCode { events, .. }) = self.0.as_deref_mut() else { return u32::MAX };
        let before = events.iter().position(|counted| *counted == event).unwrap_or(events.len());
        if before == events.len() {
            if events.len() == MOST_COUNTED {
                return u32::MAX;
            }
            events.push(event);
        }
        rank(before.saturating_add(1))
    }

    /// How many were handed out for this code.
    pub(crate) fn at(&self, window: u64, generation: u32) -> u32 {
        match self.newer_than(window, generation) {
            Ordering::Greater => u32::MAX,
            Ordering::Equal => self.0.as_ref().map_or(0, |at_code| rank(at_code.events.len())),
            Ordering::Less => 0,
        }
    }

    /// How the newest code that was tried compares with this one.
    fn newer_than(&self, window: u64, generation: u32) -> Ordering {
        let newest = self.0.as_ref().map(|at_code| (at_code.window, at_code.generation));
        newest.cmp(&Some((window, generation)))
    }
}

fn rank(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_hands_out_attempts_in_its_own_order() {
        let mut attempts = Attempts::default();
        let next = |attempts: &mut Attempts, window, generation| {
            attempts.count(window, generation, EventId::random())
        };
        assert_eq!(
            (1..=7).map(|_| next(&mut attempts, 500_000, 0)).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7]
        );
        assert_eq!(next(&mut attempts, 500_000, 1), 1, "a new code has a budget of its own");
        assert_eq!(next(&mut attempts, 500_000, 0), u32::MAX, "an old code has none left");
        assert_eq!((attempts.at(500_000, 1), attempts.at(500_001, 0)), (1, 0));
    }

    #[test]
    fn an_attempt_that_was_written_twice_counts_once() {
        let mut attempts = Attempts::default();
        let events: Vec<_> = (0..3).map(|_| EventId::random()).collect();
        let written = [0, 1, 0, 1, 2, 2];
        let ranks: Vec<_> = written.iter().map(|at| attempts.count(500_000, 0, events[*at])).collect();
        assert_eq!(ranks, [1, 2, 1, 2, 3, 3]);
        assert_eq!(attempts.at(500_000, 0), 3);
    }

    #[test]
    fn what_is_beyond_every_budget_takes_no_room() {
        let mut attempts = Attempts::default();
        let ranks: Vec<_> = (0..200).map(|_| attempts.count(500_000, 0, EventId::random())).collect();
        assert_eq!((ranks[99], ranks[100], attempts.at(500_000, 0)), (100, u32::MAX, 100));
    }
}
