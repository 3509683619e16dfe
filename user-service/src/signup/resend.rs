//! Resend: another mail of the same window, for whoever waits for a code in vain.

use super::{Signup, Unavailable, now, registration::Resend};
use jiff::Timestamp;
use shared::{account_id::AccountId, request_id::RequestId};
use std::time::Duration;

/// What became of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resent {
    /// Another mail is on its way, and that is in the log.
    Accepted {
        /// When the mailed code expires.
        expires_at: Timestamp,
        /// The cool-down.
        resend_after: Duration,
    },
    /// In the cool-down, or after the last mail of the window.
    Wait(Duration),
    /// The code's time is over: only a new registration helps.
    Expired,
    /// Nobody registered under this id lately.
    Unknown,
}

impl Signup {
    /// Mails the code again, or a new one when its attempts are used up.
    ///
    /// Once it has begun, callers see to it that it is polled to its end, also when nobody waits for it any more.
    ///
    /// # Errors
    /// [`Unavailable`]; the same request may then be repeated, here or at another replica.
    pub(crate) async fn resend(self, id: AccountId, request_id: RequestId) -> Result<Resent, Unavailable> {
        self.may_answer()?;
        let deadline = self.deadline();
        let inner = &*self.0;
        inner.follower.be_fresh(deadline).await?;
        let known = self.standing(id, deadline).await?;
        let known = self.at_end_if_used_up(id, known, deadline).await?;
        let now = now();
        let registration = known.registration.unwrap_or_default();
        let current = inner.code_secrets.current().id();
        match registration.resend(known.verified, current, now, &inner.rules) {
            Resend::Unknown => Ok(Resent::Unknown),
            Resend::Expired => Ok(Resent::Expired),
            Resend::Wait(wait) => Ok(Resent::Wait(wait)),
            Resend::Next(next, expires_at) => {
                self.publish(next.into_event(id, now, request_id), deadline).await?;
                Ok(Resent::Accepted { expires_at, resend_after: inner.rules.resend_cooldown })
            }
        }
    }
}
