//! Events as records: JSON in the value, CloudEvents 1.0 (binary mode) in the headers.

use super::{Event, EventId, EventKind, MAX_VALUE_OCTETS, Mailing, Origin, Registered, VERSION, bounds};
use crate::topic::Topic;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

/// The `ce_source` of everything the user service writes.
const SOURCE: &str = "/user-service";
/// Initial capacity for a value, in octets. Most values fit.
const USUAL_OCTETS: usize = 768;

/// An event, encoded as the record that is written to its topic.
#[derive(Debug, Clone)]
pub struct EncodedEvent {
    /// Its topic.
    pub topic: Topic,
    /// The record's key: the account's id in text form.
    pub key: String,
    /// The record's value.
    pub payload: Vec<u8>,
    /// The record's headers, names and values, in order: CloudEvents attributes and the content type.
    pub headers: [(&'static str, String); 6],
}

/// Why a record is not an event that this code understands. The record's content is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The header `ce_type` is missing or unknown: a newer version wrote the record, or somebody else.
    #[error("unknown event type")]
    UnknownType,
    /// Written by another version of this project.
    #[error("unknown event version {0}")]
    UnknownVersion(u32),
    /// Not the JSON of that type.
    #[error("malformed event at line {line}, column {column}")]
    Malformed {
        /// Line of the value, from 1.
        line: usize,
        /// Column of the line, from 1.
        column: usize,
    },
    /// A value of more than [`MAX_VALUE_OCTETS`], or more in key and headers than its reader holds.
    #[error("a record larger than events are")]
    TooLarge,
    /// A type that belongs to another topic.
    #[error("an event type of another topic")]
    WrongTopic,
    /// A time or number that no user service writes.
    #[error("a time or number out of range")]
    OutOfRange,
    /// Its writer's clock was too far from the broker's, or it was written at another time than it says.
    #[error("a time too far from the record's: check the clock of its writer")]
    WrongClock,
    /// It names the address of another account. Only the user service can tell.
    #[error("an address of another account")]
    WrongAccount,
}

impl DecodeError {
    /// The names of all errors.
    pub const NAMES: [&str; 8] = [
        "unknown_type",
        "unknown_version",
        "malformed",
        "too_large",
        "wrong_topic",
        "out_of_range",
        "wrong_clock",
        "wrong_account",
    ];

    /// Its name as a metric's label.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::UnknownVersion(_) => "unknown_version",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge => "too_large",
            Self::WrongTopic => "wrong_topic",
            Self::OutOfRange => "out_of_range",
            Self::WrongClock => "wrong_clock",
            Self::WrongAccount => "wrong_account",
        }
    }
}

impl Event {
    /// Writes the event as a record.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub fn encode(&self) -> Result<EncodedEvent, serde_json::Error> {
        let mut payload = Vec::with_capacity(USUAL_OCTETS);
        match self {
            Self::Registered(_, event) => serde_json::to_writer(&mut payload, event),
            Self::Attempt(event) => serde_json::to_writer(&mut payload, event),
            Self::Verified(event) => serde_json::to_writer(&mut payload, event),
        }?;
        let kind = self.kind();
        Ok(EncodedEvent {
            topic: kind.topic(),
            key: self.account_id().to_string(),
            payload,
            headers: headers(self.event_id(), kind, self.occurred_at()),
        })
    }

    /// Reads an event from a record of a topic: it must belong there, and its times must fit the record's.
    ///
    /// # Errors
    /// [`DecodeError`]; it distinguishes another version from a broken record.
    pub fn read(origin: Origin, ce_type: Option<&[u8]>, payload: &[u8]) -> Result<Self, DecodeError> {
        if payload.len() > MAX_VALUE_OCTETS {
            return Err(DecodeError::TooLarge);
        }
        if !origin.topic.takes(kind(ce_type)?) {
            return Err(DecodeError::WrongTopic);
        }
        let event = Self::decode(ce_type, payload)?;
        bounds::check_times(&event, origin)?;
        Ok(event)
    }

    /// Reads an event from a record's `ce_type` header and value, without a check of its topic and times.
    ///
    /// # Errors
    /// [`DecodeError`]; it distinguishes another version from a broken record.
    pub fn decode(ce_type: Option<&[u8]>, payload: &[u8]) -> Result<Self, DecodeError> {
        let registered = |mailing| {
            read(payload, |event: &Registered| event.version).map(|it| Self::Registered(mailing, it))
        };
        let event = match kind(ce_type)? {
            EventKind::Created => registered(Mailing::FirstCode),
            EventKind::CodeResent => registered(Mailing::FurtherCode),
            EventKind::RegistrationRepeated => registered(Mailing::Nothing),
            EventKind::AccountExists => registered(Mailing::Notice),
            EventKind::Attempt => read(payload, |event: &super::Attempt| event.version).map(Self::Attempt),
            EventKind::Verified => read(payload, |event: &super::Verified| event.version).map(Self::Verified),
        }?;
        bounds::check_numbers(&event)?;
        Ok(event)
    }
}

fn kind(ce_type: Option<&[u8]>) -> Result<EventKind, DecodeError> {
    let name = ce_type.and_then(|name| std::str::from_utf8(name).ok());
    name.and_then(EventKind::from_name).ok_or(DecodeError::UnknownType)
}

fn read<T: DeserializeOwned>(payload: &[u8], version: impl Fn(&T) -> u32) -> Result<T, DecodeError> {
    #[derive(Deserialize)]
    struct VersionAlone {
        version: u32,
    }
    match serde_json::from_slice::<T>(payload) {
        Ok(event) if version(&event) == VERSION => Ok(event),
        Ok(event) => Err(DecodeError::UnknownVersion(version(&event))),
        Err(error) => match serde_json::from_slice::<VersionAlone>(payload) {
            Ok(alone) if alone.version != VERSION => Err(DecodeError::UnknownVersion(alone.version)),
            _ => Err(DecodeError::Malformed { line: error.line(), column: error.column() }),
        },
    }
}

fn headers(event_id: EventId, kind: EventKind, occurred_at: Timestamp) -> [(&'static str, String); 6] {
    [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event_id.to_string()),
        ("ce_source", SOURCE.to_owned()),
        ("ce_type", kind.name().to_owned()),
        ("ce_time", rfc3339::text(&occurred_at)),
        ("content-type", "application/json".to_owned()),
    ]
}

/// Times as RFC 3339 in UTC with milliseconds, always three digits of them.
pub(super) mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn text(time: &Timestamp) -> String {
        format!("{time:.3}")
    }

    pub(in super::super) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{time:.3}"))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }
}
