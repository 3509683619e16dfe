//! What makes the same fact the same, wherever and however often it is written.

use super::EventKind;
use crate::account_id::AccountId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A UUID: version 8 when it was derived from the fact, version 4 for attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// Derives the id of a fact from all that tells it apart from others.
    ///
    /// A fact without generation (a notice) or send (a verification) has 0 for it.
    #[must_use]
    pub fn derive(kind: EventKind, id: AccountId, window: u64, generation: u32, send: u32) -> Self {
        let mut hash = Sha256::new();
        // The zero octet ends the only part of varying length.
        hash.update(kind.name());
        hash.update([0]);
        hash.update(id.as_bytes());
        hash.update(window.to_be_bytes());
        hash.update(generation.to_be_bytes());
        hash.update(send.to_be_bytes());
        let mut bits = [0; 16];
        bits.copy_from_slice(&hash.finalize()[..16]);
        Self(uuid::Builder::from_custom_bytes(bits).into_uuid())
    }

    /// Makes an id for a fact that is never written twice.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
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
        let id = AccountId::from_derived([7; 16]);
        let fact = EventId::derive(EventKind::Created, id, 493_882, 0, 1);
        // Pinned: replicas of different versions must agree during a rolling deploy.
        assert_eq!(fact.to_string(), "f3f86a8c-169f-854e-93ab-e49c60232279");
        for other in [
            EventId::derive(EventKind::CodeResent, id, 493_882, 0, 1),
            EventId::derive(EventKind::Created, AccountId::from_derived([8; 16]), 493_882, 0, 1),
            EventId::derive(EventKind::Created, id, 493_883, 0, 1),
            EventId::derive(EventKind::Created, id, 493_882, 1, 1),
            EventId::derive(EventKind::Created, id, 493_882, 0, 2),
        ] {
            assert_ne!(fact, other);
        }
    }
}
