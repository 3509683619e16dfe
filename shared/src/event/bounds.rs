//! What an event may say of times and numbers, given where and when its record was written.
//!
//! Whoever may write to a topic can write anything. Readers count with what lies within these bounds, so that no sum
//! overflows and nothing waits for a time that never comes; all else is not understood.

use super::{DecodeError, Event, EventKind};
use crate::topic::Topic;
use jiff::{SignedDuration, Timestamp};

/// Most octets of a record's value; an event has less than two thousand.
pub const MAX_VALUE_OCTETS: usize = 64 * 1024;
/// Most mails of a window (`MAX_SENDS`).
pub const MAX_SEND: u32 = 100;
/// Most codes of a window: one for each mail, and one for each time that its account was forgotten meanwhile.
pub const MAX_GENERATION: u32 = 1_000;

/// Longest time between a record and its event, and between an event and its window's start or its code's end.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Where and when a record was written.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// Its topic.
    pub topic: Topic,
    /// The record's own time stamp, but never later than now.
    pub written_at: Timestamp,
}

impl Origin {
    /// A record of this topic that says of itself to be written at `timestamp` (milliseconds since 1970), as read `now`.
    #[must_use]
    pub fn new(topic: Topic, timestamp: Option<i64>, now: Timestamp) -> Self {
        let written_at = timestamp.and_then(|time| Timestamp::from_millisecond(time).ok());
        Self { topic, written_at: written_at.map_or(now, |time| time.min(now)) }
    }
}

impl Topic {
    /// Whether events of this kind may stand in the topic: each in its own, and what asks for a mail in the retry topic.
    #[must_use]
    pub fn takes(self, kind: EventKind) -> bool {
        let is_mailed = !matches!(kind, EventKind::RegistrationRepeated | EventKind::Attempt);
        self == kind.topic() || (self == Self::MailRetry && is_mailed)
    }
}

/// Whether the event's times fit its record's.
///
/// Two kinds of records may be later than their events by any time: retries of them, and verified accounts that were
/// restored from a backup.
pub(super) fn check_times(event: &Event, origin: Origin) -> Result<(), DecodeError> {
    let later_by_any_time = matches!(origin.topic, Topic::MailRetry | Topic::Verified);
    let occurred_at = event.occurred_at();
    let age = origin.written_at.duration_since(occurred_at);
    let fits = |other: Timestamp| other.duration_since(occurred_at).abs() <= DAY;
    let others_fit = match event {
        Event::Created(event) | Event::CodeResent(event) => {
            fits(event.window_started_at) && fits(event.expires_at)
        }
        Event::RegistrationRepeated(event) => fits(event.window_started_at) && fits(event.expires_at),
        Event::AccountExists(event) => fits(event.window_started_at),
        Event::Attempt(_) | Event::Verified(_) => true,
    };
    let is_early = age.checked_add(DAY).is_none_or(|age| age.is_negative());
    if !is_early && (later_by_any_time || age <= DAY) && others_fit {
        Ok(())
    } else {
        Err(DecodeError::OutOfRange)
    }
}

/// Whether the event's numbers are ones that the user service writes.
pub(super) fn check_numbers(event: &Event) -> Result<(), DecodeError> {
    let (generation, send) = match event {
        Event::Created(event) | Event::CodeResent(event) => (event.generation, event.send),
        Event::RegistrationRepeated(event) => (event.generation, event.send),
        Event::Attempt(event) => (event.generation, 1),
        Event::AccountExists(_) | Event::Verified(_) => (0, 1),
    };
    let fits = generation <= MAX_GENERATION && (1..=MAX_SEND).contains(&send);
    if fits { Ok(()) } else { Err(DecodeError::OutOfRange) }
}
