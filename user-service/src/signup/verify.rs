//! Verify: the log hands out the attempts, so the budget is exact across replicas and restarts.
//!
//! A code is compared only after its attempt was read back from the log with a rank inside the budget. The link's
//! token (128 bits) needs no budget, so strangers who burn a victim's attempts can't lock the victim out.

use super::{Person, Signup, Unavailable, now, pending::Pending, registration::Challenge, view::Standing};
use jiff::Timestamp;
use shared::{
    account_id::AccountId,
    event::{self, Event, EventId, EventKind},
    request_id::RequestId,
    verification_code::{LinkToken, VerificationCode},
};
use std::time::Instant;

/// What somebody presents to show that a mail reached them.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// The six digits.
    Code(VerificationCode),
    /// The token of the mail's link.
    Token(LinkToken),
}

/// What became of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The account is verified, and that is in the log.
    Verified,
    /// The code was compared and is wrong.
    WrongCode {
        /// Comparisons that are left.
        attempts_left: u32,
    },
    /// The token is wrong.
    WrongToken,
    /// The attempts of this code are used up.
    AttemptsUsedUp,
    /// The code's time is over.
    Expired,
    /// Nobody registered under this id lately.
    Unknown,
}

/// What the holder of a link's token may see.
#[derive(Debug)]
pub(crate) enum Shown {
    /// What the link would confirm.
    Registration(Person),
    /// The token is wrong.
    WrongToken,
    /// The link's time is over.
    Expired,
    /// Nobody registered under this id lately.
    Unknown,
}

impl Signup {
    /// Shows what a link would confirm, to whoever has its token; writes nothing.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn show(self, id: AccountId, token: LinkToken) -> Result<Shown, Unavailable> {
        self.may_answer()?;
        let registration = self.standing(id, self.deadline()).await?.registration.unwrap_or_default();
        Ok(match registration.challenge(now()) {
            Challenge::Unknown => Shown::Unknown,
            Challenge::Expired => Shown::Expired,
            Challenge::Open { pending: Some(pending), .. }
                if self.is_right(id, &pending, &Proof::Token(token)) =>
            {
                Shown::Registration(pending.person)
            }
            Challenge::Open { .. } => Shown::WrongToken,
        })
    }

    /// Checks a code or token; when this answers `Verified`, the event is in the log.
    ///
    /// Once it has begun, callers see to it that it is polled to its end, also when nobody waits for it any more.
    ///
    /// # Errors
    /// [`Unavailable`]; an attempt that was published stays spent.
    pub(crate) async fn verify(
        self,
        id: AccountId,
        proof: Proof,
        request_id: RequestId,
    ) -> Result<Verdict, Unavailable> {
        self.may_answer()?;
        let deadline = self.deadline();
        let mut known = self.standing(id, deadline).await?;
        let now = now();
        if known.verified && self.knows_code(id, &known, &proof, now) {
            // Accounts and codes are followed apart: of a newer code nothing may be known yet. Who has no right code does not
            // come here, and can't tell from the time that the account is verified.
            self.0.follower.reach_end(deadline).await?;
            known = self.0.view.standing(id);
        }
        let registration = known.registration.unwrap_or_default();
        let (window, generation, pending) = match registration.challenge(now) {
            Challenge::Unknown => return Ok(Verdict::Unknown),
            Challenge::Expired => return Ok(Verdict::Expired),
            Challenge::Open { window, generation, pending } => (window, generation, pending),
        };
        let is_right = |pending: &Pending| self.is_right(id, pending, &proof);
        if matches!(proof, Proof::Token(_)) {
            return match pending.filter(is_right) {
                Some(pending) => self.verified(id, pending, now, request_id, deadline).await,
                None => Ok(Verdict::WrongToken),
            };
        }
        // The right code again after success costs nothing; whatever else is tried has to be handed out.
        if known.verified && pending.as_ref().is_some_and(is_right) {
            return Ok(Verdict::Verified);
        }
        if registration.attempts(window, generation) >= self.0.rules.code_attempts {
            return Ok(Verdict::AttemptsUsedUp);
        }
        let rank = self.attempt(id, window, generation, now, &request_id, deadline).await?;
        let Some(attempts_left) = self.0.rules.code_attempts.checked_sub(rank) else {
            return Ok(Verdict::AttemptsUsedUp);
        };
        match pending.filter(is_right) {
            Some(pending) => self.verified(id, pending, now, request_id, deadline).await,
            None => Ok(Verdict::WrongCode { attempts_left }),
        }
    }

    /// Whether this is the right code, or token, as far as is known.
    fn knows_code(&self, id: AccountId, known: &Standing, proof: &Proof, now: Timestamp) -> bool {
        match known.registration.as_ref().map(|registration| registration.challenge(now)) {
            Some(Challenge::Open { pending: Some(pending), .. }) => self.is_right(id, &pending, proof),
            _ => false,
        }
    }

    /// Compares in constant time with every accepted key.
    fn is_right(&self, id: AccountId, pending: &Pending, proof: &Proof) -> bool {
        let email = &pending.person.email;
        self.0.code_secrets.iter().fold(false, |right, key| {
            right
                | match proof {
                    Proof::Code(code) => code.matches(&VerificationCode::derive(
                        key,
                        id,
                        email,
                        pending.window,
                        pending.generation,
                    )),
                    Proof::Token(token) => token.matches(&LinkToken::derive(key, id, email, pending.window)),
                }
        })
    }

    /// Publishes an attempt and waits for its rank among the attempts at this code.
    async fn attempt(
        &self,
        id: AccountId,
        window: u64,
        generation: u32,
        now: Timestamp,
        request_id: &RequestId,
        deadline: Instant,
    ) -> Result<u32, Unavailable> {
        let attempt = event::Attempt {
            event_id: EventId::random(),
            occurred_at: now,
            version: event::VERSION,
            id,
            window,
            generation,
            request_id: request_id.clone(),
        };
        let awaited = self.0.view.await_attempt(attempt.event_id);
        self.publish(Event::Attempt(attempt), deadline).await?;
        match tokio::time::timeout_at(deadline.into(), awaited.rank()).await {
            Ok(Some(rank)) => Ok(rank),
            Ok(None) | Err(_) => Err(super::BehindLog.into()),
        }
    }

    async fn verified(
        &self,
        id: AccountId,
        pending: Pending,
        now: Timestamp,
        request_id: RequestId,
        deadline: Instant,
    ) -> Result<Verdict, Unavailable> {
        // Another request may have been quicker while this one waited for its rank.
        if self.0.view.standing(id).verified {
            return Ok(Verdict::Verified);
        }
        let event = Event::Verified(event::Verified {
            event_id: EventId::derive(EventKind::Verified, id, pending.window, pending.generation, 0),
            occurred_at: now,
            version: event::VERSION,
            id,
            first_name: pending.person.first_name,
            last_name: pending.person.last_name,
            email: pending.person.email,
            locale: pending.person.locale,
            request_id,
        });
        self.publish(event, deadline).await?;
        Ok(Verdict::Verified)
    }
}
