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
    offsets::Position,
    outcome::{Outcome, Reason, Target, Try},
    record::Record,
    retry::Retry,
    server_number::ServerNumber,
    writer::{NotTaken, Outgoing, Writer},
};
use contract::{
    event::Event,
    topic::Topic,
    trace_context::{TraceContext, TraceId},
};
use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;
use runtime::{
    kafka::Names,
    spans::{Kind, Span, Spans},
    telemetry::LineLimit,
};
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
    /// The names of the topics, for spans.
    pub(crate) names: Names,
    pub(crate) spans: Spans,
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
        position: Position,
        trace: Option<&TraceContext>,
        interrupts: &Interrupts,
    ) -> Try {
        let topic = self.names.shown(position.partition.topic);
        let mut span = self.spans.begin(Kind::Consumer, format_args!("process {topic}"), trace);
        span.fail_unless_ended();
        span.of_kafka("process", &topic);
        span.at_place(position.partition.number, position.offset);
        span.text("messaging.consumer.group.name", &self.group);
        let trace_id = trace.map(TraceContext::trace_id);
        let tried = self.try_to_mail(server, event, trace_id, &span, interrupts).await;
        if let Some(error) = failure(&tried) {
            span.fail(error);
        }
        span.end();
        tried
    }

    /// `processing`: the span whose step this is.
    async fn try_to_mail(
        &self,
        server: ServerNumber,
        event: &Event,
        trace_id: Option<TraceId>,
        processing: &Span,
        interrupts: &Interrupts,
    ) -> Try {
        let mailer = &self.mailers[server.index()];
        let mut has_slot = false;
        loop {
            let session =
                async { if has_slot { mailer.next_session().await } else { mailer.session().await } };
            let session = tokio::select! {
                biased;
                () = interrupts.call_back.cancelled() => return Try::Interrupted,
                session = session => session,
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
            let email = match email::write(event, trace_id, &self.letterhead, now) {
                Ok(email) => email,
                Err(error) => {
                    session.put_back();
                    return Try::Unwritable(error);
                }
            };
            let mut talk = self.spans.begin(Kind::Client, format_args!("SMTP"), Some(processing.trace()));
            talk.fail_unless_ended();
            talk.text("network.protocol.name", "smtp");
            let (host, port) = mailer.server();
            talk.text("server.address", host);
            talk.number("server.port", port.into());
            let sending = session.send(&email, &interrupts.recall);
            let sent = interrupts.abandon.run_until_cancelled(sending).await;
            note_reply(&mut talk, sent.as_ref());
            talk.end();
            match sent {
                None | Some(Err(SendError::Recalled)) => return Try::Interrupted,
                Some(Ok(_)) => {
                    let age = Timestamp::now().duration_since(event.occurred_at());
                    self.accepted_after.observe(age.as_secs_f64().max(0.0));
                    return Try::Accepted;
                }
                Some(Err(SendError::NextSession)) => has_slot = true,
                Some(Err(SendError::Server(failure))) => return Try::Failed(failure),
                Some(Err(SendError::Unwelcome(failure))) => return Try::Unwelcome(failure),
                Some(Err(SendError::Refused(refusal))) => return Try::Refused(refusal),
            }
        }
    }

    /// Writes the record to another topic and waits for the broker's ack.
    pub(crate) async fn write(&self, record: &Record, target: &Target) -> Outcome {
        match target {
            Target::Retry(retry) => match self.hand_on(record, retry).await {
                Ok(()) => Outcome::HandedOn,
                Err(error) => {
                    note_not_copied(record, Topic::MailRetry, &error);
                    self.dead_letter(record, Reason::TooLarge, None).await
                }
            },
            Target::DeadLetter { reason, status } => self.dead_letter(record, *reason, *status).await,
        }
    }

    async fn hand_on(&self, record: &Record, retry: &Retry) -> Result<(), NotTaken> {
        let mut span = self.begin_copy(record, Topic::MailRetry);
        let headers = dead_letter::retry_headers(record, retry, &self.group);
        let written = self.writer.write(&copy(record, Topic::MailRetry, headers)).await;
        if written.is_err() {
            span.fail("not_taken");
        }
        span.end();
        written
    }

    async fn dead_letter(&self, record: &Record, reason: Reason, status: Option<Status>) -> Outcome {
        let mut span = self.begin_copy(record, Topic::DeadLetter);
        // The step succeeds. What failed is the mail.
        span.text("dead_letter.reason", reason.name());
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
        span.end();
        Outcome::DeadLettered(reason)
    }

    /// The span of a copy to this topic.
    fn begin_copy(&self, record: &Record, topic: Topic) -> Span {
        let topic = self.names.shown(topic);
        let mut span =
            self.spans.begin(Kind::Producer, format_args!("send {topic}"), record.trace().as_ref());
        span.fail_unless_ended();
        span.of_kafka("send", &topic);
        span
    }
}

/// The name of what kept a mail from being accepted, for its span. Never the server's words.
fn failure(tried: &Try) -> Option<&'static str> {
    match tried {
        Try::Accepted => None,
        Try::Expired => Some("expired"),
        Try::Unwritable(_) => Some("unwritable"),
        Try::Refused(_) => Some("refused"),
        Try::Unwelcome(_) => Some("unwelcome"),
        Try::Failed(_) => Some("server_failed"),
        Try::Interrupted => Some("interrupted"),
    }
}

/// Notes the codes of the server's last reply, and what it means.
fn note_reply(talk: &mut Span, sent: Option<&Result<Status, SendError>>) {
    let (status, error) = match sent {
        None | Some(Err(SendError::Recalled)) => (None, Some("interrupted")),
        Some(Ok(status)) => (Some(*status), None),
        Some(Err(SendError::NextSession)) => (None, Some("session_ended")),
        Some(Err(SendError::Server(failure))) => (failure.status(), Some("server_failed")),
        Some(Err(SendError::Unwelcome(failure))) => (failure.status(), Some("unwelcome")),
        Some(Err(SendError::Refused(refusal))) => (refusal.status, Some("refused")),
    };
    if let Some(status) = status {
        talk.number("smtp.reply.code", status.code.into());
        if let Some(enhanced) = status.enhanced {
            talk.shown("smtp.reply.enhanced_code", enhanced);
        }
    }
    if let Some(error) = error {
        talk.fail(error);
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
