//! One record as it was taken from its topic: owned, and understood as far as possible.

use crate::{offsets::Position, retry::Retry};
use shared::event::{DecodeError, Event};

/// A record, with the bytes that a copy of it needs.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) position: Position,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Vec<Header>,
    /// What an earlier delivery of it noted, when it comes from the retry topic.
    pub(crate) retry: Option<Retry>,
    pub(crate) content: Content,
}

/// One header: not always text, not always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) value: Option<Vec<u8>>,
}

impl Header {
    pub(crate) fn text((name, value): (&str, String)) -> Self {
        Self { name: name.to_owned(), value: Some(value.into_bytes()) }
    }
}

/// What the record says.
#[derive(Debug)]
pub(crate) enum Content {
    Event(Box<Event>),
    /// No value: the account is forgotten.
    Tombstone,
    NotUnderstood(DecodeError),
}

impl Record {
    pub(crate) fn new(
        position: Position,
        key: Option<Vec<u8>>,
        payload: Option<Vec<u8>>,
        headers: Vec<Header>,
    ) -> Self {
        let content = match &payload {
            None => Content::Tombstone,
            Some(payload) => match Event::decode(value(&headers, "ce_type"), payload) {
                Ok(event) => Content::Event(Box::new(event)),
                Err(error) => Content::NotUnderstood(error),
            },
        };
        Self { position, key, payload, retry: Retry::from_headers(&headers), headers, content }
    }

    /// Deliveries of it that were tried before, here or elsewhere.
    pub(crate) fn earlier_attempts(&self) -> u32 {
        self.retry.as_ref().map_or(0, |retry| retry.attempts)
    }

    /// The number of the delivery that is tried now, from 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.earlier_attempts().saturating_add(1)
    }
}

/// The value of the first header of that name.
pub(crate) fn value<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name == name)?.value.as_deref()
}

/// The value of the first header of that name, as text.
pub(crate) fn text<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    std::str::from_utf8(value(headers, name)?).ok()
}

#[cfg(test)]
mod tests;
