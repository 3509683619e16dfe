//! The secrets from which codes are derived, and their rotation.
//!
//! The first key makes codes, all keys are accepted. To rotate, add a key in second place everywhere, then
//! move it to the front. Events name the key of their code, so the notification service derives the same one.

use crate::{account_id::AccountId, email_address::EmailAddress, mac};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Octets of a secret.
pub const SECRET_OCTETS: usize = 32;

/// The published `CODE_SECRETS` and `ID_SECRET` of `.env.example` and of the Compose file.
const DEVELOPMENT_SECRETS: [[u8; SECRET_OCTETS]; 2] =
    [*b"well-known development secret 01", *b"well-known development secret 02"];

/// The name of a key: 1 to 16 characters of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyId(Arc<str>);

/// The text is not a valid name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id must be 1 to 16 characters of A-Z, a-z, 0-9, '.', '_' and '-'")]
pub struct KeyIdError;

/// One named secret; `Debug` shows the name alone.
#[derive(Clone)]
pub struct CodeKey {
    id: KeyId,
    secret: [u8; SECRET_OCTETS],
}

/// All keys, the one that makes codes first. Never empty.
#[derive(Clone)]
pub struct CodeSecrets(Arc<[CodeKey]>);

/// What is expected of `CODE_SECRETS`. The value itself is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeSecretsError {
    /// An element without a colon, or a key id of the wrong form.
    #[error("a list of key-id:base64, separated by commas; a key id has 1 to 16 of A-Z a-z 0-9 . _ -")]
    Form,
    /// Not 32 octets of base64.
    #[error("32 random bytes in base64 after each key id (openssl rand -base64 32)")]
    Secret,
    /// Two keys have one name.
    #[error("a different key id for each key")]
    Duplicate,
}

impl KeyId {
    /// Parses the name of a key.
    ///
    /// # Errors
    /// [`KeyIdError`] when it has another length or other characters.
    pub fn parse(text: &str) -> Result<Self, KeyIdError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let valid = (1..=16).contains(&text.len()) && text.bytes().all(allowed);
        if valid { Ok(Self(text.into())) } else { Err(KeyIdError) }
    }
}

impl CodeKey {
    /// Its name, as events have it.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The secret itself, to compare it with another.
    #[must_use]
    pub fn secret(&self) -> &[u8; SECRET_OCTETS] {
        &self.secret
    }

    /// A key for one purpose, one account with its address, and one window: HMAC-SHA-256 under the secret.
    pub(crate) fn derive(
        &self,
        purpose: &'static [u8],
        id: AccountId,
        email: &EmailAddress,
        window: u64,
    ) -> [u8; 32] {
        // The one part of varying length comes last.
        let address = email.normalised();
        mac::tag(&self.secret, &[purpose, id.as_bytes(), &window.to_be_bytes(), address.as_bytes()])
    }
}

impl CodeSecrets {
    /// Parses `key-id:base64[,key-id:base64…]`.
    ///
    /// # Errors
    /// What was expected instead; the value is not repeated.
    pub fn parse(text: &str) -> Result<Self, CodeSecretsError> {
        let mut keys: Vec<CodeKey> = Vec::new();
        for element in text.split(',').map(str::trim) {
            let (id, secret) = element.split_once(':').ok_or(CodeSecretsError::Form)?;
            let id = KeyId::parse(id).map_err(|_| CodeSecretsError::Form)?;
            if keys.iter().any(|key| key.id == id) {
                return Err(CodeSecretsError::Duplicate);
            }
            keys.push(CodeKey { id, secret: parse_secret(secret)? });
        }
        Ok(Self(keys.into()))
    }

    /// The key that makes new codes.
    #[must_use]
    pub fn current(&self) -> &CodeKey {
        &self.0[0]
    }

    /// The key with this name, if it is listed.
    #[must_use]
    pub fn get(&self, id: &KeyId) -> Option<&CodeKey> {
        self.0.iter().find(|key| key.id == *id)
    }

    /// All keys that are accepted, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &CodeKey> {
        self.0.iter()
    }

    /// Whether a key is a published development secret, with which anybody can compute every code.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.0.iter().any(|key| is_development_secret(&key.secret))
    }
}

/// Parses one secret: 32 octets in base64.
///
/// # Errors
/// [`CodeSecretsError::Secret`].
pub fn parse_secret(text: &str) -> Result<[u8; SECRET_OCTETS], CodeSecretsError> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| CodeSecretsError::Secret)?;
    bytes.try_into().map_err(|_| CodeSecretsError::Secret)
}

/// Whether a secret is one of those in `.env.example`.
#[must_use]
pub fn is_development_secret(secret: &[u8; SECRET_OCTETS]) -> bool {
    DEVELOPMENT_SECRETS.contains(secret)
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeKey({}:***)", self.id)
    }
}

impl fmt::Debug for CodeSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(byte: u8) -> String {
        STANDARD.encode([byte; SECRET_OCTETS])
    }

    #[test]
    fn the_first_key_makes_codes_and_all_are_known() {
        let secrets = CodeSecrets::parse(&format!("k2:{}, k1:{}", base64(2), base64(1))).unwrap();
        assert_eq!(secrets.current().id().to_string(), "k2");
        assert!(secrets.get(&KeyId::parse("k1").unwrap()).is_some());
        assert!(secrets.get(&KeyId::parse("k3").unwrap()).is_none());
        assert_eq!(secrets.iter().count(), 2);
    }

    #[test]
    fn a_wrong_list_is_refused_and_never_repeated() {
        use CodeSecretsError as E;
        let short = STANDARD.encode([1; 16]);
        for (text, expected) in [
            (String::new(), E::Form),
            (base64(1), E::Form),
            (format!(":{}", base64(1)), E::Form),
            ("k1:secret".into(), E::Secret),
            (format!("k1:{short}"), E::Secret),
            (format!("k1:{0},k1:{0}", base64(1)), E::Duplicate),
        ] {
            let error = CodeSecrets::parse(&text).expect_err(&text);
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains(&short) && !error.to_string().contains(&base64(1)));
        }
    }

    #[test]
    fn debug_output_hides_secrets() {
        let secrets = CodeSecrets::parse(&format!("k1:{}", base64(7))).unwrap();
        assert_eq!(format!("{secrets:?}"), "[CodeKey(k1:***)]");
        assert!(!secrets.is_development());
    }

    #[test]
    fn the_published_secret_is_recognised() {
        let published = STANDARD.encode(DEVELOPMENT_SECRETS[0]);
        assert!(CodeSecrets::parse(&format!("dev:{published}")).unwrap().is_development());
    }
}
