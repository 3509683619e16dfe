//! Ids that are derived from `ID_SECRET`: one for each account, and one for each guess.
//!
//! Both are MACs. Without the secret nobody can compute an account's id
//! from its address, or find out from an attempt which code was tried.

use contract::{
    account_id::AccountId,
    code_secrets,
    email_address::EmailAddress,
    event::EventId,
    mac::{self, OCTETS},
    registration_id::RegistrationId,
    verification_code::VerificationCode,
};
use std::fmt;

/// The secret behind all ids. It never changes: with another secret each address would have another account.
#[derive(Clone)]
pub struct IdSecret([u8; OCTETS]);

impl IdSecret {
    /// Parses 32 octets in base64.
    ///
    /// # Errors
    /// What was expected; the value is not repeated.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        code_secrets::parse_secret(text)
            .map(Self)
            .map_err(|_| "32 random bytes in base64 (openssl rand -base64 32)")
    }

    /// The id of the account that owns this address.
    #[must_use]
    pub fn account_id(&self, email: &EmailAddress) -> AccountId {
        AccountId::of(&self.0, email)
    }

    /// The id of the attempt to verify a registration with this code. The same guess always has the same id.
    #[must_use]
    pub fn attempt_id(&self, registration: RegistrationId, code: &VerificationCode) -> EventId {
        let key = mac::tag(&self.0, &[b"two-step signup: guess, version 2\0"]);
        EventId::from_mac(&mac::tag(&key, &[registration.as_bytes(), code.digits().as_bytes()]))
    }

    /// The octets of the secret, for the checks at the start.
    pub(crate) fn octets(&self) -> &[u8; OCTETS] {
        &self.0
    }

    /// Whether this is a published development secret.
    #[must_use]
    pub fn is_development(&self) -> bool {
        code_secrets::is_development_secret(&self.0)
    }
}

impl fmt::Debug for IdSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdSecret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_have_one_id() {
        let secret = IdSecret([7; 32]);
        let id = |text| secret.account_id(&EmailAddress::parse(text).unwrap()).to_string();
        assert_eq!(id("Ada@Example.com"), id("ada@example.com"));
        assert_ne!(id("ada@example.com"), id("bob@example.com"));
        assert_eq!(id("ada@example.com").as_bytes()[14], b'8', "a version 8 UUID");
    }

    #[test]
    fn the_same_guess_has_the_same_id_and_another_guess_another() {
        let registrations = [RegistrationId::random(), RegistrationId::random()];
        let id = |secret, registration, code| {
            IdSecret([secret; 32]).attempt_id(registration, &VerificationCode::parse(code).unwrap())
        };
        let guess = id(7, registrations[0], "123456");
        assert_eq!(guess, id(7, registrations[0], "123-456"));
        for other in [
            id(8, registrations[0], "123456"),
            id(7, registrations[1], "123456"),
            id(7, registrations[0], "123457"),
        ] {
            assert_ne!(guess, other);
        }
    }
}
