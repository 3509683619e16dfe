//! Registrations that this replica wrote itself. They are in the view since their ack,
//! and reading each of them again would take a seventh of a registration's CPU time.
//!
//! This covers the topic of registrations alone: merging those is idempotent and needs no order. Attempts,
//! and a verification after a tombstone, depend on the order of their partition, so every replica reads them.

use contract::event::EventId;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

/// The offsets of these records, by partition, until the follower has reached them.
/// Each is kept with its event: a log that was truncated has other records there.
#[derive(Debug, Default)]
pub(super) struct OwnRecords(Mutex<HashMap<i32, BTreeMap<i64, EventId>>>);

impl OwnRecords {
    /// Notes a record that is in the view already.
    pub(super) fn note(&self, partition: i32, offset: i64, event: EventId) {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        partitions.entry(partition).or_default().insert(offset, event);
    }

    /// Whether the record that the follower has reached is one of them. Forgets it and all before it.
    pub(super) fn take(&self, partition: i32, offset: i64, event: Option<EventId>) -> bool {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(offsets) = partitions.get_mut(&partition) else { return false };
        // These were noted after the follower had read them.
        while offsets.first_key_value().is_some_and(|(first, _)| *first < offset) {
            offsets.pop_first();
        }
        offsets.remove(&offset).is_some_and(|own| Some(own) == event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{event::EventKind, registration_id::RegistrationId};

    fn event() -> EventId {
        EventId::of_registration(EventKind::Created, RegistrationId::random())
    }

    #[test]
    fn a_record_is_passed_over_once_and_only_where_it_stands() {
        let (own, event) = (OwnRecords::default(), event());
        own.note(1, 7, event);
        assert!(!own.take(0, 7, Some(event)) && !own.take(1, 6, Some(event)));
        assert!(own.take(1, 7, Some(event)) && !own.take(1, 7, Some(event)));
    }

    #[test]
    fn another_record_that_stands_there_is_read() {
        let own = OwnRecords::default();
        for read in [Some(event()), None] {
            own.note(0, 7, event());
            assert!(!own.take(0, 7, read));
        }
    }

    #[test]
    fn what_is_noted_too_late_is_forgotten_with_the_next_record() {
        let (own, event) = (OwnRecords::default(), event());
        [3, 4, 9].into_iter().for_each(|offset| own.note(0, offset, event));
        assert!(!own.take(0, 5, Some(event)));
        assert_eq!(own.0.lock().unwrap()[&0], [(9, event)].into());
    }
}
