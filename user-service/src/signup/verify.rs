//! Verify: the log hands out guesses, so the budgets are exact across replicas and restarts.
//!
//! A code is compared only after its attempt was read back from the log, and only with
//! the codes of windows in whose budget it has a place. The link's token has 128 bits
//! and needs no budget, so strangers who use up a window's guesses lock nobody out.

use super::{
    Inner, Signup, Unavailable,
    desk::{Desk, Right},
};
use crate::{
    correlation::Correlation,
    network::Client,
    replica::{BehindLog, Registration},
    rules::Question,
};
use contract::{
    account_id::AccountId,
    event::Event,
    registration_id::RegistrationId,
    verification_code::{LinkToken, VerificationCode},
};
use std::time::{Duration, Instant};

/// Proof that a mail reached the person.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// The six digits.
    Code(VerificationCode),
    /// The token of the mail's link.
    Token(LinkToken),
}

/// The outcome of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The account is verified, and that is in the log.
    Verified(AccountId),
    /// The code is wrong, or was not compared.
    WrongCode {
        /// Guesses that are left with this registration.
        attempts_left: u32,
    },
    /// The token is wrong.
    WrongToken,
    /// The guesses with this registration are used up.
    GuessesUsedUp,
    /// The client has tried too many wrong codes.
    TooManyWrongCodes(Duration),
    /// Nobody registered under this id lately.
    Unknown,
}

impl Signup {
    /// Checks a code or token. `Verified` means that the event is in the log.
    ///
    /// Callers must poll it to its end once it has begun, even if the client disconnects.
    ///
    /// # Errors
    /// [`Unavailable`]; a published attempt stays spent.
    pub(crate) async fn verify(
        self,
        id: RegistrationId,
        proof: Proof,
        client: Client,
        correlation: Correlation,
    ) -> Result<Verdict, Unavailable> {
        self.may_answer()?;
        let deadline = self.deadline();
        let Some(registration) = self.0.replica.registration(id, deadline).await? else {
            return Ok(Verdict::Unknown);
        };
        let right = match proof {
            Proof::Code(code) => {
                match self.try_code(id, &registration, &code, client, &correlation, deadline).await? {
                    Ok(right) => right,
                    Err(verdict) => return Ok(verdict),
                }
            }
            Proof::Token(token) => {
                let is_right = |desk: &Desk| desk.is_token_right(&registration, &token, self.0.outside.now());
                match self.at_end(is_right, deadline).await? {
                    Some(right) => right,
                    None => return Ok(Verdict::WrongToken),
                }
            }
        };
        let account = registration.account;
        if !right.is_verified {
            self.publish_verification(id, registration, correlation, deadline).await?;
        }
        Ok(Verdict::Verified(account))
    }

    /// Makes a guess: publishes its attempt, waits until this replica has read it back, and compares.
    async fn try_code(
        &self,
        id: RegistrationId,
        registration: &Registration,
        code: &VerificationCode,
        client: Client,
        correlation: &Correlation,
        deadline: Instant,
    ) -> Result<Result<Right, Verdict>, Unavailable> {
        let Inner { desk, outside, metrics, wrong_codes, .. } = &*self.0;
        // Given back when this ends, unless the code is wrong.
        let counted = wrong_codes.as_ref().map(|wrong_codes| wrong_codes.take(client, outside.instant()));
        let counted = match counted.transpose() {
            Ok(counted) => counted,
            Err(wait) => return Ok(Err(Verdict::TooManyWrongCodes(wait))),
        };
        let request_id = correlation.request_id.clone();
        let Some(attempt) = desk.guess(id, registration, code, request_id, outside.now()) else {
            return Ok(Err(Verdict::GuessesUsedUp));
        };
        let awaited = self.0.replica.view().await_record(attempt.event_id);
        self.publish(&Event::Attempt(attempt.clone()), &correlation.trace, deadline).await?;
        if !outside.within(deadline, awaited.read()).await.unwrap_or(false) {
            return Err(BehindLog.into());
        }
        let Some(guessed) = desk.guessed(&attempt) else {
            return Ok(Err(Verdict::GuessesUsedUp));
        };
        metrics.guesses.inc();
        let is_right = |desk: &Desk| desk.is_code_right(registration, code, &guessed, outside.now());
        if let Some(right) = self.at_end(is_right, deadline).await? {
            return Ok(Ok(right));
        }
        if let Some(counted) = counted {
            counted.keep();
        }
        metrics.wrong_codes.inc();
        Ok(Err(Verdict::WrongCode { attempts_left: guessed.attempts_left }))
    }

    /// Whether a proof is right, once this replica knows all verifications
    /// and tombstones in the log. A wrong proof does not wait for them.
    async fn at_end(
        &self,
        is_right: impl Fn(&Desk) -> Option<Right>,
        deadline: Instant,
    ) -> Result<Option<Right>, BehindLog> {
        if is_right(&self.0.desk).is_none() {
            return Ok(None);
        }
        self.0.replica.reach(Question::MayBeVerified, deadline).await?;
        Ok(is_right(&self.0.desk))
    }

    async fn publish_verification(
        &self,
        id: RegistrationId,
        registration: Registration,
        correlation: Correlation,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let (now, Correlation { request_id, trace }) = (self.0.outside.now(), correlation);
        let (event, first_mail) = self.0.desk.verification(id, registration, request_id, now);
        let awaited = self.0.replica.view().await_record(event.event_id());
        self.publish(&event, &trace, deadline).await?;
        // The view takes the verification in when it is read back, since a tombstone
        // may follow it. The account is verified even if that takes too long.
        let _ = self.0.outside.within(deadline, awaited.read()).await;
        self.0.metrics.verified_after(first_mail.map(|at| now.duration_since(at)));
        Ok(())
    }
}
