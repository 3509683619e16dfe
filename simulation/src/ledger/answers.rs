//! What user services answer: each answer follows from the log, as far as its replica has read it.

use super::{
    Ledger,
    accounts::{Registration, code_is_right, token_is_right, window_at},
    read::Read,
    signups::{Called, Span, is_within, must_prove},
};
use crate::call::Verb;
use contract::{
    account_id::AccountId,
    event::Event,
    registration_id::RegistrationId,
    request_id::RequestId,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::Timestamp;
use std::time::Duration;
use user_service::simulated::Answer;

/// So long after the last fault, everything that was late has arrived. Requests that begin later must be answered.
const CALM: Duration = Duration::from_secs(20);

impl Ledger {
    /// A user service answers.
    pub(crate) fn answers(
        &mut self,
        request: &RequestId,
        answer: &Answer,
        (wall, read): (Timestamp, &Read<'_>),
        calm_since: Option<Duration>,
        now: Duration,
    ) {
        let Some(called) = self.calls.remove(request) else { return };
        self.answers += 1;
        let span = (called.wall.min(wall), called.wall.max(wall));
        for event in &called.published {
            if let Event::Registered(_, event) = event {
                let acked = matches!(answer, Answer::Registered(_));
                self.accounts.ended(event.id, event.registration, acked);
            }
        }
        if let Answer::Unavailable(why) = answer {
            if calm_since.is_some_and(|since| since + CALM < called.began) {
                self.wrong(
                    "without a fault every request is answered",
                    now,
                    request,
                    format!("{called:?}: {why}"),
                );
            }
            return;
        }
        let problem = match &called.call.verb {
            Verb::Resend(id) | Verb::Code(id, _) | Verb::Link(id, _) | Verb::Show(id, _)
                if *answer == Answer::Unknown =>
            {
                self.unknown(&called, *id, span)
            }
            Verb::Register(_) | Verb::Resend(_) => self.registered(&called, answer),
            Verb::Code(id, code) => self.guessed(&called, (*id, code), answer, span, read),
            Verb::Link(id, token) | Verb::Show(id, token) => self.proved(&called, (*id, token), answer, span),
        };
        if let Err(promise) = problem {
            self.wrong(
                promise,
                now,
                request,
                format!("replica {} at {wall}: {answer:?} to {called:?}", called.by.0),
            );
        }
    }

    fn registered(&self, called: &Called, answer: &Answer) -> Result<(), &'static str> {
        match (&called.call.verb, answer) {
            (_, Answer::Registered(id)) => {
                let known = self.accounts.registration(*id);
                let is_there = known.is_some_and(|it| it.event.request_id == called.call.request);
                is_there.then_some(()).ok_or("an answer of 202 is in the log")
            }
            (Verb::Resend(_), Answer::Wait(_)) => Ok(()),
            _ => Err("each answer belongs to its request"),
        }
    }

    /// That an id is unknown is certain only when all that was in the log has been read.
    fn unknown(&self, called: &Called, id: RegistrationId, span: Span) -> Result<(), &'static str> {
        let is_known = |known: &Registration| {
            let is_alive = span.1 < known.event.occurred_at + self.rules.link_ttl;
            is_alive && known.offset < called.read(&called.ends).created(known.event.id)
        };
        let is_known = self.accounts.registration(id).is_some_and(is_known);
        if is_known { Err("a registration that is in the log is known") } else { Ok(()) }
    }

    fn guessed(
        &mut self,
        called: &Called,
        (id, code): (RegistrationId, &VerificationCode),
        answer: &Answer,
        span: Span,
        read: &Read<'_>,
    ) -> Result<(), &'static str> {
        let rules = self.rules;
        let Some((email, account_id, made_at)) = self.data(id) else {
            return Err("a registration that is not in the log is unknown");
        };
        let guess = self.id_secret.attempt_id(id, code);
        let clock = window_at(span.0, &rules).saturating_sub(1)..=window_at(span.1, &rules) + 2;
        let matching: Vec<u64> = clock
            .filter(|window| VerificationCode::derive(&self.key, account_id, &email, *window).matches(code))
            .collect();
        let account = self.accounts.of(account_id);
        let guesses = account.guesses(id, read.activity(account_id));
        let place = guesses.iter().position(|known| *known == guess);
        let compared: Vec<u64> = matching
            .into_iter()
            .filter(|window| account.compared(*window, read.activity(account_id)).contains(&guess))
            .collect();
        let is_right = |first: u64, window: &u64| is_within(code_is_right(*window, first, &rules), span);
        match answer {
            Answer::GuessesUsedUp => {
                let is_full = u32::try_from(guesses.len()).is_ok_and(|made| made == rules.code_attempts);
                (place.is_none() && is_full).then_some(()).ok_or("a guess within its budget is answered")
            }
            Answer::WrongCode { attempts_left } => {
                let made =
                    usize::try_from(rules.code_attempts.saturating_sub(*attempts_left)).unwrap_or_default();
                let Some(place) = place else { return Err("a guess beyond its budget is not answered") };
                if made <= place || made > guesses.len() {
                    return Err("a guess counts once among those of its registration");
                }
                let firsts = called.first_windows(account_id, account, &rules);
                let is_right =
                    compared.iter().any(|window| firsts.iter().all(|first| is_right(*first, window).0));
                if is_right && must_prove(account, made_at, &rules) {
                    return Err("a right code within its budgets and its time is accepted");
                }
                Ok(())
            }
            Answer::Verified(_) => {
                let first = account.first_window(called.read(&called.ends).verified(account_id), &rules);
                if place.is_none() || compared.is_empty() {
                    return Err("a guess beyond its budget is not compared");
                }
                if !compared.iter().any(|window| is_right(first, window).1) {
                    return Err("only the codes of the account's windows are right");
                }
                self.accepted_proof(called, account_id, made_at, answer)
            }
            _ => Err("each answer belongs to its request"),
        }
    }

    fn proved(
        &mut self,
        called: &Called,
        (id, token): (RegistrationId, &LinkToken),
        answer: &Answer,
        span: Span,
    ) -> Result<(), &'static str> {
        let rules = self.rules;
        let Some((email, account_id, made_at)) = self.data(id) else {
            return Err("a registration that is not in the log is unknown");
        };
        let oldest = window_at(span.0 - rules.link_ttl, &rules).saturating_sub(1);
        let matching: Vec<u64> = (oldest..=window_at(span.1, &rules) + 2)
            .filter(|window| LinkToken::derive(&self.key, account_id, &email, *window).matches(token))
            .collect();
        let account = self.accounts.of(account_id);
        let is_right = |first: u64, window: &u64| is_within(token_is_right(*window, first, &rules), span);
        match (answer, &called.call.verb) {
            (Answer::WrongToken, _) => {
                let firsts = called.first_windows(account_id, account, &rules);
                let is_right =
                    matching.iter().any(|window| firsts.iter().all(|first| is_right(*first, window).0));
                if is_right && must_prove(account, made_at, &rules) {
                    return Err("a right token is accepted in its time, whatever strangers do");
                }
                Ok(())
            }
            (Answer::Verified(_), Verb::Link(..)) | (Answer::Shown(_), Verb::Show(..)) => {
                let first = account.first_window(called.read(&called.ends).verified(account_id), &rules);
                if !matching.iter().any(|window| is_right(first, window).1) {
                    return Err("only the tokens of the account's windows are right");
                }
                if let Answer::Shown(person) = answer {
                    let is_kept = self.entered.get(&id) == Some(person);
                    return is_kept.then_some(()).ok_or("what is shown are the data that were entered");
                }
                self.accepted_proof(called, account_id, made_at, answer)
            }
            _ => Err("each answer belongs to its request"),
        }
    }

    /// An accepted proof: it is in the log, and no tombstone and no verification that lay before the request ends it.
    fn accepted_proof(
        &mut self,
        called: &Called,
        id: AccountId,
        made_at: Timestamp,
        answer: &Answer,
    ) -> Result<(), &'static str> {
        let (rules, end) = (self.rules, called.read(&called.ends).verified(id));
        let account = self.accounts.of(id);
        if *answer != Answer::Verified(id) || account.verifications(i64::MAX).next().is_none() {
            return Err("an answer that an account is verified is in the log");
        }
        if account.tombstones(end).any(|at| made_at < at) {
            return Err("what was registered before a tombstone proves nothing");
        }
        let newest = account.verifications(end).last();
        let is_later = newest.is_some_and(|at| at == Timestamp::MIN || made_at > at + rules.max_clock_skew);
        if account.stays_verified_since(end) && is_later {
            return Err("what was registered after the verification proves nothing");
        }
        Ok(())
    }
}
