//! A received mail, decoded for reading.

use crate::smtp::ReceivedMail;
use jiff::Timestamp;
use mail_parser::{MessageParser, PartType};

/// A mail as a reader sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Content {
    /// The decoded subject; empty when there is none.
    pub subject: String,
    /// The time of its `Date` header.
    pub date: Option<Timestamp>,
    /// The first plain text part.
    pub text: Option<String>,
    /// The first HTML part. It is as untrusted as any mail.
    pub html: Option<String>,
    /// The headers in their order, unfolded but not decoded.
    pub headers: Vec<(String, String)>,
}

impl ReceivedMail {
    /// Decodes headers and parts (MIME, RFC 2045). What can't be decoded is left out.
    #[must_use]
    pub fn content(&self) -> Content {
        let Some(parsed) = MessageParser::default().parse(&self.data) else { return Content::default() };
        let text = parsed.text_bodies().find_map(|part| match &part.body {
            PartType::Text(text) => Some(text.to_string()),
            _ => None,
        });
        let html = parsed.html_bodies().find_map(|part| match &part.body {
            PartType::Html(html) => Some(html.to_string()),
            _ => None,
        });
        Content {
            subject: parsed.subject().unwrap_or_default().to_owned(),
            date: parsed.date().and_then(|date| Timestamp::from_second(date.to_timestamp()).ok()),
            text,
            html,
            headers: parsed.headers_raw().map(|(name, value)| (name.to_owned(), unfolded(value))).collect(),
        }
    }
}

impl Content {
    /// The value of the first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0.eq_ignore_ascii_case(name)).map(|header| &*header.1)
    }
}

/// A header's value in one line (RFC 5322, 2.2.3).
fn unfolded(value: &str) -> String {
    value.replace("\r\n", "").trim().to_owned()
}
