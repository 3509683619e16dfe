//! What can be wrong with one field.

use contract::{
    email_address::EmailAddressError,
    locale::LocaleError,
    person_name::PersonNameError,
    verification_code::{LinkTokenError, VerificationCodeError},
};
use std::convert::Infallible;

/// One wrong field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// The field's name in the body.
    pub(crate) field: &'static str,
    pub(crate) fault: FieldFault,
}

/// What is wrong with a field. Each fault has a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldFault {
    Missing,
    NoText,
    NotWithCode,
    NotWithId,
    NeitherCodeNorToken,
    Name(PersonNameError),
    Email(EmailAddressError),
    Language,
    Code,
    Token,
}

impl FieldFault {
    /// The key of its sentence, below `problem.field`.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Missing | Self::Email(EmailAddressError::Empty) => "required",
            Self::NoText => "text_expected",
            Self::NotWithCode => "not_with_code",
            Self::NotWithId => "not_with_id",
            Self::NeitherCodeNorToken => "code_or_token",
            Self::Name(PersonNameError::Length) => "name_length",
            Self::Name(PersonNameError::Character) => "name_characters",
            Self::Name(PersonNameError::Period) => "name_period",
            Self::Name(PersonNameError::NoLetter) => "name_letter",
            Self::Name(PersonNameError::Illegible) | Self::Email(EmailAddressError::Illegible) => "illegible",
            Self::Email(EmailAddressError::TooLong) => "email_too_long",
            Self::Email(EmailAddressError::Shape) => "email_shape",
            Self::Email(EmailAddressError::QuotedLocalPart) => "email_quoted",
            Self::Email(EmailAddressError::LocalPart) => "email_local_part",
            Self::Email(EmailAddressError::IpLiteral) => "email_ip",
            Self::Email(EmailAddressError::Domain) => "email_domain",
            Self::Language => "language_tag",
            Self::Code => "code",
            Self::Token => "token",
        }
    }
}

impl From<PersonNameError> for FieldFault {
    fn from(error: PersonNameError) -> Self {
        Self::Name(error)
    }
}

impl From<EmailAddressError> for FieldFault {
    fn from(error: EmailAddressError) -> Self {
        Self::Email(error)
    }
}

impl From<LocaleError> for FieldFault {
    fn from(_: LocaleError) -> Self {
        Self::Language
    }
}

impl From<VerificationCodeError> for FieldFault {
    fn from(_: VerificationCodeError) -> Self {
        Self::Code
    }
}

impl From<LinkTokenError> for FieldFault {
    fn from(_: LinkTokenError) -> Self {
        Self::Token
    }
}

impl From<Infallible> for FieldFault {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
