//! Resend: another mail for the same data, as a registration of its own.

use super::{Registered, Signup, Unavailable};
use contract::{event::MAX_RESENDS, registration_id::RegistrationId, request_id::RequestId};
use std::time::Duration;

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
        request_id: RequestId,
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
        let resends = registration.resends.saturating_add(1).min(MAX_RESENDS);
        self.register_as(registration.person, resends, request_id, deadline).await.map(Resent::Accepted)
    }
}
