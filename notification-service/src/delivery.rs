//! The work of a delivery: mail an email, or write its record to another topic. It decides two things about the record: an expired
//! mail is not sent, and a record that the retry topic refuses becomes a dead letter.
//!
//! A delivery holds a session only during its transaction. Expiry is checked when the transaction begins, after the wait for
//! a session.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use crate::{
    dead_letter,
    email::{self, Letterhead},
    header::Header,
    mailer::{Mailer, SendError, Status},
    outcome::{Outcome, Reason, Target, Try},
    record::Record,
    retry::Retry,
    server_number::ServerNumber,
    writer::{NotTaken, Outgoing, Writer},
};
use contract::{event::Event, topic::Topic, trace_context::TraceContext};
use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;
use runtime::telemetry::LineLimit;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// The first wait after the dead-letter topic has refused a letter even without key and value.
const REFUSED_LETTER_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_REFUSED_LETTER_PAUSE: Duration = Duration::from_secs(60);

/// Limits lines about refused copies.
static NOT_COPIED: LineLimit = LineLimit::new();

/// What all deliveries share.
pub(crate) struct Delivery {
    pub(crate) letterhead: Letterhead,
    /// In the order of the servers' numbers.
    pub(crate) mailers: Vec<Arc<Mailer>>,
    pub(crate) writer: Writer,
    /// The consumer group. Only this group takes its retries.
    pub(crate) group: String,
    /// Seconds from an event to the acceptance of its email.
    pub(crate) accepted_after: Histogram,
}

/// How the deliveries of one server are interrupted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupts {
    /// Ends the wait for a session, but no transaction that has begun.
    pub(crate) call_back: CancellationToken,
    /// Ends a transaction whose content is not on its way yet.
    pub(crate) recall: CancellationToken,
    /// Ends the transaction, although the server may have accepted the mail.
    pub(crate) abandon: CancellationToken,
}

impl Delivery {
    /// Mails what the event asks for, through this server, as part of a trace if its record names one.
    pub(crate) async fn mail(
        &self,
        server: ServerNumber,
        event: &Event,
        trace: Option<&TraceContext>,
        interrupts: &Interrupts,
    ) -> Try {
        loop {
            let session = tokio::select! {
                biased;
                () = interrupts.call_back.cancelled() => return Try::Interrupted,
                session = self.mailers[server.index()].session() => session,
            };
            let session = match session {
                Ok(session) => session,
                Err(failure) => return Try::Failed(failure),
            };
            let now = Timestamp::now();
            if email::is_expired(event, now) {
                session.put_back();
                return Try::Expired;
            }
            let email = match email::write(event, trace.map(TraceContext::trace_id), &self.letterhead, now) {
                Ok(email) => email,
                Err(error) => {
                    session.put_back();
                    return Try::Unwritable(error);
                }
            };
            let sending = session.send(&email, &interrupts.recall);
            match interrupts.abandon.run_until_cancelled(sending).await {
                None | Some(Err(SendError::Recalled)) => return Try::Interrupted,
                Some(Ok(())) => {
                    let age = Timestamp::now().duration_since(event.occurred_at());
                    self.accepted_after.observe(age.as_secs_f64().max(0.0));
                    return Try::Accepted;
                }
                Some(Err(SendError::NextSession)) => {}
                Some(Err(SendError::Server(failure))) => return Try::Failed(failure),
                Some(Err(SendError::Unwelcome(failure))) => return Try::Unwelcome(failure),
                Some(Err(SendError::Refused(refusal))) => return Try::Refused(refusal),
            }
        }
    }

    /// Writes the record to another topic and waits for the broker's ack.
    pub(crate) async fn write(&self, record: &Record, target: &Target) -> Outcome {
        match target {
            Target::Retry(retry) => self.hand_on(record, retry).await,
            Target::DeadLetter { reason, status } => self.dead_letter(record, *reason, *status).await,
        }
    }

    async fn hand_on(&self, record: &Record, retry: &Retry) -> Outcome {
        let headers = dead_letter::retry_headers(record, retry, &self.group);
        match self.writer.write(&copy(record, Topic::MailRetry, headers)).await {
            Ok(()) => Outcome::HandedOn,
            Err(error) => {
                note_not_copied(record, Topic::MailRetry, &error);
                self.dead_letter(record, Reason::TooLarge, None).await
            }
        }
    }

    async fn dead_letter(&self, record: &Record, reason: Reason, status: Option<Status>) -> Outcome {
        let headers = dead_letter::headers(record, &self.group, reason, status, Timestamp::now());
        let mut letter = copy(record, Topic::DeadLetter, headers);
        let mut pause = REFUSED_LETTER_PAUSE;
        while let Err(error) = self.writer.write(&letter).await {
            note_not_copied(record, Topic::DeadLetter, &error);
            if letter.key.is_none() && letter.payload.is_none() {
                // No letter is smaller. Only an operator can help, with another setting of the topic.
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

/// The same key and value with other headers.
fn copy(record: &Record, topic: Topic, headers: Vec<Header>) -> Outgoing<'_> {
    let (key, payload) = (record.key.as_deref(), record.payload.as_deref());
    Outgoing { topic, partition: None, key, payload, headers }
}

/// Logs that a topic refuses a copy.
fn note_not_copied(record: &Record, topic: Topic, error: &NotTaken) {
    let Some(left_out) = NOT_COPIED.admit(Instant::now()) else { return };
    log::error!(
        "kafka.topic" = topic.name(),
        "source" = dead_letter::source(record).as_str(),
        "error" = error.to_string().as_str(),
        "lines.left_out" = left_out;
        "a copy of a record is refused; look at max.message.bytes and cleanup.policy of the topic"
    );
}
