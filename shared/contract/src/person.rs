//! Who registers.

use crate::{email_address::EmailAddress, locale::Locale, person_name::PersonName};

/// The data of one registration: an account is verified with exactly these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// As given.
    pub first_name: PersonName,
    /// As given.
    pub last_name: PersonName,
    /// As given, with an ASCII domain.
    pub email: EmailAddress,
    /// Which language the mails should have.
    pub locale: Locale,
}
