//! How a delivery ends. The consumer, which alone decides what becomes of a record, matches on it.

use crate::{
    gate::Signal,
    mailer::{ServerFailure, Status},
};
use std::fmt;

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The mail server has it.
    Delivered,
    /// A copy stands in the retry topic, acknowledged by the broker.
    HandedOn,
    /// A copy stands in the dead-letter topic, acknowledged by the broker.
    DeadLettered(Reason),
    /// Its time was over before it could be mailed.
    Expired,
    /// It asks for no email.
    Ignored,
    /// Its event was delivered by this process before.
    Duplicate,
    /// Not finished: it has to be taken up again.
    Interrupted,
}

/// Why a record is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// Not an event of a known form, or not one of its topic.
    Undecodable,
    /// Larger than events are.
    TooLarge,
    /// Of a newer version, and no newer service took it in time; or of an earlier one.
    UnknownVersion,
    /// Its time is too far from the broker's.
    WrongClock,
    /// Its key id stayed unknown until its time was over.
    UnknownKey,
    /// 5xx to the recipient.
    RecipientRefused,
    /// 5xx to the content until its time was over.
    ContentRefused,
    /// The address needs SMTPUTF8, and the server did not offer it until its time was over.
    Smtputf8Missing,
    /// The email can't be composed.
    Unwritable,
    /// The delivery ended in a bug of this service.
    Panicked,
}

/// The outcome of a delivery, and what it says about the mail server.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    pub(crate) signal: Signal,
    pub(crate) failure: Option<ServerFailure>,
    /// The reply that refused the email.
    pub(crate) reply: Option<Status>,
}

impl Report {
    pub(crate) fn new(outcome: Outcome, signal: Signal) -> Self {
        Self { outcome, signal, failure: None, reply: None }
    }

    /// With the reply that refused the email.
    pub(crate) fn refused_with(self, reply: Option<Status>) -> Self {
        Self { reply, ..self }
    }

    /// With what the server failed at.
    pub(crate) fn because_of(self, failure: ServerFailure) -> Self {
        Self { failure: Some(failure), ..self }
    }

    pub(crate) fn server_failed(failure: ServerFailure) -> Self {
        Self::new(Outcome::Interrupted, Signal::Failed).because_of(failure)
    }
}

impl Reason {
    /// All of them, for the metrics.
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
