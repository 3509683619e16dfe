//! The headers of a dead letter. It keeps the record's bytes and headers, and adds why the record could not be mailed.

use crate::{
    header::Header,
    mailer::Status,
    outcome::Reason,
    record::{Content, Digested, Record},
    retry::{self, Retry},
};
pub(crate) use contract::dead_letter_headers::{
    ATTEMPTS, FIRST_FAILURE, GROUP, LAST_FAILURE, REASON, RESOLUTION, RESOLVED, SMTP_ENHANCED_STATUS,
    SMTP_STATUS, SOURCE, VALUE_SHA256,
};
use contract::dead_letter_headers::{SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC, VALUE_OCTETS};
use jiff::Timestamp;

const PREFIX: &str = "dead_letter_";

/// The headers of a record's dead letter. `status`: the codes of the reply with which the mail server refused it. The
/// reply's words are not kept: they often repeat the address.
pub fn headers(
    record: &Record,
    group: &str,
    reason: Reason,
    status: Option<Status>,
    now: Timestamp,
) -> Vec<Header> {
    let source = source(record);
    let first_failure = record.retry.as_ref().map_or(now, |retry| retry.first_failure);
    let mut parts = source.split('/');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let mut added = vec![
        (SOURCE_TOPIC, part()),
        (SOURCE_PARTITION, part()),
        (SOURCE_OFFSET, part()),
        (REASON, reason.name().to_owned()),
        (ATTEMPTS, record.attempt().to_string()),
        (FIRST_FAILURE, format!("{first_failure:.3}")),
        (LAST_FAILURE, format!("{now:.3}")),
    ];
    if let Some(Status { code, enhanced }) = status {
        added.push((SMTP_STATUS, code.to_string()));
        added.extend(enhanced.map(|enhanced| (SMTP_ENHANCED_STATUS, enhanced.to_string())));
    }
    if let Content::TooLarge(digested) = &record.content {
        added.extend(digest(digested));
    }
    added.push((GROUP, group.to_owned()));
    added.push((SOURCE, source));
    original(&record.headers).chain(added.into_iter().map(Header::text)).collect()
}

/// The headers of a dead letter whose topic refuses the record's value and headers: those of this module, with digest and
/// length of the value.
pub(crate) fn bare(letter: &[Header], value: Option<&[u8]>) -> Vec<Header> {
    let own = letter.iter().filter(|header| header.name.starts_with(PREFIX)).cloned();
    let digest = value.map(|value| digest(&Digested::of(value)).map(Header::text));
    own.chain(digest.into_iter().flatten()).collect()
}

fn digest(digested: &Digested) -> [(&'static str, String); 2] {
    let hexadecimal = digested.sha256.iter().map(|octet| format!("{octet:02x}")).collect();
    [(VALUE_SHA256, hexadecimal), (VALUE_OCTETS, digested.octets.to_string())]
}

/// The headers of a record's retry.
pub fn retry_headers(record: &Record, retry: &Retry, group: &str) -> Vec<Header> {
    original(&record.headers).chain(retry.to_headers(Some(group))).collect()
}

/// The record that was read first: this one, or the source in its retry headers.
pub(crate) fn source(record: &Record) -> String {
    record.retry.as_ref().map_or_else(|| retry::source_name(record.position), |retry| retry.source.clone())
}

/// The command that replays the dead letters of this reason from this time on.
pub(crate) fn replay_command(reason: Reason, since: Timestamp) -> String {
    format!("notification-service dead-letters replay --reason {reason} --since {since:.3}")
}

/// The headers without those of retries and dead letters: as the record was written first.
pub(crate) fn original(headers: &[Header]) -> impl Iterator<Item = Header> {
    headers.iter().filter(|header| !Retry::owns(&header.name) && !header.name.starts_with(PREFIX)).cloned()
}
