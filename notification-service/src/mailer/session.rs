//! One session, while one delivery uses it.
//!
//! If the server supports PIPELINING (RFC 2920), the envelope is one packet and one wait:
//!
//! ```text
//!   MAIL, RCPT, DATA ──►            MAIL ──►  RCPT ──►  DATA ──►
//!   ◄── 250, 250, 354               ◄── 250   ◄── 250   ◄── 354
//!   content and dot ──►  ◄── 250    content and dot ──►  ◄── 250
//! ```

use super::{
    Mailer, QUIT_TIMEOUT,
    connect::Connection,
    failure::{Cause, Ended, Phase, Refusal, RefusalKind, SendError, ServerFailure, Status},
    judgement::{self, Judgement, Verdict, judge, verdict},
    pool::{Idle, Permit},
    within,
};
use crate::email::Email;
use std::sync::{Arc, atomic::Ordering};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A session with a permit. Dropping it closes the connection; so does cancelling a send.
pub(crate) struct Session {
    mailer: Arc<Mailer>,
    connection: Connection,
    permit: Permit,
    /// Transactions so far.
    mails: u32,
    /// It was idle before this email.
    reused: bool,
    /// The server owes a reply, or waits for a content that it must not get.
    out_of_step: bool,
}

impl Session {
    pub(super) fn fresh(mailer: Arc<Mailer>, connection: Connection, permit: Permit) -> Self {
        Self { mailer, connection, permit, mails: 0, reused: false, out_of_step: false }
    }

    pub(super) fn reused(mailer: Arc<Mailer>, idle: Idle, permit: Permit) -> Self {
        let Idle { connection, mails, .. } = idle;
        Self { mailer, connection, permit, mails, reused: true, out_of_step: false }
    }

    /// Sends one email. When it returns `Ok`, with the codes of the final reply, the server has taken responsibility for it.
    /// Cancelling `recall` ends the transaction as long as the content is not on its way, so the server can't have accepted
    /// the email.
    ///
    /// # Errors
    /// [`SendError`]. After most refusals the session is still good and returns to the pool.
    pub(crate) async fn send(
        mut self,
        email: &Email,
        recall: &CancellationToken,
    ) -> Result<Status, SendError> {
        match self.transaction(email, recall).await {
            Ok(status) => {
                self.permit.accepted();
                self.mailer.accepted.fetch_add(1, Ordering::Relaxed);
                self.mails += 1;
                self.put_back();
                Ok(status)
            }
            // A server may close an idle session at any time, with 421 or without a reply. The first command finds that out.
            Err(
                Ended::Failed(ServerFailure {
                    phase: Phase::MailFrom,
                    cause: Cause::Broken | Cause::Unasked,
                })
                | Ended::Refused { phase: Phase::MailFrom, status: Status { code: 421, .. }, .. },
            ) if self.reused => {
                self.permit.forget_idle();
                Err(SendError::NextSession)
            }
            Err(Ended::Failed(failure)) => Err(SendError::Server(failure)),
            Err(Ended::Recalled) => Err(SendError::Recalled),
            Err(Ended::Refused { judgement, phase, status }) => {
                self.mailer.refusals.count(judgement);
                Err(self.refused(judgement, phase, status).await)
            }
            // Another connection may offer it, so this one is closed.
            Err(Ended::NeedsSmtpUtf8) => {
                self.say_goodbye();
                Err(SendError::Refused(Refusal { kind: RefusalKind::NeedsSmtpUtf8, status: None }))
            }
        }
    }

    async fn refused(mut self, judgement: Judgement, phase: Phase, status: Status) -> SendError {
        let failure = ServerFailure { phase, cause: Cause::Reply(status) };
        let logged_in_before = self.reused || self.mails > 0;
        let kind = match judgement {
            // The login may have expired with its token. A fresh session logs in with the file's present content.
            Judgement::Server
                if logged_in_before
                    && self.mailer.config.credentials.is_some()
                    && judgement::is_about_the_login(status) =>
            {
                self.permit.forget_idle();
                self.say_goodbye();
                return SendError::NextSession;
            }
            Judgement::Server if phase == Phase::MailFrom || status.code < 400 => {
                return SendError::Server(failure);
            }
            Judgement::Server => return SendError::Unwelcome(failure),
            Judgement::Mails | Judgement::Connections => {
                let (fresh, alone) = (self.mails == 0, self.permit.is_alone());
                match verdict(judgement, phase, status.code, fresh, alone) {
                    Verdict::FreshSession => {
                        self.permit.session_is_full(self.mails);
                        self.say_goodbye();
                        return SendError::NextSession;
                    }
                    Verdict::FewerSessions => {
                        self.permit.is_one_too_many();
                        self.say_goodbye();
                        return SendError::NextSession;
                    }
                    Verdict::Server => {
                        self.permit.is_no_limit();
                        return SendError::Server(failure);
                    }
                    Verdict::ForNow => {
                        self.permit.is_no_limit_of_mails();
                        RefusalKind::ForNow
                    }
                }
            }
            Judgement::Recipient => RefusalKind::Recipient,
            Judgement::RecipientUnclear => RefusalKind::RecipientUnclear,
            Judgement::RecipientForNow => RefusalKind::RecipientForNow,
            Judgement::ForNow => RefusalKind::ForNow,
            Judgement::Content => RefusalKind::Content,
        };
        self.mails += 1;
        // If the transaction has no orderly end, the next email would begin in the middle of it.
        if !self.out_of_step && self.reset().await {
            self.put_back();
        }
        SendError::Refused(Refusal { kind, status: Some(status) })
    }

    /// Returns the session to the pool.
    pub(crate) fn put_back(self) {
        let Self { connection, permit, mails, .. } = self;
        if let Some(connection) = permit.put_back(connection, mails) {
            goodbye(connection, permit);
        }
    }

    fn say_goodbye(self) {
        goodbye(self.connection, self.permit);
    }

    async fn reset(&mut self) -> bool {
        // RSET has a shorter time-out than a mail, which may take minutes.
        let limit = self.mailer.config.timeout;
        let reset = within(limit, Phase::MailFrom, self.connection.wire.ask("RSET\r\n")).await;
        reset.is_ok_and(|reply| reply.is(2))
    }

    async fn transaction(&mut self, email: &Email, recall: &CancellationToken) -> Result<Status, Ended> {
        let mail = format!("MAIL FROM:<{}>{}\r\n", email.from, self.parameters(email)?);
        let recipient = format!("RCPT TO:<{}>\r\n", email.to);
        let envelope = async {
            if self.connection.offers.pipelining {
                self.envelope_at_once(&mail, &recipient).await
            } else {
                self.envelope_step_by_step(&mail, &recipient).await
            }
        };
        recall.run_until_cancelled(envelope).await.unwrap_or(Err(Ended::Recalled))?;
        self.say(Phase::Content, &content(&email.text)).await?;
        self.reply(Phase::Content).await
    }

    async fn envelope_step_by_step(&mut self, mail: &str, recipient: &str) -> Result<(), Ended> {
        for (phase, command) in
            [(Phase::MailFrom, mail), (Phase::Recipient, recipient), (Phase::Data, "DATA\r\n")]
        {
            self.say(phase, command).await?;
            self.reply(phase).await?;
        }
        Ok(())
    }

    async fn envelope_at_once(&mut self, mail: &str, recipient: &str) -> Result<(), Ended> {
        self.say(Phase::MailFrom, &format!("{mail}{recipient}DATA\r\n")).await?;
        let mut refused = Ok(());
        for phase in [Phase::MailFrom, Phase::Recipient, Phase::Data] {
            // After a refusal, an accepted DATA makes the server wait for the content.
            self.out_of_step = refused.is_err();
            match self.reply(phase).await {
                Err(error @ Ended::Refused { .. }) => {
                    self.out_of_step = false;
                    // The replies after the first refusal say nothing new.
                    refused = refused.and(Err(error));
                }
                Ok(_) => {}
                Err(error) => return refused.and(Err(error)),
            }
        }
        refused
    }

    /// Sends within the reply time-out: a server that reads nothing would block it.
    async fn say(&mut self, phase: Phase, commands: &str) -> Result<(), Ended> {
        let limit = self.mailer.config.reply_timeout;
        Ok(within(limit, phase, self.connection.wire.say(commands)).await?)
    }

    /// Waits for the reply to this phase's command.
    async fn reply(&mut self, phase: Phase) -> Result<Status, Ended> {
        let config = &self.mailer.config;
        let (limit, class) = match phase {
            Phase::Content => (config.final_timeout, 2),
            Phase::Data => (config.reply_timeout, 3),
            _ => (config.reply_timeout, 2),
        };
        let reply = within(limit, phase, self.connection.wire.reply()).await?;
        if reply.is(class) {
            return Ok(reply.status());
        }
        Err(Ended::Refused { judgement: judge(phase, &reply), phase, status: reply.status() })
    }

    fn parameters(&self, email: &Email) -> Result<&'static str, Ended> {
        let offers = &self.connection.offers;
        let address: &str = email.to.as_ref();
        match (address.is_ascii(), !email.text.is_ascii() && offers.eight_bit_mime) {
            (true, false) => Ok(""),
            (true, true) => Ok(" BODY=8BITMIME"),
            (false, _) if !offers.smtputf8 => Err(Ended::NeedsSmtpUtf8),
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

/// Ends a session with QUIT, in the background, so that the email's outcome does not wait for it. The server counts the
/// session until its end, so the permit is kept until then.
fn goodbye(mut connection: Connection, permit: Permit) {
    tokio::spawn(async move {
        // The answer does not matter: the session ends anyway.
        let _ = timeout(QUIT_TIMEOUT, connection.wire.ask("QUIT\r\n")).await;
        drop((connection, permit));
    });
}

#[cfg(test)]
mod tests {
    use super::content;

    #[test]
    fn dots_at_the_beginning_of_lines_are_doubled_and_one_ends_the_content() {
        assert_eq!(content(".a\r\nb.\r\n..\r\n."), "..a\r\nb.\r\n...\r\n..\r\n.\r\n");
    }
}
