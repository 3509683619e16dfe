//! Which retries of a record were taken already, so that one chain of them goes on and no second beside it.
//!
//! Each retry is written when the one before it has failed. A group that reads its topics again finds all retries of a record
//! at once, and the record itself; each would go on as a chain of its own, and after the next time there were twice as many.
//! So only one with a higher number than any before it is tried. Pure.

use crate::retry::Retry;
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};

/// So many chains are known, some 200 octets each; a chain that was forgotten may be doubled.
const CAPACITY: usize = 10_000;

/// The newest retry that was taken of each record, by the record's name.
#[derive(Debug, Default)]
pub(super) struct Chains {
    newest: HashMap<String, (u32, Timestamp)>,
    order: VecDeque<String>,
}

impl Chains {
    /// Notes a retry that was taken.
    ///
    /// Number 0 begins a chain: an operator had it replayed, or it was never tried. One with the number and the time of the
    /// newest is that one as a process that stopped wrote it again.
    pub(super) fn note(&mut self, retry: &Retry) {
        if retry.attempts == 0 || !self.is_outdated(retry) {
            let newest = (retry.attempts, retry.not_before);
            if self.newest.insert(retry.source.clone(), newest).is_none() {
                self.order.push_back(retry.source.clone());
            }
        }
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.newest.remove(&oldest);
        }
    }

    /// Whether a later retry of the same record was taken, or another one of the same number.
    pub(super) fn is_outdated(&self, retry: &Retry) -> bool {
        self.newest.get(&retry.source).is_some_and(|(attempts, not_before)| {
            retry.attempts < *attempts || (retry.attempts == *attempts && retry.not_before != *not_before)
        })
    }

    /// Forgets all: with another assignment, what was taken and not finished is read again.
    pub(super) fn clear(&mut self) {
        self.newest.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn retry(source: &str, attempts: u32, second: i64) -> Retry {
        let time = Timestamp::from_second(1_800_000_000 + second).unwrap();
        Retry { not_before: time, attempts, source: source.to_owned(), first_failure: time }
    }

    /// The retries that are tried, of those that are taken in this order.
    fn tried(retries: &[Retry]) -> Vec<u32> {
        let mut chains = Chains::default();
        retries.iter().for_each(|retry| chains.note(retry));
        retries.iter().filter(|retry| !chains.is_outdated(retry)).map(|retry| retry.attempts).collect()
    }

    #[test]
    fn of_a_chain_that_is_read_again_the_newest_goes_on() {
        assert_eq!(tried(&[retry("a", 1, 1), retry("a", 2, 2), retry("a", 3, 3)]), [3]);
        assert_eq!(tried(&[retry("a", 3, 3), retry("a", 1, 9)]), [3], "the record itself was read again");
        assert_eq!(tried(&[retry("a", 3, 3), retry("b", 1, 1)]), [3, 1], "each record has its own");
    }

    #[test]
    fn what_a_process_that_stopped_wrote_again_is_tried() {
        assert_eq!(tried(&[retry("a", 3, 3), retry("a", 3, 3)]), [3, 3]);
        assert_eq!(tried(&[retry("a", 3, 3), retry("a", 3, 4)]), [3]);
    }

    #[test]
    fn an_operators_replay_begins_a_chain() {
        let mut chains = Chains::default();
        for (number, expected) in [(7, false), (0, false), (1, false), (1, true), (2, false)] {
            let retry = retry("a", number, if expected { 99 } else { number.into() });
            chains.note(&retry);
            assert_eq!(chains.is_outdated(&retry), expected, "{number}");
        }
    }

    #[test]
    fn no_more_than_its_capacity_is_known() {
        let mut chains = Chains::default();
        (0..=CAPACITY).for_each(|number| chains.note(&retry(&format!("t/0/{number}"), 1, 1)));
        assert_eq!((chains.newest.len(), chains.order.len()), (CAPACITY, CAPACITY));
    }

    proptest! {
        #[test]
        fn however_often_a_chain_is_read_again_one_goes_on(times in 1..5_usize, length in 1..20_u32) {
            let mut chains = Chains::default();
            let mut topic: Vec<_> = (1..=length).map(|number| retry("a", number, number.into())).collect();
            let mut written = length;
            for _ in 0..times {
                chains.clear();
                // All that is read before the first is due.
                topic.iter().for_each(|retry| chains.note(retry));
                let next: Vec<_> = topic.iter().filter(|retry| !chains.is_outdated(retry)).cloned().collect();
                prop_assert_eq!(next.len(), 1);
                written += 1;
                topic.push(retry("a", next[0].attempts + 1, written.into()));
                // Of the record itself, which was read again, too.
                written += 1;
                topic.push(retry("a", 1, written.into()));
            }
        }
    }
}
