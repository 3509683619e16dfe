//! Resend: another mail for the same data, as a registration of its own.

use super::{Registered, Signup, Unavailable};
use crate::{
    correlation::Correlation,
    replica::{Mailbox, Registration},
    rules::{Question, later},
};
use contract::{
    event::{MAX_RESENDS, Mailing},
    registration_id::RegistrationId,
};
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// The outcome of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resent {
    /// A new registration with the same data is in the log. The old one does not change.
    Accepted(Registered),
    /// Another mail can be asked for with this registration after this time.
    Wait(Duration),
    /// Nobody registered under this id lately.
    Unknown,
}

/// The outcome of an operator's request on behalf of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResentFor {
    /// A new registration with the same data is in the log, and leads to this.
    Written(Mailing),
    /// Nothing would be mailed before this time, and nothing was written.
    NotDue(Timestamp),
    /// Nobody registered under this id lately.
    Unknown,
}

impl Signup {
    /// Registers the person of a registration again, no matter what became of that registration or of the address.
    ///
    /// Callers must poll it to its end once it has begun, even if the client disconnects.
    ///
    /// # Errors
    /// [`Unavailable`]; the same request may then be repeated, here or at another replica.
    pub(crate) async fn resend(
        self,
        id: RegistrationId,
        correlation: Correlation,
    ) -> Result<Resent, Unavailable> {
        self.may_answer()?;
        let deadline = self.deadline();
        let Some(registration) = self.0.replica.registration(id, deadline).await? else {
            return Ok(Resent::Unknown);
        };
        let wait = self.0.desk.wait_for_resend(&registration, self.0.outside.now());
        if !wait.is_zero() {
            return Ok(Resent::Wait(wait));
        }
        let (registered, _) = self.register_again(registration, correlation, deadline).await?;
        Ok(Resent::Accepted(registered))
    }

    /// Does the same for an operator, but writes nothing while nothing would be mailed. An operator may know whether
    /// something is; a client may not.
    ///
    /// # Errors
    /// [`Unavailable`]; the request may then be repeated.
    pub(crate) async fn resend_for(
        &self,
        id: RegistrationId,
        correlation: Correlation,
    ) -> Result<ResentFor, Unavailable> {
        self.may_answer()?;
        let deadline = self.deadline();
        let (desk, replica) = (&self.0.desk, &self.0.replica);
        let Some(registration) = replica.registration(id, deadline).await? else {
            return Ok(ResentFor::Unknown);
        };
        replica.reach(Question::NextMail, deadline).await?;
        let now = self.0.outside.now();
        let mailbox = Mailbox::of(&registration.person.email);
        let next_at = replica.view().outlook(registration.account, mailbox, now).next_at;
        let due_at = next_at.max(later(now, desk.wait_for_resend(&registration, now)));
        if now < due_at {
            return Ok(ResentFor::NotDue(due_at));
        }
        let (_, mailing) = self.register_again(registration, correlation, deadline).await?;
        Ok(ResentFor::Written(mailing))
    }

    async fn register_again(
        &self,
        registration: Registration,
        correlation: Correlation,
        deadline: Instant,
    ) -> Result<(Registered, Mailing), Unavailable> {
        let resends = registration.resends.saturating_add(1).min(MAX_RESENDS);
        self.register_as(registration.person, resends, correlation, deadline).await
    }
}
