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
    failure::{Cause, Phase, Refusal, RefusalKind, SendError, ServerFailure},
    within,
};
use crate::email::Email;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

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
        // Not worth the minutes that the mail itself may take.
        let limit = self.mailer.config.timeout;
        let reset = within(limit, Phase::MailFrom, self.connection.wire.ask("RSET\r\n")).await;
        reset.is_ok_and(|reply| reply.is(2))
    }

    async fn transaction(&mut self, email: &Email) -> Result<(), SendError> {
        let mail = format!("MAIL FROM:<{}>{}\r\n", email.from, self.parameters(email)?);
        let recipient = format!("RCPT TO:<{}>\r\n", email.to);
        let envelope = if self.connection.offers.pipelining {
            self.envelope_at_once(&mail, &recipient).await
        } else {
            self.envelope_step_by_step(&mail, &recipient).await
        };
        envelope.map_err(|error| if self.reused { closed_while_idle(error) } else { error })?;
        self.say(Phase::Content, &content(&email.text)).await?;
        self.reply(Phase::Content).await
    }

    async fn envelope_step_by_step(&mut self, mail: &str, recipient: &str) -> Result<(), SendError> {
        for (phase, command) in
            [(Phase::MailFrom, mail), (Phase::Recipient, recipient), (Phase::Data, "DATA\r\n")]
        {
            self.say(phase, command).await?;
            self.reply(phase).await?;
        }
        Ok(())
    }

    async fn envelope_at_once(&mut self, mail: &str, recipient: &str) -> Result<(), SendError> {
        self.say(Phase::MailFrom, &format!("{mail}{recipient}DATA\r\n")).await?;
        let mut refused = Ok(());
        for phase in [Phase::MailFrom, Phase::Recipient, Phase::Data] {
            // Until the data are refused as well, the server owes a reply or waits for the content.
            self.out_of_step = refused.is_err();
            match self.reply(phase).await {
                Err(error @ SendError::Refused(_)) => {
                    self.out_of_step = false;
                    // What follows the first refusal says nothing new.
                    refused = refused.and(Err(error));
                }
                Ok(()) => {}
                Err(error) => return refused.and(Err(error)),
            }
        }
        refused
    }

    /// Sends within the time-out of replies: to a server that reads nothing, nothing can be said.
    async fn say(&mut self, phase: Phase, commands: &str) -> Result<(), SendError> {
        let limit = self.mailer.config.reply_timeout;
        Ok(within(limit, phase, self.connection.wire.say(commands)).await?)
    }

    /// The reply to what was said in this phase.
    async fn reply(&mut self, phase: Phase) -> Result<(), SendError> {
        let config = &self.mailer.config;
        let (limit, class) = match phase {
            Phase::Content => (config.final_timeout, 2),
            Phase::Data => (config.reply_timeout, 3),
            _ => (config.reply_timeout, 2),
        };
        let reply = within(limit, phase, self.connection.wire.reply()).await?;
        if reply.is(class) { Ok(()) } else { Err(SendError::of(phase, &reply)) }
    }

    fn parameters(&self, email: &Email) -> Result<&'static str, SendError> {
        let offers = &self.connection.offers;
        let address: &str = email.to.as_ref();
        match (address.is_ascii(), !email.text.is_ascii() && offers.eight_bit_mime) {
            (true, false) => Ok(""),
            (true, true) => Ok(" BODY=8BITMIME"),
            (false, _) if !offers.smtputf8 => {
                Err(SendError::Refused(Refusal { kind: RefusalKind::NeedsSmtpUtf8, status: 0 }))
            }
            (false, false) => Ok(" SMTPUTF8"),
            (false, true) => Ok(" SMTPUTF8 BODY=8BITMIME"),
        }
    }
}

/// The content and the final dot. A dot at the beginning of a line is doubled (RFC 5321, section 4.5.2).
fn content(text: &str) -> String {
    const END: &str = "\r\n.\r\n";
    let mut content = String::with_capacity(text.len() + END.len());
    for line in text.split_inclusive('\n') {
        if line.starts_with('.') {
            content.push('.');
        }
        content.push_str(line);
    }
    content + END
}

/// A server may close an idle session at any time, with 421 or without a word; the first command of an email finds out.
fn closed_while_idle(error: SendError) -> SendError {
    match error {
        SendError::Server(ServerFailure {
            phase: Phase::MailFrom,
            cause: Cause::Broken | Cause::Unasked | Cause::Reply(421),
        }) => SendError::ClosedWhileIdle,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::content;

    #[test]
    fn dots_at_the_beginning_of_lines_are_doubled_and_one_ends_the_content() {
        assert_eq!(content(".a\r\nb.\r\n..\r\n."), "..a\r\nb.\r\n...\r\n..\r\n.\r\n");
    }
}
