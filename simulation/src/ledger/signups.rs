//! What user services publish and answer: each event and each answer follows from the log, as far as its replica has read it.

use super::{
    Ledger,
    accounts::{Account, Process, Registration, code_is_right, resend_at, token_is_right, window_at},
    read::Read,
};
use crate::call::{Call, Verb};
use contract::{
    account_id::AccountId,
    email_address::EmailAddress,
    event::{Attempt, Event, Registered, Verified},
    registration_id::RegistrationId,
    request_id::RequestId,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::Timestamp;
use notification_service::simulated::Partition;
use std::{collections::BTreeMap, time::Duration};
use user_service::{Rules, simulated::Answer};

/// A request that a user service works on.
#[derive(Debug)]
pub(super) struct Called {
    call: Call,
    by: Process,
    began: Duration,
    /// What its clock showed then.
    wall: Timestamp,
    /// Where the log ended, and how far its replica had read.
    ends: BTreeMap<Partition, i64>,
    next: BTreeMap<Partition, i64>,
    /// What it has published.
    published: Vec<Event>,
}

/// The times at which something may have been looked at: clocks leap.
type Span = (Timestamp, Timestamp);

impl Ledger {
    /// A user service begins to work on a request.
    pub(crate) fn called(
        &mut self,
        call: &Call,
        by: Process,
        wall: Timestamp,
        (ends, next): (BTreeMap<Partition, i64>, BTreeMap<Partition, i64>),
        now: Duration,
    ) {
        let called = Called { call: call.clone(), by, began: now, wall, ends, next, published: Vec::new() };
        self.calls.insert(call.request.clone(), called);
    }

    /// Requests of a process that is gone.
    pub(crate) fn calls_ended(&mut self, by: Process) {
        self.calls.retain(|_, called| called.by != by);
    }

    /// A user service publishes an event: it is what the log says, as far as that replica has read it.
    pub(crate) fn published(&mut self, event: &Event, by: Process, read: &Read<'_>, now: Duration) {
        let request = event.request_id().clone();
        let Some(mut called) = self.calls.remove(&request) else {
            return self.wrong("only requests publish events", now, &request, format!("{event:?}"));
        };
        match event {
            Event::Registered(mailing, registered) => {
                let made = self.accounts.decide(
                    (registered.id, &registered.email),
                    registered.occurred_at,
                    by,
                    read,
                    &self.rules,
                );
                let is_followed =
                    (made.mailing, made.window, made.send) == (*mailing, registered.window, registered.send);
                if !is_followed {
                    let detail = format!("{made:?} follows from what replica {} has read: {event:?}", by.0);
                    self.wrong("each request gets its place in the schedule of mails", now, &request, detail);
                }
                let before = called.began.saturating_sub(STALE);
                if self.accounts.of(registered.id).has_unread(read.created(registered.id), before) {
                    let detail = format!("of replica {}: {event:?}", by.0);
                    self.wrong("a place rests on the log of two seconds ago", now, &request, detail);
                }
                self.check_data(&called, registered, now);
                self.accounts.decided(registered, made.takes, by);
            }
            Event::Attempt(attempt) => self.check_attempt(&called, attempt, read, now),
            Event::Verified(verified) => self.check_verification(&called, verified, now),
        }
        called.published.push(event.clone());
        let kinds = called.published.iter().map(Event::kind);
        if kinds.filter(|kind| *kind == event.kind()).count() > 1 {
            self.wrong("a request writes an event once", now, &request, format!("{:?}", called.published));
        }
        self.calls.insert(request, called);
    }

    /// What is registered is what was entered, and another mail is not asked for too early.
    fn check_data(&mut self, called: &Called, event: &Registered, now: Duration) {
        let (entered, resends, from) = match &called.call.verb {
            Verb::Register(person) => (person, 0, Timestamp::MIN),
            Verb::Resend(id) => match self.accounts.registration(*id) {
                Some(known) => match self.entered.get(id) {
                    Some(person) => {
                        (person, (known.event.resends + 1).min(32), resend_at(&known.event, &self.rules))
                    }
                    None => return,
                },
                None => {
                    return self.wrong(
                        "nobody gets mail of nobody",
                        now,
                        &called.call.request,
                        String::new(),
                    );
                }
            },
            _ => {
                return self.wrong(
                    "a proof registers nobody",
                    now,
                    &called.call.request,
                    format!("{event:?}"),
                );
            }
        };
        let is_kept = event.person() == *entered && event.resends == resends;
        let entered = entered.clone();
        if !is_kept {
            let detail = format!("{entered:?}, {resends} resends: {event:?}");
            self.wrong("a registration has the data that were entered", now, &called.call.request, detail);
        }
        if event.occurred_at.max(called.wall) < from {
            let detail = format!("{event:?}, free at {from}");
            self.wrong(
                "another mail can be asked for after the cool-down",
                now,
                &called.call.request,
                detail,
            );
        }
        self.entered.insert(event.registration, entered);
    }

    /// An attempt names the windows whose codes are right, and is written only if it may count.
    fn check_attempt(&mut self, called: &Called, attempt: &Attempt, read: &Read<'_>, now: Duration) {
        let rules = self.rules;
        let account = self.accounts.of(attempt.id);
        let first = account.first_window(read.verified(attempt.id), &rules);
        let clock = window_at(attempt.occurred_at, &rules);
        let at = attempt.occurred_at;
        let right = (clock.saturating_sub(1)..=clock + 2)
            .filter(|window| is_within(code_is_right(*window, first, &rules), (at, at)).1);
        let guesses = account.guesses(attempt.registration, read.activity(attempt.id));
        let counts = guesses.contains(&attempt.event_id)
            || u32::try_from(guesses.len()).is_ok_and(|made| made < rules.code_attempts);
        if right.ne(attempt.windows.iter().copied()) || !counts {
            let detail = format!("{attempt:?}, {} were made", guesses.len());
            self.wrong(
                "a guess is written for the right windows, within its budget",
                now,
                &called.call.request,
                detail,
            );
        }
    }

    /// A verification has the data of the registration whose id was used, and is written once.
    fn check_verification(&mut self, called: &Called, event: &Verified, now: Duration) {
        let (Verb::Code(id, _) | Verb::Link(id, _)) = called.call.verb else {
            return self.wrong("only proofs verify", now, &called.call.request, format!("{event:?}"));
        };
        let entered = self.entered.get(&id);
        let is_kept = entered.is_some_and(|person| {
            let same_names = (&person.first_name, &person.last_name) == (&event.first_name, &event.last_name);
            same_names && (&person.email, &person.locale) == (&event.email, &event.locale)
        });
        if event.registration != id || !is_kept {
            let detail = format!("{entered:?}: {event:?}");
            self.wrong(
                "verified are the data of the registration that was used",
                now,
                &called.call.request,
                detail,
            );
        }
        let end = called.read(&called.ends).verified(event.id);
        if self.accounts.of(event.id).stays_verified_since(end) {
            let detail = format!("verified before offset {end}: {event:?}");
            self.wrong("a proof is accepted once", now, &called.call.request, detail);
        }
    }

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
            Verb::Register(_) => self.registered(&called, None, answer, span),
            Verb::Resend(id) => self.registered(&called, Some(*id), answer, span),
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

    fn registered(
        &self,
        called: &Called,
        from: Option<RegistrationId>,
        answer: &Answer,
        span: Span,
    ) -> Result<(), &'static str> {
        match (from, answer) {
            (_, Answer::Registered(id)) => {
                let known = self.accounts.registration(*id);
                let is_there = known.is_some_and(|it| it.event.request_id == called.call.request);
                is_there.then_some(()).ok_or("an answer of 202 is in the log")
            }
            (Some(from), Answer::Unknown) => self.unknown(called, from, span),
            (Some(_), Answer::Wait(_)) => Ok(()),
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
        if *answer == Answer::Unknown {
            return self.unknown(called, id, span);
        }
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
        if *answer == Answer::Unknown {
            return self.unknown(called, id, span);
        }
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

    /// Whose account a registration is for, and when it was made.
    fn data(&self, id: RegistrationId) -> Option<(EmailAddress, AccountId, Timestamp)> {
        let known = &self.accounts.registration(id)?.event;
        Some((known.email.clone(), known.id, known.occurred_at))
    }

    /// Whether the guesses at all codes of an account that are right now are used up.
    pub(crate) fn has_used_up(&mut self, account: AccountId, wall: Timestamp) -> bool {
        let rules = self.rules;
        let account = self.accounts.of(account);
        let first = account.first_window(i64::MAX, &rules);
        let clock = window_at(wall, &rules);
        let mut right = (clock.saturating_sub(1)..=clock + 2)
            .filter(|window| is_within(code_is_right(*window, first, &rules), (wall, wall)).1);
        let is_full = |window: u64| {
            let compared = account.compared(window, i64::MAX);
            u32::try_from(compared.len()).is_ok_and(|guesses| guesses >= rules.window_attempts)
        };
        right.all(is_full)
    }

    /// Whether a registration and the token of a window prove an account from now on until then.
    pub(crate) fn proves(
        &mut self,
        (id, email): (RegistrationId, &EmailAddress),
        window: u64,
        (from, until): Span,
    ) -> bool {
        let rules = self.rules;
        let known = self.data(id).filter(|(_, account, _)| *account == self.id_secret.account_id(email));
        let Some((_, account, made_at)) = known else { return false };
        let account = self.accounts.of(account);
        let first = account.first_window(i64::MAX, &rules);
        let is_alive = until + rules.max_clock_skew < made_at + rules.link_ttl;
        let span = (from - rules.max_clock_skew, until + rules.max_clock_skew);
        is_alive
            && is_within(token_is_right(window, first, &rules), span).0
            && must_prove(account, made_at, &rules)
    }

    fn wrong(&mut self, promise: &'static str, at: Duration, request: &RequestId, detail: String) {
        let sign_up = Some(request.as_str().to_owned());
        self.breach.get_or_insert(super::Breach { promise, at, detail, sign_up });
    }
}

impl Called {
    /// A reader that has read so far.
    fn read<'a>(&self, next: &'a BTreeMap<Partition, i64>) -> Read<'a> {
        let count = self.ends.keys().map(|partition| partition.number + 1).max().unwrap_or(1);
        Read { next, count }
    }

    /// The account's first window as its replica saw it at first, and as the whole log has it.
    fn first_windows(&self, id: AccountId, account: &Account, rules: &Rules) -> [u64; 2] {
        [self.read(&self.next).verified(id), i64::MAX].map(|end| account.first_window(end, rules))
    }
}

/// How stale the view may be that a place is decided on.
const STALE: Duration = Duration::from_secs(2);
/// A request that began so long after the last fault has no excuse: what was late has arrived by then.
const CALM: Duration = Duration::from_secs(20);

/// Whether something is right during the whole of a time, and in some moment of it.
fn is_within(right: Option<(Timestamp, Timestamp)>, (from, until): Span) -> (bool, bool) {
    right.map_or((false, false), |(begin, end)| (begin <= from && until < end, begin <= until && from < end))
}

/// Whether no tombstone and no verification keeps a registration of that time from proving its account, for any replica.
fn must_prove(account: &Account, made_at: Timestamp, rules: &Rules) -> bool {
    account.tombstones(i64::MAX).all(|at| at <= made_at)
        && account
            .verifications(i64::MAX)
            .all(|at| at > Timestamp::MIN && made_at <= at + rules.max_clock_skew)
}
