//! What user services publish: each event follows from the log, as far as its replica has read it.

use super::{
    Ledger,
    accounts::{Account, Process, code_is_right, resend_at, token_is_right, window_at},
    read::Read,
};
use crate::call::{Call, Verb};
use contract::{
    account_id::AccountId,
    email_address::EmailAddress,
    event::{Attempt, Event, Registered, Verified},
    registration_id::RegistrationId,
    request_id::RequestId,
};
use jiff::Timestamp;
use notification_service::simulated::Partition;
use std::{collections::BTreeMap, time::Duration};
use user_service::Rules;

/// How stale the view may be that a place is decided on.
const STALE: Duration = Duration::from_secs(2);

/// A request that a user service works on.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) call: Call,
    pub(super) by: Process,
    pub(super) began: Duration,
    /// What its clock showed then.
    pub(super) wall: Timestamp,
    /// Where the log ended, and how far its replica had read.
    pub(super) ends: BTreeMap<Partition, i64>,
    pub(super) next: BTreeMap<Partition, i64>,
    /// What it has published.
    pub(super) published: Vec<Event>,
}

/// The times at which something may have been looked at: clocks leap.
pub(super) type Span = (Timestamp, Timestamp);

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
        let right = right_codes(first, attempt.occurred_at, &rules);
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

    /// Whose account a registration is for, and when it was made.
    pub(super) fn data(&self, id: RegistrationId) -> Option<(EmailAddress, AccountId, Timestamp)> {
        let known = &self.accounts.registration(id)?.event;
        Some((known.email.clone(), known.id, known.occurred_at))
    }

    /// Whether the guesses at all codes of an account that are right now are used up.
    pub(crate) fn has_used_up(&mut self, account: AccountId, wall: Timestamp) -> bool {
        let rules = self.rules;
        let account = self.accounts.of(account);
        let first = account.first_window(i64::MAX, &rules);
        let is_full = |window: u64| {
            let compared = account.compared(window, i64::MAX);
            u32::try_from(compared.len()).is_ok_and(|guesses| guesses >= rules.window_attempts)
        };
        right_codes(first, wall, &rules).all(is_full)
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

    /// A request that breaks a promise.
    pub(super) fn wrong(&mut self, promise: &'static str, at: Duration, request: &RequestId, detail: String) {
        let sign_up = Some(request.as_str().to_owned());
        self.breach.get_or_insert(super::Breach { promise, at, detail, sign_up });
    }
}

impl Called {
    /// A reader that has read so far.
    pub(super) fn read<'a>(&self, next: &'a BTreeMap<Partition, i64>) -> Read<'a> {
        let count = self.ends.keys().map(|partition| partition.number + 1).max().unwrap_or(1);
        Read { next, count }
    }

    /// The account's first window as its replica saw it at first, and as the whole log has it.
    pub(super) fn first_windows(&self, id: AccountId, account: &Account, rules: &Rules) -> [u64; 2] {
        [self.read(&self.next).verified(id), i64::MAX].map(|end| account.first_window(end, rules))
    }
}

/// The windows whose codes are right at a moment, for an account whose windows begin at `first`.
fn right_codes(first: u64, at: Timestamp, rules: &Rules) -> impl Iterator<Item = u64> {
    let clock = window_at(at, rules);
    (clock.saturating_sub(1)..=clock + 2)
        .filter(move |window| is_within(code_is_right(*window, first, rules), (at, at)).1)
}

/// Whether something is right during the whole of a time, and in some moment of it.
pub(super) fn is_within(right: Option<(Timestamp, Timestamp)>, (from, until): Span) -> (bool, bool) {
    right.map_or((false, false), |(begin, end)| (begin <= from && until < end, begin <= until && from < end))
}

/// Whether no tombstone and no verification keeps a registration of that time from proving its account, for any replica.
pub(super) fn must_prove(account: &Account, made_at: Timestamp, rules: &Rules) -> bool {
    account.tombstones(i64::MAX).all(|at| at <= made_at)
        && account
            .verifications(i64::MAX)
            .all(|at| at > Timestamp::MIN && made_at <= at + rules.max_clock_skew)
}
