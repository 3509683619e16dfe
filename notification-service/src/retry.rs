//! When a record is tried again: exponential back-off with full jitter; and the headers that carry this.
//!
//! Full jitter (a uniform draw between zero and the whole back-off) spreads the records of an outage evenly. Pure: `now` and
//! the random number are arguments.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use crate::{
    header::{self, Header},
    offsets::Position,
};
pub(crate) use contract::retry_headers::GROUP;
use contract::retry_headers::{ATTEMPT, FIRST_FAILURE, NOT_BEFORE, SOURCE};
use jiff::{SignedDuration, Timestamp};

/// `topic/partition/offset` of this project's topics has 57 octets at most.
const LONGEST_SOURCE: usize = 64;
/// More tries than any mail gets within its time. Without this limit, the tries after a forged number would all have the
/// same number.
const MOST_ATTEMPTS: u32 = 1_000_000;

const FIRST_BACK_OFF: SignedDuration = SignedDuration::from_secs(2);
const LONGEST_BACK_OFF: SignedDuration = SignedDuration::from_secs(120);

/// The retry headers of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    pub not_before: Timestamp,
    pub attempts: u32,
    pub source: String,
    pub first_failure: Timestamp,
}

/// Whether another consumer group wrote this retry. Only that group tries it.
pub(crate) fn is_of_another_group(group: Option<&[u8]>, own: &str) -> bool {
    group.is_some_and(|group| group != own.as_bytes())
}

impl Retry {
    /// Reads the headers; `None` if they are absent or not as this service writes them. A first failure later than
    /// `written_at` becomes `written_at`.
    pub fn from_headers(headers: &[Header], written_at: Timestamp) -> Option<Self> {
        let not_before = header::text(headers, NOT_BEFORE)?.parse().ok()?;
        let first_failure = header::text(headers, FIRST_FAILURE).and_then(|time| time.parse().ok());
        Some(Self {
            not_before,
            attempts: header::text(headers, ATTEMPT)?
                .parse()
                .ok()
                .filter(|attempts| *attempts <= MOST_ATTEMPTS)?,
            source: header::text(headers, SOURCE).filter(|name| name.len() <= LONGEST_SOURCE)?.to_owned(),
            first_failure: first_failure.unwrap_or(not_before).min(written_at),
        })
    }

    /// The headers that replace those of an earlier try. Without a group, any group that reads the record tries it.
    pub(crate) fn to_headers(&self, group: Option<&str>) -> impl Iterator<Item = Header> {
        let headers = [
            (NOT_BEFORE, format!("{:.3}", self.not_before)),
            (ATTEMPT, self.attempts.to_string()),
            (SOURCE, self.source.clone()),
            (FIRST_FAILURE, format!("{:.3}", self.first_failure)),
        ];
        headers.into_iter().chain(group.map(|group| (GROUP, group.to_owned()))).map(Header::text)
    }

    /// Whether a header is one of these.
    pub(crate) fn owns(name: &str) -> bool {
        [NOT_BEFORE, ATTEMPT, SOURCE, FIRST_FAILURE, GROUP].contains(&name)
    }
}

/// `topic/partition/offset`: identifies a record while its topic exists.
pub(crate) fn source_name(position: Position) -> String {
    format!("{}/{}/{}", position.partition.topic.name(), position.partition.number, position.offset)
}

/// The time of the next try after `attempts` failed ones; `None` when a second or less is left until `deadline`.
///
/// `jitter` is uniform in 0..1. A time that would be too late becomes one second before `deadline`, so that a last try
/// remains.
pub(crate) fn next_try(attempts: u32, now: Timestamp, deadline: Timestamp, jitter: f64) -> Option<Timestamp> {
    let whole = FIRST_BACK_OFF
        .checked_mul(1_i32.wrapping_shl(attempts.saturating_sub(1).min(10)))
        .map_or(LONGEST_BACK_OFF, |back_off| back_off.min(LONGEST_BACK_OFF));
    let back_off = SignedDuration::from_secs_f64(whole.as_secs_f64() * jitter.clamp(0.0, 1.0));
    let last = deadline.checked_sub(SignedDuration::from_secs(1)).ok()?;
    if now >= last {
        return None;
    }
    Some(now.checked_add(back_off).unwrap_or(last).min(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn the_back_off_doubles_up_to_its_longest() {
        let wait =
            |attempts| next_try(attempts, at(0), at(100_000), 1.0).unwrap().duration_since(at(0)).as_secs();
        assert_eq!([1, 2, 3, 4, 7, 8, 100].map(wait), [2, 4, 8, 16, 120, 120, 120]);
    }

    #[test]
    fn the_last_try_comes_just_before_the_end_and_none_after_it() {
        assert_eq!(next_try(9, at(0), at(60), 1.0), Some(at(59)));
        assert_eq!(next_try(9, at(59), at(60), 0.0), None);
        assert_eq!(next_try(1, at(80), at(60), 0.5), None);
    }

    #[test]
    fn headers_survive_their_text_form_and_foreign_ones_are_ignored() {
        let retry = Retry { not_before: at(5), attempts: 3, source: "t/1/2".into(), first_failure: at(1) };
        let headers: Vec<_> = retry.to_headers(Some("g")).collect();
        assert_eq!(Retry::from_headers(&headers, at(9)), Some(retry.clone()));
        assert!(headers.iter().all(|header| Retry::owns(&header.name)));
        assert_eq!(header::text(&headers, GROUP), Some("g"));
        assert_eq!(retry.to_headers(None).count(), headers.len() - 1);
        let broken = [Header { name: NOT_BEFORE.into(), value: Some(b"soon".to_vec()) }];
        assert_eq!(Retry::from_headers(&broken, at(9)), None);
        let long = Retry { source: "t".repeat(100), ..retry.clone() }.to_headers(None).collect::<Vec<_>>();
        assert_eq!(Retry::from_headers(&long, at(9)), None);
        let many = Retry { attempts: u32::MAX, ..retry }.to_headers(None).collect::<Vec<_>>();
        assert_eq!(Retry::from_headers(&many, at(9)), None);
    }

    #[test]
    fn a_first_failure_after_the_record_itself_is_not_believed() {
        let forged =
            Retry { not_before: at(5), attempts: 3, source: "t/1/2".into(), first_failure: Timestamp::MAX };
        let headers: Vec<_> = forged.to_headers(None).collect();
        assert_eq!(Retry::from_headers(&headers, at(9)).unwrap().first_failure, at(9));
    }

    #[test]
    fn a_record_without_a_group_is_anybodys() {
        assert!(is_of_another_group(Some(b"b"), "a"));
        assert!(!is_of_another_group(Some(b"a"), "a") && !is_of_another_group(None, "a"));
    }

    proptest! {
        #[test]
        fn a_try_is_never_in_the_past_nor_after_the_deadline(
            attempts in any::<u32>(), life in -100..100_000_i64, jitter in 0.0..1.0,
        ) {
            if let Some(next) = next_try(attempts, at(0), at(life), jitter) {
                prop_assert!(next >= at(0) && next < at(life));
                prop_assert!(next.duration_since(at(0)) <= LONGEST_BACK_OFF);
            }
        }
    }
}
