//! Register: one request, one record, whatever is known of the address.

use super::{Signup, Unavailable};
use crate::{
    correlation::Correlation,
    rules::{Question, resend_wait},
};
use contract::{event::Mailing, person::Person, registration_id::RegistrationId};
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// The answer to an accepted registration. It does not depend on the address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registered {
    /// The id of this registration.
    pub(crate) id: RegistrationId,
    /// When the code of the clock's window expires.
    pub(crate) expires_at: Timestamp,
    /// How long to wait before another mail is asked for with this id.
    pub(crate) resend_after: Duration,
}

impl Signup {
    /// Registers a person. `Ok` means that the event is in the log.
    ///
    /// Callers must poll it to its end once it has begun, even if the client disconnects.
    ///
    /// # Errors
    /// [`Unavailable`]; the same request may then be repeated, here or at another replica.
    pub(crate) async fn register(
        self,
        person: Person,
        correlation: Correlation,
    ) -> Result<Registered, Unavailable> {
        self.may_answer()?;
        let deadline = self.deadline();
        let (registered, _) = self.register_as(person, 0, correlation, deadline).await?;
        Ok(registered)
    }

    /// Registers a person, and says what is mailed for it, which no answer to a client may tell. `resends`: how many resends the
    /// registration descends from.
    pub(super) async fn register_as(
        &self,
        person: Person,
        resends: u32,
        correlation: Correlation,
        deadline: Instant,
    ) -> Result<(Registered, Mailing), Unavailable> {
        let (desk, replica, outside) = (&self.0.desk, &self.0.replica, &self.0.outside);
        // Taken before the address is looked at, so that a full replica answers every address alike.
        let _room = desk.room().ok_or(Unavailable::Full)?;
        replica.reach(Question::NextMail, deadline).await?;

        let (now, id) = (outside.now(), outside.registration_id());
        let Correlation { request_id, trace } = correlation;
        let drafted = desk.register(id, person, resends, request_id, now);
        let written = self.publish(&drafted.event, &trace, deadline).await;
        let written = written.inspect_err(|_| desk.take_back(&drafted))?;
        replica.view().apply(&drafted.event, now);
        replica.note_own(written, drafted.event.event_id());
        self.0.metrics.registered(&drafted.decision);
        let resend_after = resend_wait(resends, &desk.rules);
        let registered = Registered { id, expires_at: desk.expires_at(now), resend_after };
        Ok((registered, drafted.decision.mailing))
    }
}
