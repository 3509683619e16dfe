//! The identity of one request to register. Its holder can try codes, and be verified with exactly its data.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A random UUID (version 4, RFC 9562, section 5.4): 122 bits
/// that nobody can guess and that say nothing about the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegistrationId(Uuid);

impl RegistrationId {
    /// No registration has this id.
    pub const NONE: Self = Self(Uuid::nil());

    /// Makes the id of a new registration, from the operating system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The sixteen bytes of the UUID.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RegistrationId {
    type Err = uuid::Error;

    /// Reads the text form of any UUID: an id of another version is merely unknown, not malformed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}
