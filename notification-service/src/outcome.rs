//! How a delivery ends, and what becomes of its record. Only the state machine matches on these.

use crate::{
    email::UnwritableError,
    gate::Signal,
    mailer::{Refusal, ServerFailure, Status},
    retry::Retry,
};
use std::fmt;

/// How the task of a delivery ended.
#[derive(Debug)]
pub enum End {
    /// It tried to mail the record.
    Tried(Try),
    /// It wrote a copy, which the broker acknowledged.
    Written(Outcome),
    /// The task was dropped or panicked.
    Gone,
}

/// How a try to mail a record ended.
#[derive(Debug)]
pub enum Try {
    /// The mail server accepted the email.
    Accepted,
    /// The email had expired when a session was free.
    Expired,
    /// The email can't be composed.
    Unwritable(UnwritableError),
    /// The mail server refused the email.
    Refused(Refusal),
    /// The mail server refuses us, and said so after RCPT.
    Unwelcome(ServerFailure),
    /// The mail server can't be reached, does not answer, or takes mail from nobody.
    Failed(ServerFailure),
    /// It was called back or abandoned.
    Interrupted,
}

/// Where a copy of a record goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To the retry topic, with these headers.
    Retry(Retry),
    /// To the dead-letter topic. `status`: the codes of the mail server's reply, if it was asked.
    DeadLetter { reason: Reason, status: Option<Status> },
}

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The mail server accepted the email.
    Delivered,
    /// The retry topic has a copy, acknowledged by the broker.
    HandedOn,
    /// The dead-letter topic has a copy, acknowledged by the broker.
    DeadLettered(Reason),
    /// It expired before it could be mailed.
    Expired,
    /// It asks for no email.
    Ignored,
    /// This process has mailed it already, or has taken a later retry of it.
    Duplicate,
}

/// Why a record became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not an event of a known form, or not one of its topic.
    Undecodable,
    /// Larger than any event.
    TooLarge,
    /// A newer version that no service took in time, or an earlier version.
    UnknownVersion,
    /// Its time is too far from the broker's.
    WrongClock,
    /// Its key id was still unknown when its time was over.
    UnknownKey,
    /// The recipient was refused with 5xx.
    RecipientRefused,
    /// The content was refused with 5xx until its time was over.
    ContentRefused,
    /// The address needs SMTPUTF8, which the server did not offer until its time was over.
    Smtputf8Missing,
    /// The email can't be composed.
    Unwritable,
    /// Its delivery ended in a bug of this service.
    Panicked,
}

/// A try's evidence about the mail server.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) signal: Signal,
    pub(crate) failure: Option<ServerFailure>,
    /// The reply that refused the email.
    pub(crate) reply: Option<Status>,
}

impl Report {
    pub(crate) fn new(signal: Signal) -> Self {
        Self { signal, failure: None, reply: None }
    }

    /// Adds the reply that refused the email.
    pub(crate) fn refused_with(self, reply: Option<Status>) -> Self {
        Self { reply, ..self }
    }

    /// Adds the server's failure.
    pub(crate) fn because_of(self, failure: ServerFailure) -> Self {
        Self { failure: Some(failure), ..self }
    }

    /// Whether the server heard the recipient and then did not answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.failure.as_ref().is_some_and(ServerFailure::may_be_about_the_mail)
    }
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 10] = [
        Self::Undecodable,
        Self::TooLarge,
        Self::UnknownVersion,
        Self::WrongClock,
        Self::UnknownKey,
        Self::RecipientRefused,
        Self::ContentRefused,
        Self::Smtputf8Missing,
        Self::Unwritable,
        Self::Panicked,
    ];

    /// The value of the dead letter's header and of the metric's label.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::TooLarge => "too_large",
            Self::UnknownVersion => "unknown_version",
            Self::WrongClock => "wrong_clock",
            Self::UnknownKey => "unknown_key",
            Self::RecipientRefused => "recipient_refused",
            Self::ContentRefused => "content_refused",
            Self::Smtputf8Missing => "smtputf8_missing",
            Self::Unwritable => "unwritable",
            Self::Panicked => "panicked",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reasons_stand_at_their_numbers() {
        assert!(Reason::ALL.iter().enumerate().all(|(number, reason)| *reason as usize == number));
    }
}
