//! What can go wrong with an email: the fault of the server, or of this email.
//!
//! The codes of a reply are kept. Its text is not, because it often repeats the recipient's address.

use super::{
    judgement::{self, Judgement},
    reply::{Reply, ReplyError},
};
pub use super::{phase::Phase, reply::Status};

/// The server can't be reached, does not answer, or takes mail from nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{phase}: {cause}")]
pub struct ServerFailure {
    pub phase: Phase,
    pub cause: Cause,
}

/// Why the server can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("no answer in time")]
    Timeout,
    #[error("connection closed")]
    Broken,
    #[error("{0}")]
    Garbled(ReplyError),
    #[error("it says something that it was not asked for")]
    Unasked,
    #[error("reply {0}")]
    Reply(Status),
    #[error("{0}")]
    Io(String),
    /// Mostly a server that waits for a TLS handshake.
    #[error("no greeting; if TLS begins with the first byte on this port, set SMTP_ENCRYPTION=tls")]
    NoGreeting,
    #[error("no TLS from the first byte on this port; it may want SMTP_ENCRYPTION=starttls")]
    NotTls,
    #[error("the server does not offer STARTTLS")]
    StartTlsMissing,
    #[error("the server offers no login of those wanted here, {wanted}; it offers: {offered}")]
    LoginMissing { wanted: String, offered: String },
    /// `said`: the server's word for what is wrong with the token.
    #[error("reply {status} to the token of SMTP_TOKEN_FILE{}: it has expired, or is not for this user", in_brackets(.said.as_deref()))]
    TokenRefused { status: Status, said: Option<String> },
    /// Contains what the server did: a TLS alert, or a reply.
    #[error(
        "the server {0}: SMTP_CERTIFICATE_FILE and SMTP_KEY_FILE must have a certificate that it accepts"
    )]
    CertificateRefused(String),
}

impl Cause {
    /// The codes of the reply, if it was one.
    pub(super) fn status(&self) -> Option<Status> {
        match self {
            Self::Reply(status) | Self::TokenRefused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

fn in_brackets(said: Option<&str>) -> String {
    said.filter(|said| !said.is_empty()).map_or_else(String::new, |said| format!(" ({said})"))
}

/// The server refused this email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// `None` when the server lacks an extension that the email needs.
    pub status: Option<Status>,
}

/// Whom a refusal is about. `judgement` decides it from the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    ForNow,
    RecipientForNow,
    Content,
    Recipient,
    RecipientUnclear,
    /// The address needs SMTPUTF8 (RFC 6531), which the server does not offer.
    NeedsSmtpUtf8,
}

/// Why an email was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The session has ended, and that says nothing about this email. Another session may take it.
    NextSession,
    Server(ServerFailure),
    /// The server refuses us, and said so after RCPT.
    Unwelcome(ServerFailure),
    Refused(Refusal),
    /// The caller took it back before the content was sent.
    Recalled,
}

/// Why a transaction ended before the email was accepted.
#[derive(Debug)]
pub(super) enum Ended {
    Failed(ServerFailure),
    Refused {
        judgement: Judgement,
        phase: Phase,
        status: Status,
    },
    NeedsSmtpUtf8,
    /// The caller took it back. The server has not got the content.
    Recalled,
}

impl ServerFailure {
    /// The codes of the reply, if it was one.
    pub(crate) fn status(&self) -> Option<Status> {
        self.cause.status()
    }

    /// Whether the mail itself may be the reason: the server knows the recipient, and gave no answer in time.
    pub(crate) fn may_be_about_the_mail(&self) -> bool {
        self.cause == Cause::Timeout && matches!(self.phase, Phase::Recipient | Phase::Data | Phase::Content)
    }

    pub(super) fn reply(phase: Phase, reply: &Reply) -> Self {
        Self { phase, cause: Cause::Reply(reply.status()) }
    }

    /// Accepts a reply of this class (RFC 5321, section 4.2.1).
    pub(super) fn unless(reply: &Reply, class: u16, phase: Phase) -> Result<(), Self> {
        if reply.is(class) { Ok(()) } else { Err(Self::reply(phase, reply)) }
    }

    /// Accepts a reply to the beginning of a session. Postfix refuses a client's certificate in this, not with a TLS alert
    /// (`smtpd_tls_req_ccert`), and with the codes of too many connections. No recipient is known yet, so the text can't be
    /// about one.
    pub(super) fn unless_welcome(reply: &Reply) -> Result<(), Self> {
        if !reply.is(2) && reply.text.to_ascii_lowercase().contains("client certificate") {
            let said = format!("refuses the client's certificate with the reply {}", reply.status());
            return Err(Self { phase: Phase::Tls, cause: Cause::CertificateRefused(said) });
        }
        Self::unless(reply, 2, Phase::Greeting)
    }

    /// Whether a further connection may have been one too many: refused for now before its use, or closed without a reply.
    pub(super) fn may_be_one_too_many(&self) -> bool {
        match &self.cause {
            Cause::Reply(Status { code, .. }) => judgement::is_one_too_many(self.phase, *code),
            Cause::Broken => self.phase == Phase::Greeting,
            _ => false,
        }
    }
}

impl From<ServerFailure> for Ended {
    fn from(failure: ServerFailure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailer::reply::ReplyParser;

    #[test]
    fn a_certificate_that_is_refused_in_a_reply_is_no_connection_too_many() {
        let welcome = |reply: &str| {
            let reply = ReplyParser::default().take(&mut format!("{reply}\r\n").as_bytes()).unwrap().unwrap();
            ServerFailure::unless_welcome(&reply)
        };
        let refused =
            welcome("421 4.7.1 relay.example.net Error: No client certificate presented").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "TLS: the server refuses the client's certificate with the reply 421 4.7.1: \
             SMTP_CERTIFICATE_FILE and SMTP_KEY_FILE must have a certificate that it accepts"
        );
        assert!(!refused.may_be_one_too_many());
        let crowded = welcome("421 4.7.0 Too many concurrent SMTP connections").unwrap_err();
        assert_eq!(crowded.to_string(), "greeting: reply 421 4.7.0");
        assert!(crowded.may_be_one_too_many());
        assert_eq!(welcome("250 client certificate"), Ok(()));
    }
}
