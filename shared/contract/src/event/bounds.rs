//! The bounds of an event's times and numbers, given where and when its record was written.
//!
//! Anybody who may write to a topic can write anything. Readers accept only what lies within these bounds, so that
//! no sum overflows and nothing waits for a time that never comes. All other records count as not understood.

use super::{DecodeError, Event, EventKind};
use crate::{registration_id::RegistrationId, topic::Topic};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The longest value of a record, in octets; an event has less than two thousand.
pub const MAX_VALUE_OCTETS: usize = 64 * 1024;
/// The highest place of a window.
pub const MAX_SEND: u32 = 100;
/// The most resends that a registration descends from.
pub const MAX_RESENDS: u32 = 32;

/// The longest time between a record and its event, and between an event and the expiry of its code.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Where and when a record was written.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// Its topic.
    pub topic: Topic,
    /// The record's time stamp, but never later than now.
    pub written_at: Timestamp,
    /// The record's time stamp as it is: the broker's time, if the topic has `LogAppendTime`.
    stamped_at: Timestamp,
    /// How far a writer's clock may be from the broker's.
    tolerance: Duration,
}

impl Origin {
    /// The origin of a record in this topic with this time stamp (milliseconds since 1970), read `now`.
    ///
    /// `tolerance`: how far the clock of its writer may be from the broker's, `MAX_CLOCK_SKEW` + `PUBLISH_TIMEOUT`.
    #[must_use]
    pub fn new(topic: Topic, timestamp: Option<i64>, now: Timestamp, tolerance: Duration) -> Self {
        let stamped_at = timestamp.and_then(|time| Timestamp::from_millisecond(time).ok()).unwrap_or(now);
        Self { topic, written_at: stamped_at.min(now), stamped_at, tolerance }
    }

    /// The record's time stamp, on which all readers agree, but at most the tolerance ahead of the reader's clock.
    #[must_use]
    pub fn stamped_at(&self, now: Timestamp) -> Timestamp {
        self.stamped_at.min(now.checked_add(self.tolerance).unwrap_or(now))
    }
}

impl Topic {
    /// Whether events of this kind belong to the topic: each to its
    /// own, and those that ask for a mail also to the retry topic.
    #[must_use]
    pub fn takes(self, kind: EventKind) -> bool {
        let is_mailed = !matches!(kind, EventKind::RegistrationRepeated | EventKind::Attempt);
        self == kind.topic() || (self == Self::MailRetry && is_mailed)
    }
}

/// Checks that the event's times fit its record's.
///
/// Two kinds of records may be later than their events by any time:
/// retries, and verified accounts that were restored from a backup.
pub(super) fn check_times(event: &Event, origin: Origin) -> Result<(), DecodeError> {
    let occurred_at = event.occurred_at();
    let later_by_any_time = matches!(origin.topic, Topic::MailRetry | Topic::Verified);
    let age = origin.written_at.duration_since(occurred_at);
    let is_early = age.checked_add(DAY).is_none_or(|age| age.is_negative());
    let is_late = age > DAY && !later_by_any_time;
    let others_fit = match event {
        Event::Registered(_, event) => event.expires_at.duration_since(occurred_at).abs() <= DAY,
        Event::Attempt(_) | Event::Verified(_) => true,
    };
    if is_early || is_late || !others_fit {
        return Err(DecodeError::OutOfRange);
    }
    if origin.topic != Topic::MailRetry && !clocks_agree(occurred_at, origin, later_by_any_time) {
        return Err(DecodeError::WrongClock);
    }
    Ok(())
}

/// Whether the writer's clock and the broker's were close enough.
fn clocks_agree(occurred_at: Timestamp, origin: Origin, later_by_any_time: bool) -> bool {
    let behind = origin.stamped_at.duration_since(occurred_at);
    behind.unsigned_abs() <= origin.tolerance || (later_by_any_time && behind.is_positive())
}

/// Whether the event's numbers are ones that the user service writes.
pub(super) fn check_numbers(event: &Event) -> Result<(), DecodeError> {
    let fits = match event {
        Event::Registered(_, event) => {
            event.send <= MAX_SEND
                && event.resends <= MAX_RESENDS
                && event.registration != RegistrationId::NONE
        }
        Event::Attempt(event) => match event.windows[..] {
            [_] => true,
            [first, second] => first.checked_add(1) == Some(second),
            _ => false,
        },
        Event::Verified(_) => true,
    };
    if fits { Ok(()) } else { Err(DecodeError::OutOfRange) }
}
