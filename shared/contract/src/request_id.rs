//! The id of one request, from the HTTP header to the log line of the mail that it led to.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most characters of a request id.
pub const MAX_CHARACTERS: usize = 64;

/// 1 to 64 characters of `A-Z a-z 0-9 . _ -`: safe in a header, a log line and a mail.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RequestId(Box<str>);

/// The text can't serve as a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'")]
pub struct RequestIdError;

impl RequestId {
    /// Parses an id that came from outside.
    ///
    /// # Errors
    /// [`RequestIdError`] when it has another length or other characters.
    pub fn parse(text: &str) -> Result<Self, RequestIdError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let valid = (1..=MAX_CHARACTERS).contains(&text.len()) && text.bytes().all(allowed);
        if valid { Ok(Self(text.into())) } else { Err(RequestIdError) }
    }

    /// Makes a fresh id of 96 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:024x}", rand::rng().random::<u128>() >> 32).into())
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RequestId {
    type Error = RequestIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_ids_are_taken_over() {
        for text in ["a", "2f1c-A.b_9", &"x".repeat(64), RequestId::random().as_str()] {
            assert!(RequestId::parse(text).is_ok(), "{text}");
        }
        for text in ["", "a b", "a\r\nX: y", "é", &"x".repeat(65)] {
            assert!(RequestId::parse(text).is_err(), "{text:?}");
        }
    }
}
