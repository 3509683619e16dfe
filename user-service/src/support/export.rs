//! All records about an account, as a person may ask for them (GDPR, article 15): one JSON object a line.
//!
//! Each line is written when its record is read: strangers can write many records about an address, and memory is bounded.
//! The last line says whether the export is complete; without it, it is not.

use super::{
    known::{NotRead, ORDER},
    read::{Found, Log, Unread},
};
use crate::{config::Config, log_ends::Inquirer};
use anyhow::bail;
use contract::{account_id::AccountId, characters::printable, topic::Topic};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::{io::Write, sync::Arc, time::Duration};

/// Kafka deletes whole segments, which are an hour long: a record may stay that much longer than its topic keeps it.
const SEGMENT: Duration = Duration::from_secs(60 * 60);

/// Reads all topics to their present ends, and writes the account's records. Blocks.
///
/// # Errors
/// When the brokers don't answer, or a topic is withheld. What could be read is written nevertheless.
pub(super) fn write(config: &Config, account: AccountId, out: &mut impl Write) -> anyhow::Result<()> {
    let inquirer = Arc::new(Inquirer::new(&config.kafka)?);
    let log = Log::new(&config.kafka, inquirer)?;
    let (key, mut count, mut not_read) = (account.to_string(), 0_u64, Vec::<NotRead>::new());
    for topic in ORDER {
        let read = log.span(topic).and_then(|(start, end)| {
            log.read(topic, (&start, &end), |found| {
                if found.key == Some(key.as_bytes()) {
                    count = count.saturating_add(1);
                    write_line(out, &record(found))?;
                }
                Ok(())
            })
        });
        match read {
            Ok(()) => {}
            Err(Unread::Withheld(why)) => not_read.push((topic, why)),
            Err(Unread::Failed(error)) => return Err(error),
        }
    }
    let last = json!({
        "account": account.to_string(),
        "records": count,
        "complete": not_read.is_empty(),
        "not_read": super::json::not_read(&not_read),
    });
    write_line(out, &last)?;
    out.flush()?;
    if let Some((topic, why)) = not_read.first() {
        bail!("the export is not complete: {} can't be read: {why}", topic.name());
    }
    Ok(())
}

fn write_line(out: &mut impl Write, line: &Value) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", printable(&line.to_string()))?)
}

fn record(found: &Found<'_>) -> Value {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let headers: Map<_, _> = found
        .headers()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.map_or(Value::Null, |value| text(value).into())))
        .collect();
    let written_at = found.timestamp.and_then(|time| Timestamp::from_millisecond(time).ok());
    json!({
        "topic": found.topic.name(),
        "partition": found.partition,
        "offset": found.offset,
        "written_at": written_at.map(|at| format!("{at:.3}")),
        "kept_until": written_at.and_then(|at| kept_until(found.topic, at)).map(|at| format!("{at:.3}")),
        "headers": headers,
        "value": found.payload.map(|octets| value(octets).unwrap_or_else(|| text(octets).into())),
    })
}

/// The value as JSON, if it is that.
fn value(octets: &[u8]) -> Option<Value> {
    serde_json::from_slice(octets).ok()
}

/// When the record is gone at the latest; `None`: not before the account is forgotten.
fn kept_until(topic: Topic, written_at: Timestamp) -> Option<Timestamp> {
    written_at.checked_add(topic.retention()?.saturating_add(SEGMENT)).ok()
}
