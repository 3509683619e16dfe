//! The identity of an account: the key of the cache, of Kafka's records, and so of compaction.

use crate::{email_address::EmailAddress, mac};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A UUID that the user service derives from the normalised address,
/// so that every replica and every retry gets the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(Uuid);

impl AccountId {
    /// The id of the account that owns this address: an HMAC of the normalised
    /// address under `ID_SECRET`. Nobody can compute it from the address alone.
    #[must_use]
    pub fn of(secret: &[u8; mac::OCTETS], email: &EmailAddress) -> Self {
        let tag = mac::tag(secret, &[b"two-step signup: id, version 1\0", email.normalised().as_bytes()]);
        let mut bits = [0; 16];
        bits.copy_from_slice(&tag[..16]);
        Self::from_derived(bits)
    }

    /// Makes a version 8 UUID (RFC 9562, section 5.8) from 128 derived bits.
    #[must_use]
    pub fn from_derived(bits: [u8; 16]) -> Self {
        Self(uuid::Builder::from_custom_bytes(bits).into_uuid())
    }

    /// The sixteen bytes of the UUID.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AccountId {
    type Err = uuid::Error;

    /// Reads the text form of any UUID: an id of another version is merely unknown, not malformed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}
