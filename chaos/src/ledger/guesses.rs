//! Which guesses count, with which windows they are compared, and their answers.
//!
//! The log gives guesses their places: by offset among the distinct guesses of the registration, and among those of each
//! window that its records name. Each record carries the id of its request, so the ledger knows which answers were
//! comparisons.

use super::{
    Count,
    index::{Account, Index, Registration, VISIBLE_AFTER, line},
    verified::can_be_proved,
};
use crate::{
    evidence::{Ask, Reply, Request},
    rules,
};
use contract::{account_id::AccountId, event::EventId, registration_id::RegistrationId};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The places of a guess.
struct Guess {
    /// From 1; `None` beyond the budget of its registration.
    place: Option<u32>,
    /// The windows in whose budget it has a place: by its first record, and by any record.
    compared_first: Vec<u64>,
    compared: Vec<u64>,
}

/// All guesses of a round.
pub(super) struct Guesses<'a> {
    index: &'a Index<'a>,
    by_id: HashMap<EventId, Guess>,
    /// When each guess that counts was first written.
    of_registrations: HashMap<RegistrationId, Vec<Timestamp>>,
}

impl<'a> Guesses<'a> {
    pub(super) fn of(index: &'a Index<'a>) -> Self {
        let mut guesses = Self { index, by_id: HashMap::new(), of_registrations: HashMap::new() };
        for (_, account) in index.accounts() {
            guesses.add(account);
        }
        guesses
    }

    fn add(&mut self, account: &Account<'_>) {
        let mut windows: BTreeMap<u64, HashSet<EventId>> = BTreeMap::new();
        for (attempt, record) in &account.attempts {
            let is_first = !self.by_id.contains_key(&attempt.event_id);
            let places = self.of_registrations.entry(attempt.registration).or_default();
            let guess = self.by_id.entry(attempt.event_id).or_insert_with(|| {
                let is_free = places.len() < usize::try_from(rules::CODE_ATTEMPTS).unwrap_or(0);
                if is_free {
                    places.push(record.stamped_at);
                }
                let place = is_free.then(|| u32::try_from(places.len()).unwrap_or(u32::MAX));
                Guess { place, compared_first: Vec::new(), compared: Vec::new() }
            });
            for window in attempt.windows.iter().filter(|_| guess.place.is_some()) {
                let taken = windows.entry(*window).or_default();
                let has_room = taken.len() < usize::try_from(rules::WINDOW_ATTEMPTS).unwrap_or(0);
                if has_room && taken.insert(attempt.event_id) {
                    guess.compared.push(*window);
                }
            }
            if is_first {
                guess.compared_first.clone_from(&guess.compared);
            }
        }
    }

    /// The guess in the record of this request.
    fn of_request(&self, request: &Request) -> Option<&Guess> {
        let mut written = self.index.written(&request.request_id).iter();
        written.find_map(|(event, _)| self.by_id.get(&event.event_id()))
    }

    /// Every code that was tried, with its answer.
    fn tried(&self) -> impl Iterator<Item = (&'a Request, &'a Reply, &'a str)> {
        self.index.answered().filter_map(|(request, reply)| match &request.ask {
            Ask::VerifyCode { code, .. } => Some((request, reply, code.as_str())),
            _ => None,
        })
    }

    /// No guess counts beyond the budget of its registration, and none without a place in the log.
    pub(super) fn beyond_the_registration(&self) -> Count {
        let beyond = self.tried().filter(|(request, reply, _)| {
            is_judged(reply) && self.of_request(request).is_none_or(|guess| guess.place.is_none())
        });
        let lines = beyond.map(|(request, reply, _)| line(request, reply));
        Count::none("guesses judged beyond the budget of their registration", lines)
    }

    /// A guess is refused only when other guesses have used up the budget of its registration.
    pub(super) fn refused_too_early(&self) -> Count {
        let budget = usize::try_from(rules::CODE_ATTEMPTS).unwrap_or(0);
        let early = self.tried().filter(|(request, reply, _)| {
            let Some(Registration { event, .. }) = self.index.named(&request.ask) else { return false };
            let made = self.of_registrations.get(&event.registration).into_iter().flatten();
            let used_up = made.filter(|at| **at <= reply.at + VISIBLE_AFTER).count() >= budget;
            let has_a_place = self.of_request(request).is_some_and(|guess| guess.place.is_some());
            reply.status == 410 && (!used_up || has_a_place)
        });
        let lines = early.map(|(request, reply, _)| line(request, reply));
        Count::none("guesses refused although the budget of their registration was not used up", lines)
    }

    /// `attempts_left` depends only on the registration's own guesses, whatever others do.
    pub(super) fn wrong_remainders(&self) -> Count {
        let wrong = self.tried().filter(|(request, reply, _)| {
            let (Some(left), Some(it)) = (reply.attempts_left, self.index.named(&request.ask)) else {
                return false;
            };
            let Some(place) = self.of_request(request).and_then(|guess| guess.place) else { return false };
            let all = self.of_registrations.get(&it.event.registration).map_or(0, Vec::len);
            let most = rules::CODE_ATTEMPTS - place;
            let least = rules::CODE_ATTEMPTS.saturating_sub(u32::try_from(all).unwrap_or(u32::MAX));
            !(least..=most).contains(&left)
        });
        let lines = wrong
            .map(|(request, reply, _)| format!("{}, {:?} left", line(request, reply), reply.attempts_left));
        Count::none("answers with a wrong number of attempts left", lines)
    }

    /// A code is accepted only if it is right, for a window in whose budget the guess has a place.
    pub(super) fn beyond_the_window(&self) -> Count {
        let beyond = self.tried().filter(|(request, reply, code)| {
            let Some(registration) = self.index.named(&request.ask) else { return false };
            let right = self.right_windows(registration, code, request, reply);
            let compared = self.of_request(request).map_or(&[][..], |guess| &guess.compared);
            reply.status == 200 && !right.is_empty() && !right.iter().any(|window| compared.contains(window))
        });
        let lines = beyond.map(|(request, reply, _)| line(request, reply));
        Count::none("right codes accepted beyond the budget of their window", lines)
    }

    /// A code or token is accepted only if it is right for the registration's address at that time.
    pub(super) fn wrong_accepted(&self) -> Count {
        let index = self.index;
        let wrong = index.answered().filter(|(request, reply)| {
            let Some(registration) = index.named(&request.ask) else { return reply.status == 200 };
            reply.status == 200
                && match &request.ask {
                    Ask::VerifyCode { code, .. } => {
                        self.right_windows(registration, code, request, reply).is_empty()
                    }
                    Ask::VerifyLink { token, .. } => {
                        !self.is_right_token(registration, token, request, reply)
                    }
                    Ask::Register(_) | Ask::Resend { .. } => false,
                }
        });
        Count::none("wrong codes or tokens accepted", wrong.map(|(request, reply)| line(request, reply)))
    }

    /// A right proof is accepted: a code if it has its places in both budgets, a token always.
    pub(super) fn right_called_wrong(&self) -> Count {
        let index = self.index;
        let wrong = index.answered().filter(|(request, reply)| {
            let Some(registration) = index.named(&request.ask) else { return false };
            let account = index.account(registration.event.id);
            reply.status == 422
                && account.is_some_and(|it| can_be_proved(it, registration.event.occurred_at, request, reply))
                && match &request.ask {
                    Ask::VerifyCode { code, .. } => self.must_be_right(registration, code, request, reply),
                    Ask::VerifyLink { token, .. } => {
                        let event = registration.event;
                        windows_of_tokens(request, reply)
                            .filter(|window| self.first_window(event.id, request.sent_at) <= *window)
                            .filter(|window| {
                                is_open(*window, request.sent_at, reply.at, rules::token_ends_at)
                            })
                            .any(|window| index.token(event, window) == *token)
                    }
                    Ask::Register(_) | Ask::Resend { .. } => false,
                }
        });
        Count::none("right codes or tokens called wrong", wrong.map(|(request, reply)| line(request, reply)))
    }

    fn must_be_right(
        &self,
        Registration { event, .. }: Registration<'_>,
        code: &str,
        request: &Request,
        reply: &Reply,
    ) -> bool {
        let compared = self.of_request(request).map_or(&[][..], |guess| &guess.compared_first);
        compared.iter().any(|window| {
            *window >= self.first_window(event.id, request.sent_at)
                && is_open(*window, request.sent_at, reply.at, rules::code_ends_at)
                && self.index.code(event, *window) == code
        })
    }

    /// The windows for which this code was right at some moment between the request and its answer.
    fn right_windows(
        &self,
        Registration { event, .. }: Registration<'_>,
        code: &str,
        request: &Request,
        reply: &Reply,
    ) -> Vec<u64> {
        let newest = rules::window_at(reply.at) + 2;
        let right = (newest.saturating_sub(4)..=newest).filter(|window| {
            self.was_open(event.id, *window, request, reply, rules::code_ends_at)
                && self.index.code(event, *window) == code
        });
        right.collect()
    }

    fn is_right_token(
        &self,
        Registration { event, .. }: Registration<'_>,
        token: &str,
        request: &Request,
        reply: &Reply,
    ) -> bool {
        windows_of_tokens(request, reply).any(|window| {
            self.was_open(event.id, window, request, reply, rules::token_ends_at)
                && self.index.token(event, window) == token
        })
    }

    /// Whether a window's code or token was right at some moment between the request and its answer.
    fn was_open(
        &self,
        account: AccountId,
        window: u64,
        request: &Request,
        reply: &Reply,
        ends_at: fn(u64) -> Timestamp,
    ) -> bool {
        let first = self.first_window(account, request.sent_at);
        // A tombstone opens its first window at once.
        let tombstones = self.index.account(account).into_iter().flat_map(Account::tombstones);
        let is_opened = tombstones.map(rules::first_after).any(|opened| opened == window);
        window >= first
            && request.sent_at < ends_at(window)
            && (is_opened || rules::opens_at(window) <= reply.at)
    }

    /// The earliest window that the account can have for a request of that time.
    fn first_window(&self, account: AccountId, sent_at: Timestamp) -> u64 {
        let tombstones = self.index.account(account).into_iter().flat_map(Account::tombstones);
        let read = tombstones.filter(|at| *at + VISIBLE_AFTER < sent_at);
        read.map(rules::first_after).max().unwrap_or(0)
    }
}

/// Whether a window's code or token was right all the time from the request to its answer.
fn is_open(window: u64, from: Timestamp, until: Timestamp, ends_at: fn(u64) -> Timestamp) -> bool {
    rules::opens_at(window) <= from && until < ends_at(window)
}

fn windows_of_tokens(request: &Request, reply: &Reply) -> impl Iterator<Item = u64> {
    let oldest = rules::window_at(request.sent_at - rules::LINK_TTL);
    oldest.saturating_sub(1)..=rules::window_at(reply.at) + 2
}

/// Whether the code was judged: compared, or answered like a wrong one.
fn is_judged(reply: &Reply) -> bool {
    reply.status == 200 || (reply.status == 422 && reply.problem == "wrong-code")
}
