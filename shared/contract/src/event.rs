//! The events of the contract: domain facts, their JSON, and their CloudEvents headers.
//!
//! Readers ignore fields that they don't know. They recognise the golden files of
//! every version that was ever written. No event carries a code: it names the
//! account, the address, the window and the key from which both services derive it.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use crate::{
    account_id::AccountId, code_secrets::KeyId, email_address::EmailAddress, locale::Locale,
    person_name::PersonName, registration_id::RegistrationId, request_id::RequestId, topic::Topic,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

mod bounds;
mod codec;
mod constructors;
mod id;

pub use bounds::{MAX_RESENDS, MAX_SEND, MAX_VALUE_OCTETS, Origin};
pub use codec::{DecodeError, EncodedEvent};
pub use constructors::Place;
pub use id::EventId;

/// The version of the events that this code writes, and the only one it reads.
pub const VERSION: u32 = 2;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody registered, or asked for another mail; what is mailed for it is decided already.
    Registered(Mailing, Registered),
    /// A code was tried; its places in the log decide whether it counts and whether it is compared.
    Attempt(Attempt),
    /// The account is verified.
    Verified(Verified),
}

/// What is mailed for a registration, as the record's `ce_type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mailing {
    /// The code, for the first time in this window: `user_account_created`.
    FirstCode,
    /// The code again: `code_resent`.
    FurtherCode,
    /// Nothing: `registration_repeated`.
    Nothing,
    /// That the account exists, to its owner: `account_exists`.
    Notice,
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

/// The event of `register` and `resend`, whatever is mailed for it: exactly one record for each accepted request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Identifies the fact: duplicates have the same id.
    pub event_id: EventId,
    /// When the request was accepted.
    #[serde(with = "codec::rfc3339")]
    pub occurred_at: Timestamp,
    /// [`VERSION`].
    pub version: u32,
    /// The account; also the record's key.
    pub id: AccountId,
    /// The id of this one registration.
    pub registration: RegistrationId,
    /// How many resends lie between this and the first registration, at most [`MAX_RESENDS`].
    pub resends: u32,
    /// As given.
    pub first_name: PersonName,
    /// As given.
    pub last_name: PersonName,
    /// The address of the mail.
    pub email: EmailAddress,
    /// The language of the mail.
    pub locale: Locale,
    /// Number of the account's present window: the time at which it begins, divided by the window's length.
    pub window: u64,
    /// The place taken in the window's schedule of mails, from 1. A request
    /// between two places repeats the last one; 0 says that none is taken yet.
    pub send: u32,
    /// When the window's code expires. It is not mailed after that.
    #[serde(with = "codec::rfc3339")]
    pub expires_at: Timestamp,
    /// The key from which the code and the link's token are derived.
    pub key: KeyId,
    /// The HTTP request that led to this event.
    pub request_id: RequestId,
}

/// `attempt`: a code was tried. The event does not say which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Identifies the guess: the same code tried again with the same registration has the same id.
    pub event_id: EventId,
    /// When the request came in.
    #[serde(with = "codec::rfc3339")]
    pub occurred_at: Timestamp,
    /// [`VERSION`].
    pub version: u32,
    /// The account; also the record's key.
    pub id: AccountId,
    /// The registration with which it was tried.
    pub registration: RegistrationId,
    /// The one or two consecutive windows whose codes were right at that moment.
    pub windows: Vec<u64>,
    /// The HTTP request that led to this event.
    pub request_id: RequestId,
}

/// `user_account_verified`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Identifies the fact: the same registration of the same account has the same id.
    pub event_id: EventId,
    /// When the right proof came in.
    #[serde(with = "codec::rfc3339")]
    pub occurred_at: Timestamp,
    /// [`VERSION`].
    pub version: u32,
    /// The account; also the record's key.
    pub id: AccountId,
    /// The registration that was proved. The names, the spelling of the address and the language are from it.
    pub registration: RegistrationId,
    /// As given with the registration.
    pub first_name: PersonName,
    /// As given with the registration.
    pub last_name: PersonName,
    /// The address, which is now known to be theirs.
    pub email: EmailAddress,
    /// The language of the confirmation.
    pub locale: Locale,
    /// The HTTP request that led to this event.
    pub request_id: RequestId,
}

impl Mailing {
    /// The kind of event that asks for this mailing.
    #[must_use]
    pub const fn kind(self) -> EventKind {
        match self {
            Self::FirstCode => EventKind::Created,
            Self::FurtherCode => EventKind::CodeResent,
            Self::Nothing => EventKind::RegistrationRepeated,
            Self::Notice => EventKind::AccountExists,
        }
    }
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

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The topic of events of this kind. `register` and `resend` write to one
    /// topic only, so that the time of an answer says nothing about the address.
    #[must_use]
    pub const fn topic(self) -> Topic {
        match self {
            Self::Created | Self::CodeResent | Self::RegistrationRepeated | Self::AccountExists => {
                Topic::Created
            }
            Self::Attempt => Topic::Activity,
            Self::Verified => Topic::Verified,
        }
    }
}

impl Event {
    /// The event's kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Registered(mailing, _) => mailing.kind(),
            Self::Attempt(_) => EventKind::Attempt,
            Self::Verified(_) => EventKind::Verified,
        }
    }

    /// The id of the fact.
    #[must_use]
    pub const fn event_id(&self) -> EventId {
        match self {
            Self::Registered(_, event) => event.event_id,
            Self::Attempt(event) => event.event_id,
            Self::Verified(event) => event.event_id,
        }
    }

    /// The id of the mail that it asks for. It depends on the place
    /// in the window, not on the registration that took the place.
    #[must_use]
    pub fn mail_id(&self) -> EventId {
        match self {
            Self::Registered(mailing, event) => {
                EventId::of_mail(mailing.kind(), event.id, event.window, event.send)
            }
            Self::Attempt(event) => event.event_id,
            Self::Verified(event) => event.event_id,
        }
    }

    /// The account that it is about; also the record's key.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        match self {
            Self::Registered(_, event) => event.id,
            Self::Attempt(event) => event.id,
            Self::Verified(event) => event.id,
        }
    }

    /// The address that the event names, if it names one.
    #[must_use]
    pub const fn email(&self) -> Option<&EmailAddress> {
        match self {
            Self::Registered(_, event) => Some(&event.email),
            Self::Attempt(_) => None,
            Self::Verified(event) => Some(&event.email),
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn occurred_at(&self) -> Timestamp {
        match self {
            Self::Registered(_, event) => event.occurred_at,
            Self::Attempt(event) => event.occurred_at,
            Self::Verified(event) => event.occurred_at,
        }
    }

    /// The HTTP request that led to it.
    #[must_use]
    pub const fn request_id(&self) -> &RequestId {
        match self {
            Self::Registered(_, event) => &event.request_id,
            Self::Attempt(event) => &event.request_id,
            Self::Verified(event) => &event.request_id,
        }
    }
}
