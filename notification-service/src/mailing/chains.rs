//! Which retries of a record were taken, so that only one chain of them goes on.
//!
//! Each retry is written when the one before it has failed. A group that reads its topics again finds the record and all of
//! its retries at once. If each went on as a chain of its own, their number would double each time. So a retry is tried only
//! if its number is higher than all before it. Pure.
//!
//! A chain belongs to one source and one value, so whichever of its records goes on, the mail is the same. The source alone
//! is not enough: anybody who may write to the retry topic can name any source, and a recreated topic has other records at
//! the same offsets.

use crate::{
    header,
    record::{Content, Record},
    retry::Retry,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

/// The number of remembered chains, some 150 octets each. A forgotten chain may run twice.
const CAPACITY: usize = 10_000;

/// A digest that identifies a chain.
type Name = [u8; 32];

/// The newest retry of each chain.
#[derive(Debug, Default)]
pub(super) struct Chains {
    newest: HashMap<Name, (u32, Timestamp)>,
    order: VecDeque<Name>,
}

impl Chains {
    /// Notes a record that was taken, if it is a retry.
    ///
    /// Number 0 begins a chain: an operator replayed the record, or a process stopped before the first try. A retry with the
    /// number and time of the newest one is a duplicate that a stopping process wrote.
    pub(super) fn note(&mut self, record: &Record) {
        let Some((name, retry)) = chain(record) else { return };
        if retry.attempts == 0 || !self.is_older(&name, retry) {
            let newest = (retry.attempts, retry.not_before);
            if self.newest.insert(name, newest).is_none() {
                self.order.push_back(name);
            }
        }
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.newest.remove(&oldest);
        }
    }

    /// Whether a later retry of the chain was taken, or another retry with the same number.
    pub(super) fn is_outdated(&self, record: &Record) -> bool {
        chain(record).is_some_and(|(name, retry)| self.is_older(&name, retry))
    }

    fn is_older(&self, name: &Name, retry: &Retry) -> bool {
        self.newest.get(name).is_some_and(|(attempts, not_before)| {
            retry.attempts < *attempts || (retry.attempts == *attempts && retry.not_before != *not_before)
        })
    }

    /// Forgets all chains: the next assignment reads unfinished records again.
    pub(super) fn clear(&mut self) {
        self.newest.clear();
        self.order.clear();
    }
}

/// The chain that a record continues. A record that becomes a dead letter at once continues none.
fn chain(record: &Record) -> Option<(Name, &Retry)> {
    let retry = record.retry.as_ref()?;
    let goes_on = matches!(record.content, Content::Event(_)) || record.waits_for_newer();
    let mut hash = Sha256::new();
    // A zero octet ends each part of varying length; JSON contains none.
    hash.update(&retry.source);
    hash.update([0]);
    hash.update(header::value(&record.headers, "ce_type").unwrap_or_default());
    hash.update([0]);
    hash.update(record.payload.as_deref().unwrap_or_default());
    goes_on.then(|| (hash.finalize().into(), retry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        offsets::{Partition, Position},
        record::Lent,
    };
    use contract::topic::Topic;
    use proptest::prelude::*;
    use std::time::Duration;

    const NOW: i64 = 1_800_000_000;

    /// A retry of a record of a newer version.
    fn retry(source: &str, attempts: u32, second: i64) -> Record {
        retry_of(br#"{"version":3}"#, source, attempts, second)
    }

    fn retry_of(payload: &[u8], source: &str, attempts: u32, second: i64) -> Record {
        let time = Timestamp::from_second(NOW + second).unwrap();
        let retry = Retry { not_before: time, attempts, source: source.to_owned(), first_failure: time };
        let headers: Vec<_> = retry.to_headers(None).collect();
        let headers = headers.iter().map(|it| (it.name.as_str(), it.value.as_deref()));
        let headers = headers.chain([("ce_type", Some(&b"code_resent"[..]))]).collect();
        let partition = Partition { topic: Topic::MailRetry, number: 0 };
        let lent = Lent { key: None, payload: Some(payload), timestamp: None, headers };
        Record::new(Position { partition, offset: 1, epoch: 1 }, &lent, time, Duration::ZERO)
    }

    fn number(record: &Record) -> u32 {
        record.retry.as_ref().unwrap().attempts
    }

    /// Which of these retries are tried when they are taken in this order.
    fn tried(retries: &[Record]) -> Vec<u32> {
        let mut chains = Chains::default();
        retries.iter().for_each(|retry| chains.note(retry));
        retries.iter().filter(|retry| !chains.is_outdated(retry)).map(number).collect()
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
    fn a_retry_that_names_the_source_of_another_record_does_not_take_its_place() {
        let of = |payload: &[u8], attempts| retry_of(payload, "user_account_created/0/7", attempts, 1);
        let (true_one, forged) = (of(br#"{"version":3}"#, 1), of(br#"{"version":4}"#, 900));
        let not_an_event = of(b"{}", 900);
        let mut chains = Chains::default();
        [&forged, &not_an_event, &true_one].into_iter().for_each(|record| chains.note(record));
        assert!(!chains.is_outdated(&true_one));
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
            let mut topic: Vec<_> = (1..=length).map(|number| (number, i64::from(number))).collect();
            let mut written = length;
            for _ in 0..times {
                chains.clear();
                // All of them are read before the first is due.
                let records: Vec<_> = topic.iter().map(|(number, second)| retry("a", *number, *second)).collect();
                records.iter().for_each(|record| chains.note(record));
                let next: Vec<_> = records.iter().filter(|record| !chains.is_outdated(record)).map(number).collect();
                prop_assert_eq!(next.len(), 1);
                written += 1;
                topic.push((next[0] + 1, written.into()));
                // The record itself was read again, too, and has a retry of its own.
                written += 1;
                topic.push((1, written.into()));
            }
        }
    }
}
