//! A request to a user service: who makes it, and what for.

use contract::{
    person::Person,
    registration_id::RegistrationId,
    request_id::RequestId,
    verification_code::{LinkToken, VerificationCode},
};
use std::fmt;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) caller: Caller,
    /// Unique in a run.
    pub(crate) request: RequestId,
    pub(crate) verb: Verb,
}

/// Who makes a request. The number is the owner's of the address that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Owner(usize),
    /// The first of two clicks: what comes of it is left to the second one.
    TwiceClicked(usize),
    Stranger(usize),
}

/// What is asked for.
#[derive(Clone)]
pub(crate) enum Verb {
    Register(Person),
    Resend(RegistrationId),
    Code(RegistrationId, VerificationCode),
    Link(RegistrationId, LinkToken),
    Show(RegistrationId, LinkToken),
}

impl fmt::Debug for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(person) => {
                write!(f, "register {} as {}", person.email.as_str(), person.first_name.as_str())
            }
            Self::Resend(id) => write!(f, "resend {id}"),
            Self::Code(id, code) => write!(f, "code {} with {id}", code.digits()),
            Self::Link(id, token) => write!(f, "link {} with {id}", token.to_text()),
            Self::Show(id, token) => write!(f, "show {} with {id}", token.to_text()),
        }
    }
}
