//! One session in the hands of one delivery.
//!
//! Where the server takes several commands at once (RFC 2920), the envelope is one packet and one wait:
//!
//! ```text
//!   MAIL, RCPT, DATA ──►            MAIL ──►  RCPT ──►  DATA ──►
//!   ◄── 250, 250, 354               ◄── 250   ◄── 250   ◄── 354
//!   content and dot ──►  ◄── 250    content and dot ──►  ◄── 250
//! ```

use super::{
    Mailer,
    connect::Connection,
    failure::{Phase, Refusal, RefusalKind, SendError, ServerFailure},
};
use crate::email::Email;
use lettre::transport::smtp::{
    self,
    commands::{Data, Mail, Rcpt, Rset},
    extension::{Extension, MailBodyParameter, MailParameter},
    response::Response,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

/// Dropping it, also by a cancelled send, closes the connection.
pub(crate) struct Session {
    mailer: Arc<Mailer>,
    connection: Connection,
    permit: OwnedSemaphorePermit,
    reused: bool,
    /// The server waits for a content that it shall not have, or owes a reply.
    out_of_step: bool,
}

impl Session {
    pub(super) fn new(
        mailer: Arc<Mailer>,
        connection: Connection,
        permit: OwnedSemaphorePermit,
        reused: bool,
    ) -> Self {
        Self { mailer, connection, permit, reused, out_of_step: false }
    }

    /// Hands one email over; when it returns, the server has taken responsibility for it.
    ///
    /// # Errors
    /// [`SendError`]. After a refusal the session is mostly still good and goes back into the pool.
    pub(crate) async fn send(mut self, email: &Email) -> Result<(), SendError> {
        match self.transaction(email).await {
            Ok(()) => {
                self.put_back();
                Ok(())
            }
            Err(SendError::Refused(refusal)) => {
                // Without an orderly end of the transaction the next email would begin in the middle of this one.
                if !self.out_of_step && self.reset().await {
                    self.put_back();
                }
                Err(SendError::Refused(refusal))
            }
            Err(SendError::ClosedWhileIdle) => {
                self.mailer.forget_idle();
                Err(SendError::ClosedWhileIdle)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the session back unused.
    pub(crate) fn put_back(self) {
        self.mailer.put_back(self.connection, self.permit);
    }

    async fn reset(&mut self) -> bool {
        timeout(self.timeout(), self.connection.smtp.command(Rset)).await.is_ok_and(|reset| reset.is_ok())
    }

    async fn transaction(&mut self, email: &Email) -> Result<(), SendError> {
        let mail = Mail::new(Some(email.from.clone()), self.parameters(email)?);
        let recipient = Rcpt::new(email.to.clone(), vec![]);
        let envelope = if self.connection.pipelining {
            self.envelope_at_once(mail, recipient).await
        } else {
            self.envelope_step_by_step(mail, recipient).await
        };
        envelope.map_err(|error| if self.reused { closed_while_idle(error) } else { error })?;
        let content = self.connection.smtp.command(Content(&email.text));
        step(Phase::Content, self.mailer.config.timeout, content).await
    }

    async fn envelope_step_by_step(&mut self, mail: Mail, recipient: Rcpt) -> Result<(), SendError> {
        let (limit, smtp) = (self.timeout(), &mut self.connection.smtp);
        step(Phase::MailFrom, limit, smtp.command(mail)).await?;
        step(Phase::Recipient, limit, smtp.command(recipient)).await?;
        step(Phase::Data, limit, smtp.command(Data)).await
    }

    async fn envelope_at_once(&mut self, mail: Mail, recipient: Rcpt) -> Result<(), SendError> {
        let (limit, smtp) = (self.timeout(), &mut self.connection.smtp);
        step(Phase::MailFrom, limit, smtp.command(format!("{mail}{recipient}{Data}"))).await?;
        let recipient = step(Phase::Recipient, limit, smtp.read_response()).await;
        if matches!(recipient, Err(SendError::Server(_))) {
            return recipient;
        }
        let data = step(Phase::Data, limit, smtp.read_response()).await;
        self.out_of_step = recipient.is_err() && !matches!(data, Err(SendError::Refused(_)));
        // Without a recipient the server refuses the data as well: that says nothing new.
        recipient.and(data)
    }

    fn parameters(&self, email: &Email) -> Result<Vec<MailParameter>, SendError> {
        let server = self.connection.smtp.server_info();
        let mut parameters = Vec::new();
        let address: &str = email.to.as_ref();
        if !address.is_ascii() {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(SendError::Refused(Refusal { kind: RefusalKind::NeedsSmtpUtf8, status: 0 }));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !email.text.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        Ok(parameters)
    }

    fn timeout(&self) -> Duration {
        self.mailer.config.timeout
    }
}

/// The content and the final dot as one write: the connection's own method sends the dot in a packet of its own.
struct Content<'a>(&'a str);

impl fmt::Display for Content<'_> {
    /// Doubles a dot at the beginning of a line (RFC 5321, section 4.5.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.split_inclusive('\n') {
            if line.starts_with('.') {
                f.write_str(".")?;
            }
            f.write_str(line)?;
        }
        f.write_str("\r\n.\r\n")
    }
}

async fn step(
    phase: Phase,
    limit: Duration,
    exchange: impl Future<Output = Result<Response, smtp::Error>>,
) -> Result<(), SendError> {
    match timeout(limit, exchange).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(SendError::of(phase, &error)),
        Err(_) => Err(SendError::Server(ServerFailure::timeout(phase))),
    }
}

/// A server may close an idle session at any time, with 421 or without a word; the first command of an email finds out.
fn closed_while_idle(error: SendError) -> SendError {
    use super::failure::Cause;
    match error {
        SendError::Server(ServerFailure {
            phase: Phase::MailFrom,
            cause: Cause::Broken | Cause::Reply(421),
        }) => SendError::ClosedWhileIdle,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::Content;

    #[test]
    fn dots_at_the_beginning_of_lines_are_doubled_and_one_ends_the_content() {
        let content = Content(".a\r\nb.\r\n..\r\n.").to_string();
        assert_eq!(content, "..a\r\nb.\r\n...\r\n..\r\n.\r\n");
    }
}
