//! One dead letter as an operator sees it. Addresses are masked unless they are asked for.

use crate::{
    dead_letter, email,
    header::{self, Header},
};
use contract::{characters::printable, event::Event, trace_context::TraceContext};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write;

/// A dead letter: its place, its headers and its decoded event.
#[derive(Debug)]
pub(super) struct Letter {
    /// `topic/partition/offset` of the record that could not be mailed.
    pub(super) id: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) headers: Vec<Header>,
    pub(super) reason: String,
    event: Option<Event>,
}

impl Letter {
    pub(super) fn new(
        (partition, offset): (i32, i64),
        key: Option<Vec<u8>>,
        payload: Option<Vec<u8>>,
        headers: Vec<Header>,
    ) -> Self {
        let text = |name| header::text(&headers, name).map(str::to_owned);
        let event = payload
            .as_ref()
            .and_then(|payload| Event::decode(header::value(&headers, "ce_type"), payload).ok());
        Self {
            id: text(dead_letter::SOURCE).unwrap_or_else(|| format!("unknown/{partition}/{offset}")),
            reason: text(dead_letter::REASON).unwrap_or_else(|| "unknown".to_owned()),
            partition,
            offset,
            key,
            payload,
            headers,
            event,
        }
    }

    /// Whether its email has expired.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.event.as_ref().is_some_and(|event| email::is_expired(event, now))
    }

    pub(super) fn last_failure(&self) -> Option<Timestamp> {
        self.header(dead_letter::LAST_FAILURE).parse().ok()
    }

    /// The consumer group that could not mail it; older letters name none.
    pub(super) fn group(&self) -> Option<&str> {
        header::text(&self.headers, dead_letter::GROUP)
    }

    fn header(&self, name: &str) -> &str {
        header::text(&self.headers, name).unwrap_or_default()
    }

    /// The codes of the mail server's reply, such as `550 5.1.1`.
    fn status(&self) -> String {
        let codes = [dead_letter::SMTP_STATUS, dead_letter::SMTP_ENHANCED_STATUS];
        codes.map(|name| self.header(name)).join(" ").trim_end().to_owned()
    }

    fn trace_id(&self) -> Option<String> {
        let headers = self.headers.iter().map(|header| (header.name.as_str(), header.value.as_deref()));
        TraceContext::of_record(headers).map(|trace| trace.trace_id().to_string())
    }

    fn address(&self, show: bool) -> String {
        match &self.event {
            Some(event) if show => {
                event.email().map_or_else(String::new, |address| address.as_str().to_owned())
            }
            Some(event) => email::masked_address(event),
            None => String::new(),
        }
    }
}

/// A table for people. Control characters in headers can't steer their terminal.
pub(super) fn table(letters: &[Letter], show_addresses: bool) -> String {
    let now = Timestamp::now();
    let mut rows =
        vec![["ID", "REASON", "STATUS", "TRIES", "LAST FAILURE", "TYPE", "ADDRESS", ""].map(str::to_owned)];
    rows.extend(letters.iter().map(|letter| {
        [
            letter.id.clone(),
            letter.reason.clone(),
            letter.status(),
            letter.header(dead_letter::ATTEMPTS).to_owned(),
            letter.header(dead_letter::LAST_FAILURE).to_owned(),
            letter.header("ce_type").to_owned(),
            letter.address(show_addresses),
            if letter.is_expired(now) { "expired" } else { "" }.to_owned(),
        ]
        .map(|cell| printable(&cell).into_owned())
    }));
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    let _ = writeln!(text, "{} unresolved", letters.len());
    text
}

/// JSON for programs, one object a line.
pub(super) fn json(letters: &[Letter], show_addresses: bool) -> String {
    let now = Timestamp::now();
    let line = |letter: &Letter| -> Value {
        json!({
            "id": letter.id,
            "reason": letter.reason,
            "smtp_status": letter.header(dead_letter::SMTP_STATUS).parse::<u16>().ok(),
            "smtp_enhanced_status": header::text(&letter.headers, dead_letter::SMTP_ENHANCED_STATUS),
            "attempts": letter.header(dead_letter::ATTEMPTS).parse::<u32>().ok(),
            "first_failure": letter.header(dead_letter::FIRST_FAILURE),
            "last_failure": letter.header(dead_letter::LAST_FAILURE),
            "event_type": letter.header("ce_type"),
            "event_id": letter.event.as_ref().map(|event| event.event_id().to_string()),
            "request_id": letter.event.as_ref().map(|event| event.request_id().to_string()),
            "trace_id": letter.trace_id(),
            "address": letter.address(show_addresses),
            "expired": letter.is_expired(now),
        })
    };
    letters.iter().fold(String::new(), |mut text, letter| {
        let _ = writeln!(text, "{}", printable(&line(letter).to_string()));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_strangers_can_not_steer_a_terminal() {
        let id = "\u{1b}[2Jx/\n0/1\u{9b}31m\u{202e}";
        let hostile = Header { name: dead_letter::SOURCE.to_owned(), value: Some(id.into()) };
        let letters = [Letter::new((0, 1), None, None, vec![hostile])];
        let text = table(&letters, false);
        assert!(text.contains(r"\u001b[2Jx/\u000a0/1\u009b31m\u202e"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        let line = json(&letters, false);
        for line in text.lines().chain(line.lines()) {
            assert_eq!(printable(line), line);
        }
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["id"], id, "for programs it is untouched");
    }
}
