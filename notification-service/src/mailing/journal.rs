//! Log lines about records: one for each email, whatever its outcome.

use super::{Now, running::Delivery};
use crate::{
    email,
    gate::Signal,
    offsets::Position,
    outcome::{Outcome, Reason, Report},
    record::{Content, Record},
};
use contract::{
    event::{DecodeError, Event},
    topic::Topic,
};
use log::Level;
use runtime::{caught::Panicked, telemetry::LineLimit};
use std::borrow::Cow;

/// Limits lines about records of other writers.
static NOT_UNDERSTOOD: LineLimit = LineLimit::new();

/// Logs the outcome of a record. `named`: there are several mail servers, so the line says which one it was.
pub(super) fn note(delivery: &Delivery, outcome: Outcome, named: bool, now: Now) {
    let record = &delivery.item.record;
    match &record.content {
        Content::Event(event) => note_email(delivery, event, outcome, named, now),
        Content::NotUnderstood(error) => note_not_understood(record, &error.to_string(), outcome, now),
        Content::TooLarge(_) => note_not_understood(record, &DecodeError::TooLarge.to_string(), outcome, now),
        Content::Panicked => note_not_understood(record, &Panicked.to_string(), outcome, now),
        Content::Tombstone => {}
    }
}

fn note_email(delivery: &Delivery, event: &Event, outcome: Outcome, named: bool, now: Now) {
    // An expired email leaves no other trace. A warning is written before its record counts as finished.
    let not_sent = matches!(outcome, Outcome::DeadLettered(_) | Outcome::Expired);
    let level = if not_sent { Level::Warn } else { Level::Info };
    let age = now.wall.duration_since(event.occurred_at());
    let duration = now.instant.saturating_duration_since(delivery.began);
    let trace = delivery.item.record.trace();
    let trace_id = trace.map_or_else(String::new, |trace| trace.trace_id().to_string());
    let server = if named && delivery.report.signal != Signal::Silent {
        format!(" (mail server {})", delivery.server)
    } else {
        String::new()
    };
    log::log!(
        level,
        "request.id" = event.request_id().as_str(),
        "trace.id" = trace_id.as_str(),
        "event.id" = event.event_id().to_string().as_str(),
        "event.type" = event.kind().name(),
        "mail.id" = event.mail_id().to_string().as_str(),
        "email.masked" = email::masked_address(event).as_str(),
        "attempt" = delivery.item.record.attempt(),
        "duration_ms" = (duration.as_secs_f64() * 1e5).round() / 100.0,
        "age_ms" = u64::try_from(age.as_millis()).unwrap_or(0),
        "reason" = delivery.server.naming(&reason(outcome, &delivery.report)).as_ref();
        "{}{server}", title(outcome)
    );
}

fn reason(outcome: Outcome, report: &Report) -> Cow<'static, str> {
    match (outcome, report.reply, &report.failure) {
        (Outcome::DeadLettered(reason), Some(reply), _) => format!("{reason}, reply {reply}").into(),
        (Outcome::DeadLettered(reason), None, _) => reason.name().into(),
        (_, Some(reply), _) => format!("reply {reply}").into(),
        (_, None, Some(failure)) => failure.to_string().into(),
        (_, None, None) => "".into(),
    }
}

/// Logs a record that nobody can mail; of many, only the first ones. Each is a dead letter or a retry, and counted.
fn note_not_understood(record: &Record, error: &str, outcome: Outcome, now: Now) {
    let Some(left_out) = NOT_UNDERSTOOD.admit(now.instant) else { return };
    log::warn!(
        "kafka.topic" = record.position.partition.topic.name(),
        "kafka.partition" = record.position.partition.number,
        "kafka.offset" = record.position.offset,
        "attempt" = record.attempt(),
        "error" = error,
        "lines.left_out" = left_out;
        "record not understood: {}", title(outcome)
    );
}

/// Logs the first record of an earlier version in its topic: there may be many.
pub(super) fn note_earlier_version(topic: Topic, version: u32) {
    log::warn!(
        "kafka.topic" = topic.name(), "event.version" = version;
        "records of an earlier version found: none is mailed, each becomes a dead letter. Stop all services of that \
         version; whoever waits for a mail has to register again. Then: notification-service dead-letters discard \
         --reason {}", Reason::UnknownVersion
    );
}

/// Logs that the task of a delivery is gone although this process still owns the record.
pub(super) fn note_bug(position: Position) {
    log::error!(
        "kafka.topic" = position.partition.topic.name(),
        "kafka.partition" = position.partition.number,
        "kafka.offset" = position.offset;
        "a delivery ended in a bug; the record becomes a dead letter"
    );
}

fn title(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "email delivered",
        Outcome::HandedOn => "email put off; it will be tried again",
        Outcome::DeadLettered(_) => "dead letter",
        Outcome::Expired => "email not sent: its time was over",
        Outcome::Ignored => "no email asked for",
        Outcome::Duplicate => "email not sent again: it was delivered before",
    }
}
