//! One record of a topic: owned, and decoded as far as possible.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use crate::{
    email,
    header::{Header, value},
    offsets::Position,
    retry::Retry,
};
use contract::{
    event::{DecodeError, Event, MAX_VALUE_OCTETS, Origin, VERSION},
    trace_context::TraceContext,
};
use jiff::Timestamp;
use runtime::caught::caught;
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};

/// The most octets of key and headers together. Those of a retry record have about five hundred.
const MAX_ENVELOPE_OCTETS: usize = 16 * 1024;
/// A rough bound on the memory of a record and of a header, beyond their octets.
const RECORD_OVERHEAD: usize = 1_024;
const HEADER_OVERHEAD: usize = 64;

/// A record, with all bytes that a copy of it needs.
#[derive(Debug)]
pub struct Record {
    pub position: Position,
    /// The record's time stamp, but never later than the time at which it was read.
    pub written_at: Timestamp,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<Header>,
    /// What the retry headers say, if the record comes from the retry topic.
    pub retry: Option<Retry>,
    pub(crate) content: Content,
}

/// The decoded value.
#[derive(Debug)]
pub(crate) enum Content {
    Event(Arc<Event>),
    /// A null value: the account is forgotten.
    Tombstone,
    NotUnderstood(DecodeError),
    /// Larger than any event. Only digest and length of the value are kept.
    TooLarge(Digested),
    /// Decoding it panicked.
    Panicked,
}

/// Digest and length of a value that is not kept.
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

/// A record in the client's buffer, before anything is copied.
#[derive(Debug)]
pub struct Lent<'a> {
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

impl Lent<'_> {
    /// When the record was written to its topic; `now` if the broker keeps no times.
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
    /// Copies as much of the record as an event can need, and decodes it. `tolerance`: how far the clock of its writer may
    /// differ from the broker's.
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
            // The dead letter names this record, not the source in its retry headers: that source does not lead to these
            // bytes.
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

    /// Whether it asks for no email.
    pub(crate) fn asks_for_nothing(&self) -> bool {
        match &self.content {
            Content::Tombstone => true,
            Content::Event(event) => email::deadline(event).is_none(),
            Content::NotUnderstood(_) | Content::TooLarge(_) | Content::Panicked => false,
        }
    }

    /// Whether a newer version of this service may understand it. During a rolling deploy such a service is about to start.
    pub(crate) fn waits_for_newer(&self) -> bool {
        match &self.content {
            Content::NotUnderstood(DecodeError::UnknownVersion(version)) => *version > VERSION,
            Content::NotUnderstood(DecodeError::UnknownType) => value(&self.headers, "ce_type").is_some(),
            _ => false,
        }
    }

    /// The earlier version of this project that wrote it, if one did.
    pub(crate) fn earlier_version(&self) -> Option<u32> {
        match &self.content {
            Content::NotUnderstood(DecodeError::UnknownVersion(version)) => {
                Some(*version).filter(|version| *version < VERSION)
            }
            _ => None,
        }
    }

    /// The trace that its headers name. Any other headers than the user service writes name none, and hold up no mail.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        TraceContext::of_record(
            self.headers.iter().map(|header| (header.name.as_str(), header.value.as_deref())),
        )
    }

    /// Roughly its memory, in octets.
    pub(crate) fn octets(&self) -> usize {
        let held = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let header = |header: &Header| {
            header.name.len().saturating_add(held(&header.value)).saturating_add(HEADER_OVERHEAD)
        };
        let fixed = RECORD_OVERHEAD.saturating_add(held(&self.key)).saturating_add(held(&self.payload));
        self.headers.iter().map(header).fold(fixed, usize::saturating_add)
    }

    /// Number of earlier tries, of this or other processes.
    pub(crate) fn earlier_attempts(&self) -> u32 {
        self.retry.as_ref().map_or(0, |retry| retry.attempts)
    }

    /// Number of the present try, from 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.earlier_attempts().saturating_add(1)
    }
}

#[cfg(test)]
mod tests;
