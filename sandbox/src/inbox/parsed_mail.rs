//! A mail of the inbox.

use crate::smtp::{Content, ReceivedMail};
use jiff::Timestamp;

/// A mail as a reader sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParsedMail {
    /// Its number in this inbox, from 1.
    pub number: usize,
    /// The decoded subject; empty when there is none.
    pub subject: String,
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The first plain text part.
    pub text: Option<String>,
    /// The first HTML part. It is as untrusted as any mail.
    pub html: Option<String>,
    /// The headers in their order, unfolded but not decoded.
    pub headers: Vec<(String, String)>,
    /// The part after the headers, not decoded.
    pub body: String,
    /// The client's name in EHLO.
    pub helo: String,
    /// The whole mail, not decoded.
    pub raw: String,
    /// When it arrived.
    pub received_at: Timestamp,
}

impl ParsedMail {
    pub(super) fn parse(number: usize, mail: &ReceivedMail) -> ParsedMail {
        let Content { subject, text, html, headers, .. } = mail.content();
        let raw = String::from_utf8_lossy(&mail.data).into_owned();
        ParsedMail {
            number,
            subject,
            from: mail.from.clone(),
            to: mail.recipients.clone(),
            text,
            html,
            headers,
            body: raw.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()),
            helo: mail.helo.clone(),
            raw,
            received_at: mail.received_at,
        }
    }
}
