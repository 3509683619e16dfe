//! Records that were taken and not started: ready ones, and ones that are delayed until their next try.
//!
//! Pausing partitions bounds both, in records and in octets. A client that has paused all of its partitions at a broker may
//! take a second after a resume until it asks that broker again. So partitions are resumed while the backlog still keeps all
//! sessions busy for that second. Pure.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use super::recent::MailId;
use crate::{
    gate::Signal,
    offsets::Position,
    outcome::Report,
    record::{Content, Record},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Partitions are paused at this many ready records, of about two kilobytes each.
pub(super) const READY_HIGH: usize = 8_000;
/// Partitions are resumed at this many ready records: a second's work at 6,000 mails a second.
pub(super) const READY_LOW: usize = 6_000;
/// The retry topic is paused at this many delayed records.
pub(super) const DELAYED_HIGH: usize = 2_000;
pub(super) const DELAYED_LOW: usize = 1_000;
/// How long a due retry waits for later retries of its chain. When a topic is read again, they stand behind it.
const CHAIN_WAIT: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait of a retry after it was written, whatever its header says.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_secs(120);
/// After this many server failures a record is put off, as if it had been refused. [`Item::note_try`] says which failures
/// count.
const FAILURES_OF_ONE_RECORD: u32 = 3;

/// A record, and what this process has tried with it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) record: Arc<Record>,
    /// The mail that it asks for.
    pub(super) mail: Option<MailId>,
    /// The server's failures on this record. [`Item::note_try`] says which ones count.
    failures: u32,
    /// A server was asked and has not accepted it.
    tried: bool,
    /// Its last try was a probe.
    pub(super) was_probe: bool,
}

impl Item {
    pub(super) fn new(record: Record) -> Self {
        let mail = match &record.content {
            Content::Event(event) => Some(MailId::of(event)),
            _ => None,
        };
        Self { record: Arc::new(record), mail, failures: 0, tried: false, was_probe: false }
    }

    /// Notes a try after which the record is put back. A failure of the server counts against the record unless it is
    /// `spared`. A missing answer puts the record off at once.
    pub(super) fn note_try(&mut self, report: &Report, spared: bool) {
        self.tried |= report.signal != Signal::Silent;
        if report.is_unanswered() {
            self.failures = FAILURES_OF_ONE_RECORD;
        } else if matches!(report.signal, Signal::Failed | Signal::Unwelcome) && !spared {
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Notes that it has waited for a server that did not answer.
    pub(super) fn note_wait(&mut self) {
        self.tried = true;
    }

    /// Whether no process has tried it yet, as far as this one knows.
    pub(super) fn is_untried(&self) -> bool {
        !self.tried && self.record.earlier_attempts() == 0
    }

    /// Whether it failed often enough to be treated like a refused record.
    pub(super) fn is_put_off(&self) -> bool {
        self.failures >= FAILURES_OF_ONE_RECORD
    }
}

/// All waiting records.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    ready: VecDeque<Item>,
    /// By due time; the number separates records that are due at the same time.
    delayed: BTreeMap<(Timestamp, u64), Item>,
    next: u64,
    /// Memory of all records.
    octets: usize,
    /// Memory of the delayed records.
    delayed_octets: usize,
}

impl Backlog {
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// Memory of all records, in octets.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Memory of the delayed records, in octets.
    pub(super) fn delayed_octets(&self) -> usize {
        self.delayed_octets
    }

    /// Adds a record. If its next try is in the future, it is delayed until then.
    pub(super) fn add(&mut self, record: Record, now: Timestamp) {
        let due = record.retry.as_ref().and_then(|retry| {
            let latest = record.written_at.checked_add(LONGEST_DELAY).unwrap_or(now);
            // Attempt 0, which an operator or a stopping process wrote, begins a chain: it has no later retries to wait for.
            let chain = if retry.attempts > 0 { now.checked_add(CHAIN_WAIT).ok() } else { None };
            chain.max(Some(retry.not_before.min(latest))).filter(|time| *time > now)
        });
        let octets = record.octets();
        self.octets = self.octets.saturating_add(octets);
        let item = Item::new(record);
        match due {
            None => self.ready.push_back(item),
            Some(time) => {
                self.delayed_octets = self.delayed_octets.saturating_add(octets);
                self.next = self.next.wrapping_add(1);
                self.delayed.insert((time, self.next), item);
            }
        }
    }

    /// Moves due records to the front: they have waited longest.
    pub(super) fn take_up_due(&mut self, now: Timestamp) {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            let item = entry.remove();
            self.delayed_octets = self.delayed_octets.saturating_sub(item.record.octets());
            self.ready.push_front(item);
        }
    }

    /// When the next delayed record is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.delayed.first_key_value().map(|(key, _)| key.0)
    }

    /// Takes the next record.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.ready.pop_front();
        self.released(item)
    }

    /// Moves the newest record that was never tried to the front. A stranger could have put many others before the oldest.
    pub(super) fn put_untried_first(&mut self) {
        if let Some(item) =
            self.ready.iter().rposition(Item::is_untried).and_then(|index| self.ready.remove(index))
        {
            self.ready.push_front(item);
        }
    }

    /// Moves the record with the earliest first failure to the front: a greylisting server accepts that one soonest. Without
    /// this, the record that became due last would be first.
    pub(super) fn put_first_refused_first(&mut self) {
        let retries = self.ready.iter().enumerate().filter(|(_, item)| !item.tried);
        let refused =
            retries.filter_map(|(index, item)| Some((item.record.retry.as_ref()?.first_failure, index)));
        if let Some(item) = refused.min().and_then(|(_, index)| self.ready.remove(index)) {
            self.ready.push_front(item);
        }
    }

    /// The first ready record that fits.
    pub(super) fn pop_ready(&mut self, fits: impl Fn(Position) -> bool) -> Option<Item> {
        let index = self.ready.iter().position(|item| fits(item.record.position))?;
        let item = self.ready.remove(index);
        self.released(item)
    }

    /// A delayed record that fits.
    pub(super) fn pop_delayed(&mut self, fits: impl Fn(Position) -> bool) -> Option<Item> {
        let key = self.delayed.iter().find(|(_, item)| fits(item.record.position)).map(|(key, _)| *key)?;
        let item = self.delayed.remove(&key)?;
        self.delayed_octets = self.delayed_octets.saturating_sub(item.record.octets());
        self.released(Some(item))
    }

    /// All records that fit.
    pub(super) fn take_all(&mut self, fits: impl Fn(Position) -> bool) -> Vec<Item> {
        let ready = std::mem::take(&mut self.ready).into_iter();
        let (mut taken, kept): (VecDeque<_>, _) = ready.partition(|item| fits(item.record.position));
        self.ready = kept;
        for (_, item) in self.delayed.extract_if(.., |_, item| fits(item.record.position)) {
            self.delayed_octets = self.delayed_octets.saturating_sub(item.record.octets());
            taken.push_back(item);
        }
        taken.into_iter().filter_map(|item| self.released(Some(item))).collect()
    }

    /// Puts a record back so that it is next.
    pub(super) fn push_front(&mut self, item: Item) {
        self.octets = self.octets.saturating_add(item.record.octets());
        self.ready.push_front(item);
    }

    /// Puts a record back so that others come first.
    pub(super) fn push_back(&mut self, item: Item) {
        self.octets = self.octets.saturating_add(item.record.octets());
        self.ready.push_back(item);
    }

    /// Forgets all records.
    pub(super) fn clear(&mut self) {
        self.ready.clear();
        self.delayed.clear();
        (self.octets, self.delayed_octets) = (0, 0);
    }

    fn released(&mut self, item: Option<Item>) -> Option<Item> {
        let octets = item.as_ref().map_or(0, |item| item.record.octets());
        self.octets = self.octets.saturating_sub(octets);
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{offsets::Partition, record::Lent, retry::Retry};
    use contract::topic::Topic;
    use proptest::prelude::*;
    use std::time::Duration;

    fn record(offset: i64, size: usize, retry: Option<(u32, i64)>, now: Timestamp) -> Record {
        let position =
            Position { partition: Partition { topic: Topic::MailRetry, number: 0 }, offset, epoch: 1 };
        let retry = retry.map(|(attempts, second)| {
            let not_before = now.checked_add(SignedDuration::from_secs(second)).unwrap();
            Retry { not_before, attempts, source: "t/0/1".to_owned(), first_failure: now }
        });
        let headers: Vec<_> = retry.iter().flat_map(|retry| retry.to_headers(None)).collect();
        let payload = vec![b'x'; size];
        let headers = headers.iter().map(|it| (it.name.as_str(), it.value.as_deref())).collect();
        let lent = Lent { key: None, payload: Some(&payload), timestamp: None, headers };
        Record::new(position, &lent, now, Duration::ZERO)
    }

    #[test]
    fn a_retry_that_is_due_waits_for_later_ones_of_its_chain_and_all_else_does_not() {
        let now = Timestamp::now();
        let due = |retry| {
            let mut backlog = Backlog::default();
            backlog.add(record(1, 1, retry, now), now);
            backlog.next_due().map(|due| due.duration_since(now))
        };
        assert_eq!((due(None), due(Some((0, -9)))), (None, None));
        assert_eq!(due(Some((1, -9))), Some(CHAIN_WAIT));
        assert!(due(Some((1, 30))) > Some(SignedDuration::from_secs(29)));
        assert_eq!(due(Some((1, 1_000_000))), Some(LONGEST_DELAY));
    }

    #[test]
    fn a_probe_can_be_of_the_one_that_was_refused_first_whichever_became_due_last() {
        let now = Timestamp::now();
        let ago = |seconds| now.checked_sub(SignedDuration::from_secs(seconds)).unwrap();
        let mut backlog = Backlog::default();
        backlog.add(record(1, 1, None, ago(200)), now);
        for (offset, seconds) in [(2, 50), (3, 100), (4, 10)] {
            backlog.add(record(offset, 1, Some((1, -1)), ago(seconds)), now);
        }
        backlog.take_up_due(now.checked_add(CHAIN_WAIT).unwrap());
        let mut next = || {
            backlog.put_first_refused_first();
            backlog.pop().unwrap().record.position.offset
        };
        assert_eq!([next(), next(), next(), next()], [3, 2, 4, 1]);
    }

    proptest! {
        #[test]
        fn its_octets_are_those_of_the_records_in_it(
            steps in prop::collection::vec((0..8_u8, 0..4_000_usize, prop::option::of((0..3_u32, -2..90_i64))), 0..60),
        ) {
            let now = Timestamp::now();
            let (mut backlog, mut offset) = (Backlog::default(), 0);
            for (step, size, retry) in steps {
                offset += 1;
                match step {
                    0..=3 => backlog.add(record(offset, size, retry, now), now),
                    4 => drop(backlog.pop()),
                    5 => drop(backlog.pop_delayed(|position| position.offset % 2 == 0)),
                    6 => drop(backlog.take_all(|position| position.offset % 3 == 0)),
                    _ => {
                        if let Some(item) = backlog.pop_ready(|position| position.offset % 2 == 1) {
                            if size % 2 == 0 { backlog.push_back(item) } else { backlog.push_front(item) }
                        }
                    }
                }
                backlog.take_up_due(now.checked_add(SignedDuration::from_secs(offset)).unwrap());
                let items = backlog.ready.iter().chain(backlog.delayed.values());
                prop_assert_eq!(backlog.octets(), items.map(|item| item.record.octets()).sum::<usize>());
                let delayed = backlog.delayed.values().map(|item| item.record.octets());
                prop_assert_eq!(backlog.delayed_octets(), delayed.sum::<usize>());
            }
            backlog.clear();
            prop_assert_eq!((backlog.octets(), backlog.delayed_octets()), (0, 0));
        }
    }
}
