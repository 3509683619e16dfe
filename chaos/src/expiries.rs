//! What the notification services' logs call expired: no topic says it, and the ledger needs it to be exact.

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;
use shared::event::EventId;
use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

const EXPIRED: &str = "email not sent: its time was over";

/// The events of all lines that say so, and when the first did.
///
/// # Errors
/// A log can't be read.
pub(crate) fn read<'a>(logs: impl Iterator<Item = &'a Path>) -> anyhow::Result<HashMap<EventId, Timestamp>> {
    let mut expired = HashMap::new();
    for log in logs {
        let file = File::open(log).with_context(|| format!("{}", log.display()))?;
        for line in BufReader::new(file).split(b'\n') {
            if let Some((event_id, at)) = expiry(&line?) {
                expired
                    .entry(event_id)
                    .and_modify(|known: &mut Timestamp| *known = (*known).min(at))
                    .or_insert(at);
            }
        }
    }
    Ok(expired)
}

/// `None` for other lines, and for one that a crash has cut off.
fn expiry(line: &[u8]) -> Option<(EventId, Timestamp)> {
    let line: Value = serde_json::from_slice(line).ok()?;
    if line["message"] != EXPIRED {
        return None;
    }
    Some((line["event.id"].as_str()?.parse().ok()?, line["timestamp"].as_str()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_about_an_expiry_count() {
        let id = "f3f86a8c-169f-854e-93ab-e49c60232279";
        let line =
            format!(r#"{{"timestamp":"2026-11-21T10:00:00.123Z","message":"{EXPIRED}","event.id":"{id}"}}"#);
        let (event_id, at) = expiry(line.as_bytes()).unwrap();
        assert_eq!((event_id.to_string(), at.to_string()), (id.into(), "2026-11-21T10:00:00.123Z".into()));
        assert_eq!(expiry(&line.as_bytes()[..line.len() - 3]), None);
        assert_eq!(expiry(line.replace("not sent", "sent").as_bytes()), None);
    }
}
