//! One record to one outcome: mailed, handed on, given up, or left for later.
//!
//! A delivery holds a session only while it talks to the mail server. Expiry is judged when the transaction begins,
//! after the wait for a session. One log line tells how each email ended; it has no code, token or address in it.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use crate::{
    dead_letter,
    email::{self, Letterhead, UnwritableError},
    gate::Signal,
    mailer::{Mailer, Refusal, RefusalKind, SendError},
    outcome::{Outcome, Reason, Report},
    record::{self, Content, Header, Record},
    retry::{self, Retry},
    writer::{Outgoing, Writer},
};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::histogram::Histogram;
use shared::{
    caught::Panicked,
    event::{DecodeError, Event},
    topic::Topic,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

mod journal;

pub(crate) use journal::note_expired;

/// How long a record that this version does not understand waits for a service that does.
const FOREIGN_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// Between two tries to write a dead letter that its topic does not take, even without key and value.
const REFUSED_LETTER_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_REFUSED_LETTER_PAUSE: Duration = Duration::from_secs(60);

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Mail it; as a probe while the gate is closed.
    Mail { probe: bool },
    /// The server failed on it again and again while it served others: try later, as after a temporary refusal.
    Postpone,
    /// Write it to the retry topic as it is: it waits, and holds up the commit of finished ones behind it.
    Requeue,
    /// A delivery of it ended in a bug.
    GiveUp,
}

/// All that a delivery needs; shared by all deliveries.
pub(crate) struct Delivery {
    pub(crate) letterhead: Letterhead,
    pub(crate) mailer: Arc<Mailer>,
    pub(crate) writer: Writer,
    /// The consumer group, which alone takes up what it hands on.
    pub(crate) group: String,
    /// Seconds from an event to the acceptance of its email.
    pub(crate) accepted_after: Histogram,
}

/// Whether nothing is to be done for the record.
pub(crate) fn is_ignored(record: &Record) -> bool {
    match &record.content {
        Content::Tombstone => true,
        Content::Event(event) => email::deadline(event).is_none(),
        Content::NotUnderstood(_) | Content::TooLarge(_) | Content::Panicked => false,
    }
}

/// How long a record waits for a service that understands it: a day from when it says to have been written, at most from
/// when it was, and of a retry from its first failure.
fn foreign_deadline(record: &Record) -> Timestamp {
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

impl Delivery {
    /// Does the task. Cancelling `round` ends the wait for a session, and nothing that has begun; cancelling `talks` ends the
    /// talk with the mail server, which may have taken the mail then.
    pub(crate) async fn run(
        &self,
        task: Task,
        record: &Record,
        round: &CancellationToken,
        talks: &CancellationToken,
    ) -> Report {
        let silent = |outcome| Report::new(outcome, Signal::Silent);
        match (task, &record.content) {
            (Task::GiveUp, _) => silent(self.dead_letter(record, Reason::Panicked, 0).await),
            (Task::Requeue, _) => silent(self.requeue(record).await),
            (_, Content::Tombstone) => silent(Outcome::Ignored),
            (_, Content::NotUnderstood(error)) => silent(self.not_understood(record, error).await),
            (_, Content::TooLarge(_)) => silent(self.too_large(record).await),
            (_, Content::Panicked) => silent(self.panicked(record).await),
            (Task::Mail { probe }, Content::Event(event)) => {
                self.mail(record, event, probe, round, talks).await
            }
            (Task::Postpone, Content::Event(event)) => self.postpone(record, event).await,
        }
    }

    async fn mail(
        &self,
        record: &Record,
        event: &Event,
        probe: bool,
        round: &CancellationToken,
        talks: &CancellationToken,
    ) -> Report {
        let started = Instant::now();
        let Some(deadline) = email::deadline(event) else {
            return Report::new(Outcome::Ignored, Signal::Silent);
        };
        let report = loop {
            let session = tokio::select! {
                biased;
                () = round.cancelled() => return Report::new(Outcome::Interrupted, Signal::Silent),
                session = self.mailer.session() => session,
            };
            let session = match session {
                Ok(session) => session,
                Err(failure) => return Report::server_failed(failure),
            };
            let now = Timestamp::now();
            if email::is_expired(event, now) {
                session.put_back();
                break Report::new(Outcome::Expired, Signal::Silent);
            }
            let email = match email::write(event, &self.letterhead, now) {
                Ok(email) => email,
                Err(error) => {
                    session.put_back();
                    break Report::new(self.unwritable(record, deadline, error).await, Signal::Silent);
                }
            };
            let Some(sent) = talks.run_until_cancelled(session.send(&email)).await else {
                return Report::new(Outcome::Interrupted, Signal::Silent);
            };
            match sent {
                Ok(()) => {
                    let age = Timestamp::now().duration_since(event.occurred_at());
                    self.accepted_after.observe(age.as_secs_f64().max(0.0));
                    break Report::new(Outcome::Delivered, Signal::Accepted);
                }
                Err(SendError::NextSession) => {}
                Err(SendError::Server(failure)) => return Report::server_failed(failure),
                Err(SendError::Unwelcome(failure)) if record.earlier_attempts() == 0 => {
                    return Report::new(Outcome::Interrupted, Signal::Unwelcome).because_of(failure);
                }
                // Others may be served meanwhile: it waits with them that are refused for now, and is never a dead letter.
                Err(SendError::Unwelcome(failure)) => {
                    let outcome = self.later(record, deadline, None).await;
                    break Report::new(outcome, Signal::UnwelcomeAgain).because_of(failure);
                }
                Err(SendError::Refused(refusal)) => {
                    break self.refused(record, deadline, &refusal, probe).await.refused_with(refusal.status);
                }
            }
        };
        journal::note(record, event, &report, started);
        report
    }

    async fn postpone(&self, record: &Record, event: &Event) -> Report {
        let started = Instant::now();
        let outcome = match email::deadline(event) {
            Some(deadline) => self.later(record, deadline, None).await,
            None => Outcome::Ignored,
        };
        let report = Report::new(outcome, Signal::Silent);
        journal::note(record, event, &report, started);
        report
    }

    async fn refused(&self, record: &Record, deadline: Timestamp, refusal: &Refusal, probe: bool) -> Report {
        let status = refusal.status.map_or(0, |status| status.code);
        let signal = if record.earlier_attempts() == 0 { Signal::Refused } else { Signal::RefusedAgain };
        match refusal.kind {
            RefusalKind::ForNow => Report::new(self.later(record, deadline, None).await, signal),
            RefusalKind::RecipientForNow => {
                Report::new(self.later(record, deadline, None).await, Signal::RecipientRefused)
            }
            RefusalKind::Content => {
                let give_up = Some((Reason::ContentRefused, status));
                Report::new(self.later(record, deadline, give_up).await, signal)
            }
            RefusalKind::Recipient => {
                let outcome = self.dead_letter(record, Reason::RecipientRefused, status).await;
                Report::new(outcome, Signal::RecipientRefused)
            }
            // While nobody is served this is no dead letter: it may well be the server.
            RefusalKind::RecipientUnclear if probe => {
                let give_up = Some((Reason::RecipientRefused, status));
                Report::new(self.later(record, deadline, give_up).await, Signal::RefusedForGood)
            }
            RefusalKind::RecipientUnclear => {
                let outcome = self.dead_letter(record, Reason::RecipientRefused, status).await;
                Report::new(outcome, Signal::RefusedForGood)
            }
            // The next connection may offer it: to another machine of that name, or after EHLO where this one took HELO.
            RefusalKind::NeedsSmtpUtf8 => {
                let give_up = Some((Reason::Smtputf8Missing, status));
                Report::new(self.later(record, deadline, give_up).await, Signal::Silent)
            }
        }
    }

    async fn unwritable(&self, record: &Record, deadline: Timestamp, error: UnwritableError) -> Outcome {
        match error {
            // A replica that was started later may know the key.
            UnwritableError::UnknownKey => self.later(record, deadline, Some((Reason::UnknownKey, 0))).await,
            UnwritableError::Compose => self.dead_letter(record, Reason::Unwritable, 0).await,
        }
    }

    /// What a newer version may understand waits for it; what none will read is a dead letter at once.
    async fn not_understood(&self, record: &Record, error: &DecodeError) -> Outcome {
        let outcome = if record.waits_for_newer() {
            let give_up = Some((Reason::UnknownVersion, 0));
            self.later(record, foreign_deadline(record), give_up).await
        } else {
            let reason = match error {
                DecodeError::UnknownVersion(_) => Reason::UnknownVersion,
                DecodeError::WrongClock => Reason::WrongClock,
                DecodeError::UnknownType
                | DecodeError::Malformed { .. }
                | DecodeError::TooLarge
                | DecodeError::WrongTopic
                | DecodeError::OutOfRange
                | DecodeError::WrongAccount => Reason::Undecodable,
            };
            self.dead_letter(record, reason, 0).await
        };
        journal::note_not_understood(record, &error.to_string(), outcome);
        outcome
    }

    async fn too_large(&self, record: &Record) -> Outcome {
        let outcome = self.dead_letter(record, Reason::TooLarge, 0).await;
        journal::note_not_understood(record, &DecodeError::TooLarge.to_string(), outcome);
        outcome
    }

    async fn panicked(&self, record: &Record) -> Outcome {
        let outcome = self.dead_letter(record, Reason::Panicked, 0).await;
        journal::note_not_understood(record, &Panicked.to_string(), outcome);
        outcome
    }

    /// Hands the record on to the retry topic; when its time is over, it is a dead letter if there is a reason for
    /// one, and expired otherwise.
    async fn later(&self, record: &Record, deadline: Timestamp, give_up: Option<(Reason, u16)>) -> Outcome {
        let now = Timestamp::now();
        let attempts = record.attempt();
        let jitter = rand::random_range(0.0..1.0);
        let Some(not_before) = retry::next_try(attempts, now, deadline, jitter) else {
            return match give_up {
                Some((reason, status)) => self.dead_letter(record, reason, status).await,
                None => Outcome::Expired,
            };
        };
        let (source, first_failure) = (dead_letter::source(record), first_failure(record, now));
        self.hand_on(record, &Retry { not_before, attempts, source, first_failure }).await
    }

    async fn requeue(&self, record: &Record) -> Outcome {
        let now = Timestamp::now();
        let untried = || Retry {
            not_before: now,
            attempts: 0,
            source: dead_letter::source(record),
            first_failure: first_failure(record, now),
        };
        self.hand_on(record, &record.retry.clone().unwrap_or_else(untried)).await
    }

    async fn hand_on(&self, record: &Record, retry: &Retry) -> Outcome {
        let headers = dead_letter::retry_headers(record, retry, &self.group);
        match self.writer.write(&copy(record, Topic::MailRetry, headers)).await {
            Ok(()) => Outcome::HandedOn,
            Err(error) => {
                journal::note_not_copied(record, Topic::MailRetry, &error);
                self.dead_letter(record, Reason::TooLarge, 0).await
            }
        }
    }

    async fn dead_letter(&self, record: &Record, reason: Reason, status: u16) -> Outcome {
        let headers = dead_letter::headers(record, &self.group, reason, status, Timestamp::now());
        let mut letter = copy(record, Topic::DeadLetter, headers);
        let mut pause = REFUSED_LETTER_PAUSE;
        while let Err(error) = self.writer.write(&letter).await {
            journal::note_not_copied(record, Topic::DeadLetter, &error);
            if letter.key.is_none() && letter.payload.is_none() {
                // As small as a letter can be: only an operator can help, by another setting of the topic.
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_REFUSED_LETTER_PAUSE);
            } else {
                letter.headers = dead_letter::bare(&letter.headers, letter.payload);
                (letter.key, letter.payload) = (None, None);
            }
        }
        Outcome::DeadLettered(reason)
    }
}

/// A copy with other headers; key and bytes stay as they are.
fn copy(record: &Record, topic: Topic, headers: Vec<Header>) -> Outgoing<'_> {
    let (key, payload) = (record.key.as_deref(), record.payload.as_deref());
    Outgoing { topic, partition: None, key, payload, headers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        offsets::{Partition, Position},
        record::Lent,
    };

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
        let deadline = foreign_deadline(&first);
        assert_eq!(deadline.duration_since(now).as_hours(), 3, "less than four hours are left");

        let source = dead_letter::source(&first);
        let retry = Retry { not_before: now, attempts: 0, source, first_failure: first_failure(&first, now) };
        let headers: Vec<_> = retry.to_headers(None).collect();
        let lent = headers.iter().map(|header| (header.name.as_str(), header.value.as_deref()));
        let again = read(lent.chain([unknown]).collect(), now.as_millisecond());
        assert_eq!(foreign_deadline(&again).duration_since(deadline).as_secs(), 0);
    }
}
