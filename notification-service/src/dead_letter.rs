//! The headers of a dead letter. It keeps the record's bytes and headers, and adds why the record could not be mailed.

use crate::{
    header::Header,
    outcome::Reason,
    record::{Content, Digested, Record},
    retry::{self, Retry},
};
use jiff::Timestamp;

/// `topic/partition/offset` of the record that could not be mailed; identifies the dead letter.
pub(crate) const SOURCE: &str = "dead_letter_source";
/// The topic alone.
pub(crate) const SOURCE_TOPIC: &str = "dead_letter_source_topic";
/// The partition alone.
pub(crate) const SOURCE_PARTITION: &str = "dead_letter_source_partition";
/// The offset alone.
pub(crate) const SOURCE_OFFSET: &str = "dead_letter_source_offset";
/// The class of the reason.
pub(crate) const REASON: &str = "dead_letter_reason";
/// The mail server's reply code; absent when the server was not asked.
pub(crate) const SMTP_STATUS: &str = "dead_letter_smtp_status";
/// Number of tries.
pub(crate) const ATTEMPTS: &str = "dead_letter_attempts";
/// Time of the first failure, RFC 3339.
pub(crate) const FIRST_FAILURE: &str = "dead_letter_first_failure";
/// Time of the last failure, RFC 3339.
pub(crate) const LAST_FAILURE: &str = "dead_letter_last_failure";

/// The consumer group that could not mail it.
pub(crate) const GROUP: &str = "dead_letter_group";
/// SHA-256, in hexadecimal digits, of a value that was not kept.
pub(crate) const VALUE_SHA256: &str = "dead_letter_value_sha256";
/// Length in octets of a value that was not kept.
pub(crate) const VALUE_OCTETS: &str = "dead_letter_value_octets";

/// On a marker: the offset of the dead letter that it resolves, in the same partition.
pub(crate) const RESOLVED: &str = "dead_letter_resolved";
/// On a marker: `replayed` or `discarded`.
pub(crate) const RESOLUTION: &str = "dead_letter_resolution";

const PREFIX: &str = "dead_letter_";

/// The headers of a record's dead letter. `status` 0 stands for none.
pub fn headers(record: &Record, group: &str, reason: Reason, status: u16, now: Timestamp) -> Vec<Header> {
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
    if status > 0 {
        added.push((SMTP_STATUS, status.to_string()));
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
