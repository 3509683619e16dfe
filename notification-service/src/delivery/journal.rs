//! One log line for each email, whatever became of it.

use crate::{
    dead_letter, email,
    outcome::{Outcome, Report},
    record::{Content, Record},
    writer::NotTaken,
};
use jiff::Timestamp;
use log::Level;
use shared::{event::Event, telemetry::LineLimit, topic::Topic};
use std::{borrow::Cow, time::Instant};

/// Lines about records that somebody else wrote.
static NOT_UNDERSTOOD: LineLimit = LineLimit::new();
static NOT_COPIED: LineLimit = LineLimit::new();

pub(super) fn note(record: &Record, event: &Event, report: &Report, started: Instant) {
    // Of an expired email there is no other trace, and a warning is written before the record is finished with.
    let not_sent = matches!(report.outcome, Outcome::DeadLettered(_) | Outcome::Expired);
    let level = if not_sent { Level::Warn } else { Level::Info };
    let age = Timestamp::now().duration_since(event.occurred_at());
    log::log!(
        level,
        "request.id" = event.request_id().as_str(),
        "event.id" = event.event_id().to_string().as_str(),
        "event.type" = event.kind().name(),
        "mail.id" = event.mail_id().to_string().as_str(),
        "email.masked" = email::masked_address(event).as_str(),
        "attempt" = record.attempt(),
        "duration_ms" = duration_ms(started),
        "age_ms" = u64::try_from(age.as_millis()).unwrap_or(0),
        "reason" = reason(report).as_ref();
        "{}", title(report.outcome)
    );
}

fn reason(report: &Report) -> Cow<'static, str> {
    match (report.outcome, report.reply, &report.failure) {
        (Outcome::DeadLettered(reason), Some(reply), _) => format!("{reason}, reply {reply}").into(),
        (Outcome::DeadLettered(reason), None, _) => reason.name().into(),
        (_, Some(reply), _) => format!("reply {reply}").into(),
        (_, None, Some(failure)) => failure.to_string().into(),
        (_, None, None) => "".into(),
    }
}

/// A line for a record whose time was over before a delivery began.
pub(crate) fn note_expired(record: &Record) {
    if let Content::Event(event) = &record.content {
        let report = Report::new(Outcome::Expired, crate::gate::Signal::Silent);
        note(record, event, &report, Instant::now());
    }
}

/// A line for a record that nobody can mail, or for the first ones of many; each is a dead letter or a retry, and counted.
pub(super) fn note_not_understood(record: &Record, error: &str, outcome: Outcome) {
    let Some(left_out) = NOT_UNDERSTOOD.admit(Instant::now()) else { return };
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

/// A line for a copy that its topic does not take.
pub(super) fn note_not_copied(record: &Record, topic: Topic, error: &NotTaken) {
    let Some(left_out) = NOT_COPIED.admit(Instant::now()) else { return };
    log::error!(
        "kafka.topic" = topic.name(),
        "source" = dead_letter::source(record).as_str(),
        "error" = error.to_string().as_str(),
        "lines.left_out" = left_out;
        "a copy of a record is refused; look at max.message.bytes and cleanup.policy of the topic"
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
        Outcome::Interrupted => "delivery interrupted",
    }
}

fn duration_ms(started: Instant) -> f64 {
    (started.elapsed().as_secs_f64() * 1e5).round() / 100.0
}
