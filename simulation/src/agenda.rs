//! What happens when: the one queue of a run. What is due at one time happens in the order in which it was entered.

use std::{cmp::Ordering, collections::BinaryHeap, time::Duration};

/// Things that are due, and the time; both since the begin of the run.
pub(crate) struct Agenda<T> {
    now: Duration,
    entered: u64,
    due: BinaryHeap<Due<T>>,
}

struct Due<T> {
    at: Duration,
    number: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { now: Duration::ZERO, entered: 0, due: BinaryHeap::new() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// Enters what happens so much later.
    pub(crate) fn after(&mut self, wait: Duration, what: T) {
        self.at(self.now + wait, what);
    }

    /// Enters what happens at that time.
    pub(crate) fn at(&mut self, at: Duration, what: T) {
        self.entered += 1;
        self.due.push(Due { at, number: self.entered, what });
    }

    /// Lets the time pass until the next thing happens.
    pub(crate) fn next(&mut self) -> Option<T> {
        let due = self.due.pop()?;
        self.now = self.now.max(due.at);
        Some(due.what)
    }
}

impl<T> Ord for Due<T> {
    /// The first one is the greatest: the heap hands that out.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Due<T> {}
