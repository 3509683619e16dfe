//! The expired events in the notification services' logs. No topic has them, and without them the ledger could not be exact.

use crate::evidence::Writing;
use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

const EXPIRED: &str = "email not sent: its time was over";

/// All events that the logs call expired, each with the time of the last such line.
///
/// # Errors
/// A log can't be read.
pub(crate) fn read<'a>(logs: impl Iterator<Item = &'a Path>) -> anyhow::Result<HashMap<Writing, Timestamp>> {
    let mut expired = HashMap::new();
    for log in logs {
        let file = File::open(log).with_context(|| format!("{}", log.display()))?;
        for line in BufReader::new(file).split(b'\n') {
            if let Some((writing, at)) = expiry(&line?) {
                let last = expired.entry(writing).or_insert(at);
                *last = at.max(*last);
            }
        }
    }
    Ok(expired)
}

/// `None` for other lines, and for a line that a crash has cut off.
fn expiry(line: &[u8]) -> Option<(Writing, Timestamp)> {
    let line: Value = serde_json::from_slice(line).ok()?;
    if line["message"] != EXPIRED {
        return None;
    }
    let writing = (line["event.id"].as_str()?.parse().ok()?, line["request.id"].as_str()?.to_owned());
    Some((writing, line["timestamp"].as_str()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_about_an_expiry_count() {
        let id = "f3f86a8c-169f-854e-93ab-e49c60232279";
        let line = format!(
            r#"{{"timestamp":"2026-11-21T10:00:00.123Z","message":"{EXPIRED}","event.id":"{id}","request.id":"r-1"}}"#
        );
        let ((event_id, request_id), at) = expiry(line.as_bytes()).unwrap();
        assert_eq!((event_id.to_string(), request_id), (id.to_owned(), "r-1".to_owned()));
        assert_eq!(at.to_string(), "2026-11-21T10:00:00.123Z");
        assert_eq!(expiry(&line.as_bytes()[..line.len() - 3]), None);
        assert_eq!(expiry(line.replace("not sent", "sent").as_bytes()), None);
    }
}
