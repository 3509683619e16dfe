//! The events that were mailed lately, so that one that was written or replayed twice is mailed once.

use shared::event::EventId;
use std::collections::{HashSet, VecDeque};

/// So many are remembered, 40 octets each: about a minute's work at full speed.
const CAPACITY: usize = 50_000;

/// A set that forgets its oldest members.
#[derive(Debug, Default)]
pub(super) struct Recent {
    known: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Recent {
    pub(super) fn contains(&self, id: EventId) -> bool {
        self.known.contains(&id)
    }

    pub(super) fn insert(&mut self, id: EventId) {
        if self.known.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_the_newest_and_no_more_than_its_capacity() {
        let ids: Vec<_> = (0..=CAPACITY).map(|_| EventId::random()).collect();
        let mut recent = Recent::default();
        ids.iter().for_each(|id| recent.insert(*id));
        assert!(!recent.contains(ids[0]) && recent.contains(ids[1]) && recent.contains(ids[CAPACITY]));
        assert_eq!(recent.known.len(), CAPACITY);
    }
}
