//! Registrations that this replica wrote itself: they are in the view since their ack, and reading each of them again would
//! be a seventh of a registration's CPU time.
//!
//! Of the topic of registrations alone: merging those is idempotent and in no order. What the order of a partition decides
//! (attempts, and a verified account after a tombstone) is read by every replica.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

/// The offsets of these records, by partition, until the follower has come to them.
#[derive(Debug, Default)]
pub(super) struct OwnRecords(Mutex<HashMap<i32, BTreeSet<i64>>>);

impl OwnRecords {
    /// Notes a record that is in the view.
    pub(super) fn note(&self, partition: i32, offset: i64) {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        partitions.entry(partition).or_default().insert(offset);
    }

    /// Whether the record that the follower has come to is one of them; forgets it and all before it.
    pub(super) fn take(&self, partition: i32, offset: i64) -> bool {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(offsets) = partitions.get_mut(&partition) else { return false };
        // Noted after the follower had read it.
        while offsets.first().is_some_and(|first| *first < offset) {
            offsets.pop_first();
        }
        offsets.remove(&offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_passed_over_once_and_only_in_its_partition() {
        let own = OwnRecords::default();
        own.note(1, 7);
        assert!(!own.take(0, 7) && !own.take(1, 6));
        assert!(own.take(1, 7) && !own.take(1, 7));
    }

    #[test]
    fn what_is_noted_too_late_is_forgotten_with_the_next_record() {
        let own = OwnRecords::default();
        [3, 4, 9].into_iter().for_each(|offset| own.note(0, offset));
        assert!(!own.take(0, 5));
        assert_eq!(own.0.lock().unwrap()[&0], [9].into());
    }
}
