//! Records that were taken and wait: for their turn, or for the time of their next try.
//!
//! Both are bounded by pausing partitions. A client that has paused all of its partitions at a broker asks that broker again
//! only up to a second after one was resumed, so partitions are resumed while enough waits to keep all sessions busy for
//! that long. Pure.

use crate::{offsets::Position, record::Record};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Records that wait for their turn at most, before partitions are paused; about two kilobytes each.
pub(super) const READY_HIGH: usize = 8_000;
/// Partitions are resumed from here on: what so many mails a second take a second for.
pub(super) const READY_LOW: usize = 6_000;
/// Records that wait for the time of their next try at most, before the retry topic is paused.
pub(super) const DELAYED_HIGH: usize = 2_000;
pub(super) const DELAYED_LOW: usize = 1_000;
/// No record waits longer, whatever its header says.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_secs(120);

/// A record, and what this process has tried with it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) record: Arc<Record>,
    /// How often the server failed on it while it served others.
    pub(super) failures: u32,
    /// The server was asked and has not taken it.
    pub(super) tried: bool,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    ready: VecDeque<Item>,
    /// By due time; the number tells apart what is due at one time.
    delayed: BTreeMap<(Timestamp, u64), Item>,
    next: u64,
}

impl Backlog {
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// Adds a record that was just taken; one whose next try lies ahead waits for it.
    pub(super) fn add(&mut self, record: Record, now: Timestamp) {
        let not_before = record.retry.as_ref().map(|retry| retry.not_before).filter(|time| *time > now);
        let item = Item { record: Arc::new(record), failures: 0, tried: false };
        match not_before {
            None => self.ready.push_back(item),
            Some(time) => {
                let latest = now.checked_add(LONGEST_DELAY).unwrap_or(time);
                self.next += 1;
                self.delayed.insert((time.min(latest), self.next), item);
            }
        }
    }

    /// Moves what is due before everything else: it has waited longest.
    pub(super) fn take_up_due(&mut self, now: Timestamp) {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            self.ready.push_front(entry.remove());
        }
    }

    /// When the next delayed record is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.delayed.first_key_value().map(|(key, _)| key.0)
    }

    /// The record whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Item> {
        self.ready.pop_front()
    }

    /// Makes the newest record that no delivery was tried of the next one. The oldest would stand behind all that a
    /// stranger has put in front of it.
    pub(super) fn put_untried_first(&mut self) {
        let untried = |item: &Item| !item.tried && item.record.earlier_attempts() == 0;
        if let Some(item) = self.ready.iter().rposition(untried).and_then(|index| self.ready.remove(index)) {
            self.ready.push_front(item);
        }
    }

    /// The first ready record that fits.
    pub(super) fn pop_ready(&mut self, fits: impl Fn(Position) -> bool) -> Option<Item> {
        let index = self.ready.iter().position(|item| fits(item.record.position))?;
        self.ready.remove(index)
    }

    /// A delayed record that fits.
    pub(super) fn pop_delayed(&mut self, fits: impl Fn(Position) -> bool) -> Option<Item> {
        let key = self.delayed.iter().find(|(_, item)| fits(item.record.position)).map(|(key, _)| *key)?;
        self.delayed.remove(&key)
    }

    /// All records that fit.
    pub(super) fn take_all(&mut self, fits: impl Fn(Position) -> bool) -> Vec<Item> {
        let ready = std::mem::take(&mut self.ready).into_iter();
        let (mut taken, kept): (VecDeque<_>, _) = ready.partition(|item| fits(item.record.position));
        self.ready = kept;
        let delayed = self.delayed.extract_if(.., |_, item| fits(item.record.position));
        taken.extend(delayed.map(|(_, item)| item));
        taken.into()
    }

    /// Puts a record back so that it is next.
    pub(super) fn push_front(&mut self, item: Item) {
        self.ready.push_front(item);
    }

    /// Puts a record back so that others come first.
    pub(super) fn push_back(&mut self, item: Item) {
        self.ready.push_back(item);
    }

    /// Forgets all records.
    pub(super) fn clear(&mut self) {
        self.ready.clear();
        self.delayed.clear();
    }
}

/// Pauses above a high level and resumes below a low one.
#[derive(Debug, Default)]
pub(super) struct Flow {
    paused: bool,
}

impl Flow {
    /// Returns whether to pause (true) or resume (false), when that changes.
    pub(super) fn update(&mut self, high: bool, low: bool) -> Option<bool> {
        let paused = if self.paused { !low } else { high };
        (paused != std::mem::replace(&mut self.paused, paused)).then_some(paused)
    }
}
