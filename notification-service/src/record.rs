//! One record as it was taken from its topic: owned, and understood as far as possible.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use crate::{offsets::Position, retry::Retry};
use contract::event::{DecodeError, Event, MAX_VALUE_OCTETS, Origin, VERSION};
use jiff::Timestamp;
use runtime::caught::caught;
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};

/// Most octets of key and headers together; those of a retry record have about five hundred.
const MAX_ENVELOPE_OCTETS: usize = 16 * 1024;
/// What a record and one of its headers take beside their octets, as a rough bound.
const RECORD_OVERHEAD: usize = 1_024;
const HEADER_OVERHEAD: usize = 64;

/// A record, with the bytes that a copy of it needs.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) position: Position,
    /// The record's own time stamp, but never later than the moment it was read.
    pub(crate) written_at: Timestamp,
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
    Event(Arc<Event>),
    /// No value: the account is forgotten.
    Tombstone,
    NotUnderstood(DecodeError),
    /// Larger than events are: only what its value was is known, and that is not held.
    TooLarge(Digested),
    /// To understand it ended in a bug.
    Panicked,
}

/// A value that is not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digested {
    pub(crate) octets: usize,
    pub(crate) sha256: [u8; 32],
}

impl Digested {
    pub(crate) fn of(value: &[u8]) -> Self {
        Self { octets: value.len(), sha256: Sha256::digest(value).into() }
    }
}

/// A record as a client lent it: nothing is copied yet.
#[derive(Debug)]
pub(crate) struct Lent<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) payload: Option<&'a [u8]>,
    /// Milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

impl Lent<'_> {
    /// When the record was written to its topic; now, when the broker keeps no times.
    pub(crate) fn written_at(&self, now: Timestamp) -> Timestamp {
        self.timestamp.and_then(|time| Timestamp::from_millisecond(time).ok()).unwrap_or(now)
    }

    /// The value of the first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|header| header.0 == name)?.1
    }

    fn envelope_octets(&self) -> usize {
        let header = |(name, value): &(&str, Option<&[u8]>)| {
            name.len().saturating_add(value.map_or(0, <[u8]>::len)).saturating_add(HEADER_OVERHEAD)
        };
        let key = self.key.map_or(0, <[u8]>::len);
        self.headers.iter().map(header).fold(key, usize::saturating_add)
    }
}

impl Record {
    /// Copies what was lent, as far as an event can need it, and tries to understand it. `tolerance`: how far the clock of its
    /// writer may be from the broker's.
    pub(crate) fn new(position: Position, lent: &Lent<'_>, now: Timestamp, tolerance: Duration) -> Self {
        let origin = Origin::new(position.partition.topic, lent.timestamp, now, tolerance);
        let written_at = origin.written_at;
        let envelope_fits = lent.envelope_octets() <= MAX_ENVELOPE_OCTETS;
        let (key, headers) = if envelope_fits {
            let own = |(name, value): &(&str, Option<&[u8]>)| Header {
                name: (*name).to_owned(),
                value: value.map(<[u8]>::to_vec),
            };
            (lent.key.map(<[u8]>::to_vec), lent.headers.iter().map(own).collect())
        } else {
            (None, Vec::new())
        };
        let value_octets = lent.payload.map_or(0, <[u8]>::len);
        if !envelope_fits || value_octets > MAX_VALUE_OCTETS {
            // Under its own name: what a retry record says of its source, nobody could look up the bytes by.
            let content = Content::TooLarge(Digested::of(lent.payload.unwrap_or_default()));
            return Self { position, written_at, key, payload: None, headers, retry: None, content };
        }
        let content = match lent.payload {
            None => Content::Tombstone,
            Some(payload) => match caught(|| Event::read(origin, value(&headers, "ce_type"), payload)) {
                Ok(Ok(event)) => Content::Event(Arc::new(event)),
                Ok(Err(error)) => Content::NotUnderstood(error),
                Err(_) => Content::Panicked,
            },
        };
        let retry = Retry::from_headers(&headers, written_at);
        Self { position, written_at, key, payload: lent.payload.map(<[u8]>::to_vec), headers, retry, content }
    }

    /// Whether a newer version of this service may understand it, which is on its way in a rolling deploy.
    pub(crate) fn waits_for_newer(&self) -> bool {
        match &self.content {
            Content::NotUnderstood(DecodeError::UnknownVersion(version)) => *version > VERSION,
            Content::NotUnderstood(DecodeError::UnknownType) => value(&self.headers, "ce_type").is_some(),
            _ => false,
        }
    }

    /// The version of this project that wrote it, if that is an earlier one.
    pub(crate) fn earlier_version(&self) -> Option<u32> {
        match &self.content {
            Content::NotUnderstood(DecodeError::UnknownVersion(version)) => {
                Some(*version).filter(|version| *version < VERSION)
            }
            _ => None,
        }
    }

    /// What it takes of the memory, about.
    pub(crate) fn octets(&self) -> usize {
        let held = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let header = |header: &Header| {
            header.name.len().saturating_add(held(&header.value)).saturating_add(HEADER_OVERHEAD)
        };
        let fixed = RECORD_OVERHEAD.saturating_add(held(&self.key)).saturating_add(held(&self.payload));
        self.headers.iter().map(header).fold(fixed, usize::saturating_add)
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
