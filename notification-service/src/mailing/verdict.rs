//! What follows for a record: when its turn has come, and when a try to mail it has ended. Pure.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use super::{Now, backlog::Item};
use crate::{
    dead_letter,
    email::{self, UnwritableError},
    gate::Signal,
    mailer::{Refusal, RefusalKind},
    outcome::{Outcome, Reason, Report, Target, Try},
    record::{self, Content, Record},
    retry::{self, Retry},
};
use contract::event::{DecodeError, Event};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How long a record that this version does not understand waits for a service that does.
const FOREIGN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// What is done next with a record.
#[derive(Debug)]
pub(super) enum Next {
    /// It is mailed.
    Mail(Arc<Event>),
    /// A copy of it is written.
    Write(Target),
    /// It waits for its turn again.
    PutBack,
    /// Nothing: it is finished.
    Finish(Outcome),
}

/// Whether nothing is to be done for the record.
pub(super) fn is_ignored(record: &Record) -> bool {
    match &record.content {
        Content::Tombstone => true,
        Content::Event(event) => email::deadline(event).is_none(),
        Content::NotUnderstood(_) | Content::TooLarge(_) | Content::Panicked => false,
    }
}

/// What is done with a record whose turn it is.
pub(super) fn at_turn(item: &Item, now: Now) -> Next {
    let record = &item.record;
    match &record.content {
        Content::Event(event) if email::is_expired(event, now.wall) => Next::Finish(Outcome::Expired),
        Content::Event(_) if item.is_put_off() => later(record, None, now),
        Content::Event(event) => Next::Mail(Arc::clone(event)),
        // What a newer version may understand waits for it; what none will read is a dead letter at once.
        Content::NotUnderstood(_) if record.waits_for_newer() => {
            later(record, Some((Reason::UnknownVersion, 0)), now)
        }
        Content::NotUnderstood(error) => dead_letter(reason_of(error), 0),
        Content::TooLarge(_) => dead_letter(Reason::TooLarge, 0),
        Content::Panicked => dead_letter(Reason::Panicked, 0),
        Content::Tombstone => Next::Finish(Outcome::Ignored),
    }
}

/// What follows from the end of a try to mail the record, and what that says about the mail server.
pub(super) fn of_try(record: &Record, ended: Try, probe: bool, now: Now) -> (Next, Report) {
    let silent = || Report::new(Signal::Silent);
    match ended {
        Try::Accepted => (Next::Finish(Outcome::Delivered), Report::new(Signal::Accepted)),
        Try::Expired => (Next::Finish(Outcome::Expired), silent()),
        // A replica that was started later may know the key.
        Try::Unwritable(UnwritableError::UnknownKey) => {
            (later(record, Some((Reason::UnknownKey, 0)), now), silent())
        }
        Try::Unwritable(UnwritableError::Compose) => (dead_letter(Reason::Unwritable, 0), silent()),
        Try::Interrupted => (Next::PutBack, silent()),
        Try::Failed(failure) => (Next::PutBack, Report::new(Signal::Failed).because_of(failure)),
        Try::Unwelcome(failure) if record.earlier_attempts() == 0 => {
            (Next::PutBack, Report::new(Signal::Unwelcome).because_of(failure))
        }
        // Others may be served meanwhile: it waits with them that are refused for now, and is never a dead letter.
        Try::Unwelcome(failure) => {
            (later(record, None, now), Report::new(Signal::UnwelcomeAgain).because_of(failure))
        }
        Try::Refused(refusal) => {
            let (next, signal) = refused(record, &refusal, probe, now);
            (next, Report::new(signal).refused_with(refusal.status))
        }
    }
}

fn refused(record: &Record, refusal: &Refusal, probe: bool, now: Now) -> (Next, Signal) {
    let status = refusal.status.map_or(0, |status| status.code);
    let signal = if record.earlier_attempts() == 0 { Signal::Refused } else { Signal::RefusedAgain };
    match refusal.kind {
        RefusalKind::ForNow => (later(record, None, now), signal),
        RefusalKind::RecipientForNow => (later(record, None, now), Signal::RecipientRefused),
        RefusalKind::Content => (later(record, Some((Reason::ContentRefused, status)), now), signal),
        RefusalKind::Recipient => (dead_letter(Reason::RecipientRefused, status), Signal::RecipientRefused),
        // While nobody is served this is no dead letter: it may well be the server.
        RefusalKind::RecipientUnclear if probe => {
            (later(record, Some((Reason::RecipientRefused, status)), now), Signal::RefusedForGood)
        }
        RefusalKind::RecipientUnclear => {
            (dead_letter(Reason::RecipientRefused, status), Signal::RefusedForGood)
        }
        // The next connection may offer it: to another machine of that name, or after EHLO where this one took HELO.
        RefusalKind::NeedsSmtpUtf8 => {
            (later(record, Some((Reason::Smtputf8Missing, status)), now), Signal::Silent)
        }
    }
}

/// The record goes to the retry topic; when its time is over, it is a dead letter if there is a reason for one, and expired
/// otherwise.
fn later(record: &Record, give_up: Option<(Reason, u16)>, now: Now) -> Next {
    let attempts = record.attempt();
    let jitter = now.jitter_of(record.position);
    match (retry::next_try(attempts, now.wall, deadline(record), jitter), give_up) {
        (Some(not_before), _) => {
            let (source, first_failure) = (dead_letter::source(record), first_failure(record, now.wall));
            Next::Write(Target::Retry(Retry { not_before, attempts, source, first_failure }))
        }
        (None, Some((reason, status))) => dead_letter(reason, status),
        (None, None) => Next::Finish(Outcome::Expired),
    }
}

/// The record becomes a dead letter. `status`: the mail server's reply code, 0 for none.
pub(super) fn dead_letter(reason: Reason, status: u16) -> Next {
    Next::Write(Target::DeadLetter { reason, status })
}

/// The record goes to the retry topic as it is.
pub(super) fn unchanged(record: &Record, now: Timestamp) -> Target {
    Target::Retry(record.retry.clone().unwrap_or_else(|| Retry {
        not_before: now,
        attempts: 0,
        source: dead_letter::source(record),
        first_failure: first_failure(record, now),
    }))
}

fn reason_of(error: &DecodeError) -> Reason {
    match error {
        DecodeError::UnknownVersion(_) => Reason::UnknownVersion,
        DecodeError::WrongClock => Reason::WrongClock,
        DecodeError::UnknownType
        | DecodeError::Malformed { .. }
        | DecodeError::TooLarge
        | DecodeError::WrongTopic
        | DecodeError::OutOfRange
        | DecodeError::WrongAccount => Reason::Undecodable,
    }
}

/// When the record's time is over. One that is not understood waits a day from the earliest of these: the time that it claims, the
/// time of its record, its first failure.
fn deadline(record: &Record) -> Timestamp {
    if let Content::Event(event) = &record.content {
        return email::deadline(event).unwrap_or(Timestamp::MIN);
    }
    let said = record::text(&record.headers, "ce_time").and_then(|time| time.parse().ok());
    let failed = record.retry.as_ref().map(|retry| retry.first_failure);
    let since = [said, failed].into_iter().flatten().fold(record.written_at, Timestamp::min);
    since.checked_add(FOREIGN_LIFE).unwrap_or(Timestamp::MAX)
}

/// Since when a record waits, for the headers of its retries. What is not understood waits from when it was written: the retry
/// has a time stamp of its own, with which its day would begin anew.
fn first_failure(record: &Record, now: Timestamp) -> Timestamp {
    match (&record.retry, &record.content) {
        (Some(retry), _) => retry.first_failure,
        (None, Content::NotUnderstood(_)) => record.written_at.min(now),
        (None, _) => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        offsets::{Partition, Position},
        record::Lent,
    };
    use contract::topic::Topic;
    use std::time::Duration;

    #[test]
    fn a_record_that_is_not_understood_waits_for_a_day_however_often_it_is_written_again() {
        let now = Timestamp::now();
        let written = now.checked_sub(SignedDuration::from_hours(20)).unwrap();
        let position =
            Position { partition: Partition { topic: Topic::Created, number: 0 }, offset: 7, epoch: 1 };
        let read = |headers, timestamp| {
            let lent = Lent { key: None, payload: Some(b"{}"), timestamp: Some(timestamp), headers };
            Record::new(position, &lent, now, Duration::ZERO)
        };
        let unknown = ("ce_type", Some(&b"of_a_version_to_come"[..]));
        let first = read(vec![unknown], written.as_millisecond());
        assert_eq!(deadline(&first).duration_since(now).as_hours(), 3, "less than four hours are left");

        let Target::Retry(retry) = unchanged(&first, now) else { panic!("not a retry") };
        let headers: Vec<_> = retry.to_headers(None).collect();
        let lent = headers.iter().map(|header| (header.name.as_str(), header.value.as_deref()));
        let again = read(lent.chain([unknown]).collect(), now.as_millisecond());
        assert_eq!(deadline(&again).duration_since(deadline(&first)).as_secs(), 0);
    }
}
