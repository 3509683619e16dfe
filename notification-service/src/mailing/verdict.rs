//! What happens to a record at its turn, and after a try to mail it. Pure.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use super::{Now, backlog::Item};
use crate::{
    dead_letter,
    email::{self, UnwritableError},
    gate::Signal,
    header,
    mailer::{Refusal, RefusalKind, Status},
    outcome::{Outcome, Reason, Report, Target, Try},
    record::{Content, Record},
    retry::{self, Retry},
};
use contract::event::{DecodeError, Event};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How long a record of an unknown version waits for a service that understands it.
const FOREIGN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The next step for a record.
#[derive(Debug)]
pub(super) enum Next {
    /// Mail it.
    Mail(Arc<Event>),
    /// Write it to another topic.
    Write(Target),
    /// Put it back into the backlog.
    PutBack,
    /// Nothing is left to do.
    Finish(Outcome),
}

/// The next step for a record whose turn has come.
pub(super) fn at_turn(item: &Item, now: Now) -> Next {
    let record = &item.record;
    match &record.content {
        Content::Event(event) if email::is_expired(event, now.wall) => Next::Finish(Outcome::Expired),
        Content::Event(_) if item.is_put_off() => later(record, None, now),
        Content::Event(event) => Next::Mail(Arc::clone(event)),
        // A record of a newer version waits for a service that understands it. One that no version will read is a dead
        // letter at once.
        Content::NotUnderstood(_) if record.waits_for_newer() => {
            later(record, Some((Reason::UnknownVersion, None)), now)
        }
        Content::NotUnderstood(error) => dead_letter(reason_of(error), None),
        Content::TooLarge(_) => dead_letter(Reason::TooLarge, None),
        Content::Panicked => dead_letter(Reason::Panicked, None),
        Content::Tombstone => Next::Finish(Outcome::Ignored),
    }
}

/// The mail's part in finding out whether its server works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// None: the gate is open.
    Ordinary,
    /// A probe, and no server is known to work.
    Probe,
    /// A probe, and another server works.
    ProbeBesideAnother,
}

/// The next step after a try to mail the record, and what the try says about the mail server.
pub(super) fn of_try(record: &Record, tried: Try, role: Role, now: Now) -> (Next, Report) {
    let silent = || Report::new(Signal::Silent);
    match tried {
        Try::Accepted => (Next::Finish(Outcome::Delivered), Report::new(Signal::Accepted)),
        Try::Expired => (Next::Finish(Outcome::Expired), silent()),
        // A replica with a newer configuration may know the key.
        Try::Unwritable(UnwritableError::UnknownKey) => {
            (later(record, Some((Reason::UnknownKey, None)), now), silent())
        }
        Try::Unwritable(UnwritableError::Compose) => (dead_letter(Reason::Unwritable, None), silent()),
        Try::Interrupted => (Next::PutBack, silent()),
        Try::Failed(failure) => (Next::PutBack, Report::new(Signal::Failed).because_of(failure)),
        Try::Unwelcome(failure) if record.earlier_attempts() == 0 || role == Role::ProbeBesideAnother => {
            (Next::PutBack, Report::new(Signal::Unwelcome).because_of(failure))
        }
        // The server may serve others meanwhile. The record waits like one that is refused for now, and never becomes a dead
        // letter.
        Try::Unwelcome(failure) => {
            (later(record, None, now), Report::new(Signal::UnwelcomeAgain).because_of(failure))
        }
        Try::Refused(refusal) => {
            let (next, signal) = refused(record, &refusal, role, now);
            (next, Report::new(signal).refused_with(refusal.status))
        }
    }
}

fn refused(record: &Record, refusal: &Refusal, role: Role, now: Now) -> (Next, Signal) {
    let status = refusal.status;
    let signal = if record.earlier_attempts() == 0 { Signal::Refused } else { Signal::RefusedAgain };
    match refusal.kind {
        // The gate is closed, so the refusal may be about us. The other server takes the mail at once.
        RefusalKind::ForNow | RefusalKind::Content if role == Role::ProbeBesideAnother => {
            (Next::PutBack, signal)
        }
        RefusalKind::RecipientUnclear if role == Role::ProbeBesideAnother => {
            (Next::PutBack, Signal::RefusedForGood)
        }
        RefusalKind::ForNow => (later(record, None, now), signal),
        RefusalKind::RecipientForNow => (later(record, None, now), Signal::RecipientRefused),
        RefusalKind::Content => (later(record, Some((Reason::ContentRefused, status)), now), signal),
        RefusalKind::Recipient => (dead_letter(Reason::RecipientRefused, status), Signal::RecipientRefused),
        // A refused probe is no dead letter: nobody is served, so the refusal may be about us.
        RefusalKind::RecipientUnclear if role == Role::Probe => {
            (later(record, Some((Reason::RecipientRefused, status)), now), Signal::RefusedForGood)
        }
        RefusalKind::RecipientUnclear => {
            (dead_letter(Reason::RecipientRefused, status), Signal::RefusedForGood)
        }
        // The next connection may offer it: another machine may answer, or EHLO may work where this session fell back to
        // HELO.
        RefusalKind::NeedsSmtpUtf8 => {
            (later(record, Some((Reason::Smtputf8Missing, status)), now), Signal::Silent)
        }
    }
}

/// Sends the record to the retry topic. When its time is over, it becomes a dead letter if `give_up` has a reason, and
/// expires otherwise.
fn later(record: &Record, give_up: Option<(Reason, Option<Status>)>, now: Now) -> Next {
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

/// Makes the record a dead letter. `status`: the codes of the mail server's reply, if it was asked.
pub(super) fn dead_letter(reason: Reason, status: Option<Status>) -> Next {
    Next::Write(Target::DeadLetter { reason, status })
}

/// The next step for a record that makes way for the commit of others: a record that still has to wait goes to the retry
/// topic unchanged. Any other one ends as at its turn. A copy of it could be read as something else: the copy has another
/// topic, another time stamp, and nothing of a value that is too large.
pub(super) fn out_of_the_way(item: &Item, now: Now) -> Next {
    let record = &item.record;
    if matches!(record.content, Content::Event(_)) || record.waits_for_newer() {
        return Next::Write(unchanged(record, now.wall));
    }
    at_turn(item, now)
}

fn unchanged(record: &Record, now: Timestamp) -> Target {
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

/// When the record's time is over. A record that is not understood has a day. The day begins at the earliest of three times:
/// the one in its header, the one at which it was written, and for a retry its first failure.
fn deadline(record: &Record) -> Timestamp {
    if let Content::Event(event) = &record.content {
        return email::deadline(event).unwrap_or(Timestamp::MIN);
    }
    let said = header::text(&record.headers, "ce_time").and_then(|time| time.parse().ok());
    let failed = record.retry.as_ref().map(|retry| retry.first_failure);
    let since = [said, failed].into_iter().flatten().fold(record.written_at, Timestamp::min);
    since.checked_add(FOREIGN_LIFE).unwrap_or(Timestamp::MAX)
}

/// The first failure, for the headers of the record's retries. A record that is not understood counts from the time at which
/// it was written. Its retry has a time stamp of its own, from which its day would otherwise begin again.
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
    fn only_what_still_waits_is_copied_to_the_retry_topic_to_make_way() {
        let now = Now { instant: std::time::Instant::now(), wall: Timestamp::now(), jitter: 0.5 };
        let large = vec![b' '; 1 << 20];
        let written = now.wall.as_millisecond();
        for (topic, ce_type, payload, timestamp, expected) in [
            (Topic::Created, "of_a_version_to_come", &b"{}"[..], written, None),
            // In the retry topic it would be an event that is mailed.
            (Topic::Created, "user_account_verified", b"{}", written, Some(Reason::Undecodable)),
            (Topic::Created, "user_account_created", b"{", written, Some(Reason::Undecodable)),
            // Its copy would have a null value, and no service would make a dead letter of that.
            (Topic::Created, "user_account_created", &large, written, Some(Reason::TooLarge)),
            (Topic::MailRetry, "user_account_created", &large, written, Some(Reason::TooLarge)),
        ] {
            let position = Position { partition: Partition { topic, number: 0 }, offset: 7, epoch: 1 };
            let headers = vec![("ce_type", Some(ce_type.as_bytes()))];
            let lent = Lent { key: None, payload: Some(payload), timestamp: Some(timestamp), headers };
            let item = Item::new(Record::new(position, &lent, now.wall, Duration::ZERO));
            match (out_of_the_way(&item, now), expected) {
                (Next::Write(Target::Retry(_)), None) => {}
                (Next::Write(Target::DeadLetter { reason, .. }), Some(expected)) if reason == expected => {}
                (next, _) => panic!("{ce_type} in {topic:?}: {next:?}"),
            }
        }
    }

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
