//! The ids of events: duplicates of a fact have the same id, wherever and however often they are written.

use super::EventKind;
use crate::{account_id::AccountId, registration_id::RegistrationId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A UUID of version 8 (RFC 9562, section 5.8), derived from everything that distinguishes the fact from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// The id of the event that a registration leads to. There is one for each kind.
    #[must_use]
    pub fn of_registration(kind: EventKind, registration: RegistrationId) -> Self {
        Self::hashed(kind, &[registration.as_bytes()])
    }

    /// The id of the verification of an account with one of its registrations.
    #[must_use]
    pub fn of_verification(id: AccountId, registration: RegistrationId) -> Self {
        Self::hashed(EventKind::Verified, &[id.as_bytes(), registration.as_bytes()])
    }

    /// The id of the mail in one place of an account's schedule; no event has this id.
    #[must_use]
    pub fn of_mail(kind: EventKind, id: AccountId, window: u64, send: u32) -> Self {
        Self::hashed(kind, &[id.as_bytes(), &window.to_be_bytes(), &send.to_be_bytes()])
    }

    /// The id of an attempt: the first 128 bits of a MAC that only the user services can compute.
    #[must_use]
    pub fn from_mac(mac: &[u8; 32]) -> Self {
        let mut bits = [0; 16];
        bits.copy_from_slice(&mac[..16]);
        Self(uuid::Builder::from_custom_bytes(bits).into_uuid())
    }

    fn hashed(kind: EventKind, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        // The zero octet ends the only part of varying length.
        hash.update(kind.name());
        hash.update([0]);
        parts.iter().for_each(|part| hash.update(part));
        Self::from_mac(&hash.finalize().into())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fact_has_the_same_id_and_another_fact_another() {
        let ids = [7, 8].map(|bits| AccountId::from_derived([bits; 16]));
        let registrations: [RegistrationId; 2] =
            ["11111111-1111-4111-9111-111111111111", "21111111-1111-4111-9111-111111111111"]
                .map(|id| id.parse().unwrap());
        let mail = EventId::of_mail(EventKind::Created, ids[0], 493_882, 1);
        // Pinned: replicas of different versions must agree during a rolling deploy.
        assert_eq!(mail.to_string(), "a1788011-fee1-8f82-98e0-35b85e5e3294");
        for other in [
            EventId::of_mail(EventKind::CodeResent, ids[0], 493_882, 1),
            EventId::of_mail(EventKind::Created, ids[1], 493_882, 1),
            EventId::of_mail(EventKind::Created, ids[0], 493_883, 1),
            EventId::of_mail(EventKind::Created, ids[0], 493_882, 2),
        ] {
            assert_ne!(mail, other);
        }
        let registered = EventId::of_registration(EventKind::Created, registrations[0]);
        assert_ne!(registered, EventId::of_registration(EventKind::CodeResent, registrations[0]));
        assert_ne!(registered, EventId::of_registration(EventKind::Created, registrations[1]));
        let verified = EventId::of_verification(ids[0], registrations[0]);
        assert_ne!(verified, EventId::of_verification(ids[1], registrations[0]));
        assert_ne!(verified, EventId::of_verification(ids[0], registrations[1]));
    }
}
