//! What can go wrong with an email: the server's fault, or this email's.
//!
//! The text of a reply is not kept, as it often repeats the recipient's address; its code is.

use super::reply::{Reply, ReplyError};
use std::fmt;

/// The step of a session that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Connect,
    Tls,
    Greeting,
    Login,
    MailFrom,
    Recipient,
    Data,
    Content,
}

/// The server can't be reached, does not answer, or takes mail from nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{phase}: {cause}")]
pub(crate) struct ServerFailure {
    pub(crate) phase: Phase,
    pub(crate) cause: Cause,
}

/// Why the server is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    #[error("no answer in time")]
    Timeout,
    #[error("connection closed")]
    Broken,
    #[error("{0}")]
    Garbled(ReplyError),
    #[error("it says something that it was not asked for")]
    Unasked,
    #[error("reply {0}")]
    Reply(u16),
    #[error("{0}")]
    Io(String),
    /// Mostly a server that waits for a TLS handshake.
    #[error("no greeting; if TLS begins with the first byte on this port, set SMTP_ENCRYPTION=tls")]
    NoGreeting,
    #[error("no TLS from the first byte on this port; it may want SMTP_ENCRYPTION=starttls")]
    NotTls,
    #[error("the server does not offer STARTTLS")]
    StartTlsMissing,
    /// With the mechanisms that the server offers.
    #[error("the server offers no login of those known here, PLAIN and LOGIN; it offers: {0}")]
    LoginMissing(String),
    #[error("closing")]
    Closing,
}

/// The server refused this email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    /// The reply's code; 0 when the email can't be offered to this server at all.
    pub(crate) status: u16,
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// 4xx to the recipient or to the content.
    Temporary,
    /// 5xx to the content: mostly the server's opinion of the sender.
    Content,
    /// 5xx to the recipient.
    Recipient,
    /// The address needs SMTPUTF8 (RFC 6531), which the server does not offer.
    NeedsSmtpUtf8,
}

/// Why an email was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The session had been closed while it was idle; nothing was tried. Another session may do.
    ClosedWhileIdle,
    Server(ServerFailure),
    Refused(Refusal),
}

impl ServerFailure {
    pub(super) fn closing() -> Self {
        Self { phase: Phase::Connect, cause: Cause::Closing }
    }

    /// Whether the mail itself may be the reason: the server has heard its recipient, and says nothing.
    pub(crate) fn may_be_about_the_mail(&self) -> bool {
        self.cause == Cause::Timeout && matches!(self.phase, Phase::Recipient | Phase::Data | Phase::Content)
    }

    pub(super) fn reply(phase: Phase, reply: &Reply) -> Self {
        Self { phase, cause: Cause::Reply(reply.code) }
    }

    /// Passes a reply of this class (RFC 5321, section 4.2.1).
    pub(super) fn unless(reply: &Reply, class: u16, phase: Phase) -> Result<(), Self> {
        if reply.is(class) { Ok(()) } else { Err(Self::reply(phase, reply)) }
    }
}

impl SendError {
    /// Judges a step that was not accepted by its phase and the reply's code (RFC 5321, section 4.2).
    pub(super) fn of(phase: Phase, reply: &Reply) -> Self {
        let status = reply.code;
        let refused = |kind| Self::Refused(Refusal { kind, status });
        match (phase, status) {
            // "Service not available, closing transmission channel"; and no refusal, but out of place.
            (_, 421 | 0..400) => Self::Server(ServerFailure::reply(phase, reply)),
            (Phase::Recipient | Phase::Data | Phase::Content, 400..500) => refused(RefusalKind::Temporary),
            (Phase::Recipient, _) => refused(RefusalKind::Recipient),
            (Phase::Data | Phase::Content, _) => refused(RefusalKind::Content),
            (Phase::Connect | Phase::Tls | Phase::Greeting | Phase::Login | Phase::MailFrom, _) => {
                Self::Server(ServerFailure::reply(phase, reply))
            }
        }
    }
}

impl From<ServerFailure> for SendError {
    fn from(failure: ServerFailure) -> Self {
        Self::Server(failure)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Tls => "TLS",
            Self::Greeting => "greeting",
            Self::Login => "login",
            Self::MailFrom => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Content => "content",
        })
    }
}
