//! The events of the contract: domain facts, their JSON, and their CloudEvents headers.
//!
//! Readers ignore fields they don't know, and golden files of every version ever written must always decode.
//! No event carries a code: it names the window, the generation and the key from which both sides derive it.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use crate::{
    account_id::AccountId, code_secrets::KeyId, email_address::EmailAddress, locale::Locale,
    person_name::PersonName, request_id::RequestId, topic::Topic,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

mod bounds;
mod codec;
mod id;

pub use bounds::{MAX_GENERATION, MAX_SEND, MAX_VALUE_OCTETS, Origin};
pub use codec::{DecodeError, EncodedEvent, header};
pub use id::EventId;

/// The version of the events that this code writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// What happened. Each kind has its own structure; `CodeResent` repeats all of `Created`, so that nothing older is
/// needed to understand it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A registration began, and with it a window; its code is mailed.
    Created(CodeIssued),
    /// A further mail of the same window.
    CodeResent(CodeIssued),
    /// Somebody registered again; nothing is mailed.
    RegistrationRepeated(RegistrationRepeated),
    /// Somebody registered with the address of a verified account.
    AccountExists(AccountExists),
    /// A code was tried; its rank in the log decides whether it is compared.
    Attempt(Attempt),
    /// The account is verified.
    Verified(Verified),
}

/// The kinds of events by their `ce_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `user_account_created`
    Created,
    /// `code_resent`
    CodeResent,
    /// `registration_repeated`
    RegistrationRepeated,
    /// `account_exists`
    AccountExists,
    /// `attempt`
    Attempt,
    /// `user_account_verified`
    Verified,
}

/// `user_account_created` and `code_resent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeIssued {
    /// The same for the same fact, wherever and however often it is written.
    pub event_id: EventId,
    /// When the request was accepted.
    #[serde(with = "codec::rfc3339")]
    pub occurred_at: Timestamp,
    /// [`VERSION`].
    pub version: u32,
    /// Whose registration.
    pub id: AccountId,
    /// As given.
    pub first_name: PersonName,
    /// As given.
    pub last_name: PersonName,
    /// Where the code is mailed.
    pub email: EmailAddress,
    /// Which language the mail should have.
    pub locale: Locale,
    /// Number of the window: its start divided by the window's length.
    pub window: u64,
    /// When the first mail of this window was asked for.
    #[serde(with = "codec::rfc3339")]
    pub window_started_at: Timestamp,
    /// Which code of the window, from 0.
    pub generation: u32,
    /// Which mail of the window, from 1.
    pub send: u32,
    /// When the code stops being accepted and being mailed.
    #[serde(with = "codec::rfc3339")]
    pub expires_at: Timestamp,
    /// The key that the code is derived with.
    pub key: KeyId,
    /// The request that led here.
    pub request_id: RequestId,
}

/// `registration_repeated`: the state of the registration stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of CodeIssued, without the key")]
pub struct RegistrationRepeated {
    pub event_id: EventId,
    #[serde(with = "codec::rfc3339")]
    pub occurred_at: Timestamp,
    pub version: u32,
    pub id: AccountId,
    pub first_name: PersonName,
    pub last_name: PersonName,
    pub email: EmailAddress,
    pub locale: Locale,
    pub window: u64,
    #[serde(with = "codec::rfc3339")]
    pub window_started_at: Timestamp,
    pub generation: u32,
    pub send: u32,
    #[serde(with = "codec::rfc3339")]
    pub expires_at: Timestamp,
    pub request_id: RequestId,
}

/// `account_exists`: the owner gets a notice for the first of a window, which is the one that began it
/// (`occurred_at` = `window_started_at`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of CodeIssued, without what belongs to a code")]
pub struct AccountExists {
    pub event_id: EventId,
    #[serde(with = "codec::rfc3339")]
    pub occurred_at: Timestamp,
    pub version: u32,
    pub id: AccountId,
    pub first_name: PersonName,
    pub last_name: PersonName,
    pub email: EmailAddress,
    pub locale: Locale,
    pub window: u64,
    #[serde(with = "codec::rfc3339")]
    pub window_started_at: Timestamp,
    pub request_id: RequestId,
}

/// `attempt`: a code of this window and generation was tried. Which code is not said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Random: every attempt is a fact of its own.
    pub event_id: EventId,
    /// When the request came in.
    #[serde(with = "codec::rfc3339")]
    pub occurred_at: Timestamp,
    /// [`VERSION`].
    pub version: u32,
    /// Whose code.
    pub id: AccountId,
    /// The window of the code that was current then.
    pub window: u64,
    /// The generation of the code that was current then.
    pub generation: u32,
    /// The request that led here.
    pub request_id: RequestId,
}

/// `user_account_verified`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The same for the same account and window.
    pub event_id: EventId,
    /// When the right code came in.
    #[serde(with = "codec::rfc3339")]
    pub occurred_at: Timestamp,
    /// [`VERSION`].
    pub version: u32,
    /// Whose account.
    pub id: AccountId,
    /// As given with the registration.
    pub first_name: PersonName,
    /// As given with the registration.
    pub last_name: PersonName,
    /// The address that is now known to be theirs.
    pub email: EmailAddress,
    /// Which language the confirmation should have.
    pub locale: Locale,
    /// The request that led here.
    pub request_id: RequestId,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::CodeResent,
        Self::RegistrationRepeated,
        Self::AccountExists,
        Self::Attempt,
        Self::Verified,
    ];

    /// The value of the `ce_type` header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "user_account_created",
            Self::CodeResent => "code_resent",
            Self::RegistrationRepeated => "registration_repeated",
            Self::AccountExists => "account_exists",
            Self::Attempt => "attempt",
            Self::Verified => "user_account_verified",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The topic that events of this kind are written to.
    #[must_use]
    pub const fn topic(self) -> Topic {
        match self {
            Self::Created => Topic::Created,
            Self::Verified => Topic::Verified,
            Self::CodeResent | Self::RegistrationRepeated | Self::AccountExists | Self::Attempt => {
                Topic::Activity
            }
        }
    }
}

impl Event {
    /// The event's kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Created(_) => EventKind::Created,
            Self::CodeResent(_) => EventKind::CodeResent,
            Self::RegistrationRepeated(_) => EventKind::RegistrationRepeated,
            Self::AccountExists(_) => EventKind::AccountExists,
            Self::Attempt(_) => EventKind::Attempt,
            Self::Verified(_) => EventKind::Verified,
        }
    }

    /// What identifies the fact.
    #[must_use]
    pub const fn event_id(&self) -> EventId {
        match self {
            Self::Created(event) | Self::CodeResent(event) => event.event_id,
            Self::RegistrationRepeated(event) => event.event_id,
            Self::AccountExists(event) => event.event_id,
            Self::Attempt(event) => event.event_id,
            Self::Verified(event) => event.event_id,
        }
    }

    /// Whose account it is about: the record's key.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        match self {
            Self::Created(event) | Self::CodeResent(event) => event.id,
            Self::RegistrationRepeated(event) => event.id,
            Self::AccountExists(event) => event.id,
            Self::Attempt(event) => event.id,
            Self::Verified(event) => event.id,
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn occurred_at(&self) -> Timestamp {
        match self {
            Self::Created(event) | Self::CodeResent(event) => event.occurred_at,
            Self::RegistrationRepeated(event) => event.occurred_at,
            Self::AccountExists(event) => event.occurred_at,
            Self::Attempt(event) => event.occurred_at,
            Self::Verified(event) => event.occurred_at,
        }
    }

    /// The request that led to it.
    #[must_use]
    pub const fn request_id(&self) -> &RequestId {
        match self {
            Self::Created(event) | Self::CodeResent(event) => &event.request_id,
            Self::RegistrationRepeated(event) => &event.request_id,
            Self::AccountExists(event) => &event.request_id,
            Self::Attempt(event) => &event.request_id,
            Self::Verified(event) => &event.request_id,
        }
    }
}
