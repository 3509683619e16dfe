//! What the log says of accounts, by nothing but the order of its records: a model of its own, which shares no code with the user
//! service. Of each fact it has the place in the log, so that it can say what follows for a replica that has read so far.

use super::read::Read;
use contract::{
    account_id::AccountId,
    email_address::EmailAddress,
    event::{Attempt, Event, EventId, Mailing, Registered},
    registration_id::RegistrationId,
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use user_service::Rules;

/// A process of a user service: its number, and which one of them.
pub(super) type Process = (usize, u64);

/// All accounts and registrations.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    accounts: BTreeMap<AccountId, Account>,
    registrations: BTreeMap<RegistrationId, Registration>,
    /// The accounts of the spellings with a tag of one mailbox.
    tagged: HashMap<String, Vec<AccountId>>,
}

/// A registration that is in the log.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) event: Registered,
    pub(super) offset: i64,
}

/// One account. The records of an account are all in one partition of each topic.
#[derive(Debug, Default)]
pub(super) struct Account {
    places: Vec<Place>,
    of_registrations: HashMap<RegistrationId, Guesses>,
    of_windows: HashMap<u64, Guesses>,
    milestones: Vec<(i64, Milestone)>,
}

/// A place of the schedule as a record names it.
#[derive(Debug)]
struct Place {
    window: u64,
    send: u32,
    at: Timestamp,
    registration: RegistrationId,
    by: Process,
    /// Its process has decided to take it: until the request has ended that counts for it.
    takes: bool,
    /// The process has given it back.
    given_back: bool,
    /// The process has its ack.
    acked: bool,
    /// Where its record stands, and since when, if it is written.
    offset: Option<i64>,
    written_at: Duration,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Milestone {
    Verified(Timestamp),
    Forgotten(Timestamp),
}

/// What a replica knows of the places of a window.
struct Known {
    window: u64,
    send: u32,
    at: Timestamp,
    in_log: bool,
}

/// What a request to register leads to.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) mailing: Mailing,
    pub(super) window: u64,
    pub(super) send: u32,
    /// The place is a new one.
    pub(super) takes: bool,
}

impl Accounts {
    pub(super) fn registration(&self, id: RegistrationId) -> Option<&Registration> {
        self.registrations.get(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = AccountId> {
        self.accounts.keys().copied()
    }

    pub(super) fn registrations(&self) -> impl Iterator<Item = RegistrationId> {
        self.registrations.keys().copied()
    }

    pub(super) fn of(&mut self, id: AccountId) -> &mut Account {
        self.accounts.entry(id).or_default()
    }

    /// A process publishes a registration: the place that it takes counts for it from here on.
    pub(super) fn decided(&mut self, event: &Registered, takes: bool, by: Process) {
        if let Some(mailbox) = event.email.tagged_mailbox() {
            let spellings = self.tagged.entry(mailbox).or_default();
            if !spellings.contains(&event.id) {
                spellings.push(event.id);
            }
        }
        let (window, send, at, registration) =
            (event.window, event.send, event.occurred_at, event.registration);
        let account = self.of(event.id);
        if send > 0 {
            account.places.retain(|place| place.window + 4 > window);
            account.places.push(Place {
                window,
                send,
                at,
                registration,
                by,
                takes,
                given_back: false,
                acked: false,
                offset: None,
                written_at: Duration::ZERO,
            });
        }
    }

    /// Its request has ended with an ack, or without one, so that the place is given back.
    pub(super) fn ended(&mut self, account: AccountId, registration: RegistrationId, acked: bool) {
        let places = self.of(account).places.iter_mut();
        for place in places.filter(|place| place.registration == registration) {
            (place.acked, place.given_back) = (acked, !acked);
        }
    }

    /// A record of the topics of the user services that all readers accept is written.
    pub(super) fn written(
        &mut self,
        event: &Event,
        (offset, stamped_at): (i64, Timestamp),
        rules: &Rules,
        now: Duration,
    ) {
        let account = self.of(event.account_id());
        match event {
            Event::Registered(_, event) => {
                let place = account.places.iter_mut().find(|place| place.registration == event.registration);
                if let Some(place) = place.filter(|place| place.offset.is_none()) {
                    (place.offset, place.written_at) = (Some(offset), now);
                }
                self.registrations
                    .entry(event.registration)
                    .or_insert(Registration { event: event.clone(), offset });
            }
            Event::Attempt(attempt) => account.count(attempt, offset, rules),
            Event::Verified(event) => {
                let at = event.occurred_at.max(stamped_at - rules.max_clock_skew - rules.publish_timeout);
                account.milestones.push((offset, Milestone::Verified(at)));
            }
        }
    }

    pub(super) fn forgotten(&mut self, account: AccountId, offset: i64, stamped_at: Timestamp) {
        self.of(account).milestones.push((offset, Milestone::Forgotten(stamped_at)));
    }

    /// An account was verified before the run: nobody knows any more when.
    pub(super) fn verified_long_ago(&mut self, account: AccountId, offset: i64) {
        self.of(account).milestones.push((offset, Milestone::Verified(Timestamp::MIN)));
    }

    /// What a replica decides on that has read so far, at `now` by its clock.
    pub(super) fn decide(
        &self,
        (id, email): (AccountId, &EmailAddress),
        now: Timestamp,
        by: Process,
        read: &Read<'_>,
        rules: &Rules,
    ) -> Decision {
        let none = Account::default();
        let account = self.accounts.get(&id).unwrap_or(&none);
        let first = account.first_window(read.verified(id), rules);
        let window = window_at(now, rules).max(first);
        let known = account.known(by, read.created(id), now, rules);
        let of_window = || known.iter().filter(|place| place.window == window);
        let last = of_window().map(|place| place.send).max().unwrap_or(0);
        let last_at = known.iter().filter(|place| place.window >= first).map(|place| place.at).max();
        if last_at.is_some_and(|at| now < at + pause_after(last, rules)) {
            let in_log = of_window().filter(|place| place.in_log).map(|place| place.send).max();
            let send = in_log.unwrap_or(0);
            return Decision { mailing: Mailing::Nothing, window, send, takes: false };
        }
        let spellings = email.tagged_mailbox().and_then(|mailbox| self.tagged.get(&mailbox));
        let tagged: usize = spellings
            .into_iter()
            .flatten()
            .filter_map(|id| Some((id, self.accounts.get(id)?)))
            .map(|(id, account)| {
                let known = account.known(by, read.created(*id), now, rules);
                known.iter().filter(|place| place.window == window).count()
            })
            .sum();
        let is_over = email.tagged_mailbox().is_some()
            && u32::try_from(tagged).is_ok_and(|tagged| tagged >= rules.max_tagged_mails);
        let is_verified = account.is_verified(read.verified(id));
        let mailing = match (is_over, is_verified, last) {
            (true, ..) | (_, true, 1..) => Mailing::Nothing,
            (_, true, 0) => Mailing::Notice,
            (_, _, 0) => Mailing::FirstCode,
            _ => Mailing::FurtherCode,
        };
        Decision { mailing, window, send: last + 1, takes: true }
    }
}

impl Account {
    /// What a process knows of places in the windows that count: of two records of one place the earlier time holds, and that of its own
    /// decision only while it knows of no record.
    fn known(&self, by: Process, end: i64, now: Timestamp, rules: &Rules) -> Vec<Known> {
        let mut known: Vec<Known> = Vec::new();
        let clock = window_at(now, rules);
        let counts = |place: &&Place| place.window + 1 >= clock && place.window <= clock + 2;
        for place in self.places.iter().filter(counts) {
            let is_own = place.by == by && place.takes && !place.given_back;
            let in_log = place.offset.is_some_and(|offset| offset < end) || (place.by == by && place.acked);
            if !in_log && !is_own {
                continue;
            }
            let same = |known: &&mut Known| known.window == place.window && known.send == place.send;
            match known.iter_mut().find(same) {
                Some(known) => {
                    let replaces = in_log && !known.in_log;
                    if replaces || (in_log == known.in_log && place.at < known.at) {
                        known.at = place.at;
                    }
                    known.in_log |= in_log;
                }
                None => known.push(Known { window: place.window, send: place.send, at: place.at, in_log }),
            }
        }
        known
    }

    /// Whether a place stands behind what was read and was written before this moment.
    pub(super) fn has_unread(&self, end: i64, before: Duration) -> bool {
        let is_unread = |place: &Place| place.offset.is_some_and(|offset| offset >= end);
        self.places.iter().any(|place| is_unread(place) && place.written_at < before)
    }

    /// Milestones before this offset.
    fn milestones(&self, end: i64) -> impl DoubleEndedIterator<Item = Milestone> {
        self.milestones.iter().filter(move |(offset, _)| *offset < end).map(|(_, milestone)| *milestone)
    }

    /// Its tombstones before this offset.
    pub(super) fn tombstones(&self, end: i64) -> impl Iterator<Item = Timestamp> {
        self.milestones(end).filter_map(|milestone| match milestone {
            Milestone::Forgotten(at) => Some(at),
            Milestone::Verified(_) => None,
        })
    }

    /// Its verifications before this offset.
    pub(super) fn verifications(&self, end: i64) -> impl Iterator<Item = Timestamp> {
        self.milestones(end).filter_map(|milestone| match milestone {
            Milestone::Verified(at) => Some(at),
            Milestone::Forgotten(_) => None,
        })
    }

    pub(super) fn is_verified(&self, end: i64) -> bool {
        matches!(self.milestones(end).next_back(), Some(Milestone::Verified(_)))
    }

    /// Whether it was verified at this point of the log and no tombstone came since.
    pub(super) fn stays_verified_since(&self, end: i64) -> bool {
        let is_forgotten = |(offset, milestone): &(i64, Milestone)| {
            *offset >= end && matches!(milestone, Milestone::Forgotten(_))
        };
        self.is_verified(end) && !self.milestones.iter().any(is_forgotten)
    }

    /// Its first window for a replica that has read so far.
    pub(super) fn first_window(&self, end: i64, rules: &Rules) -> u64 {
        let newest = self.tombstones(end).max();
        newest.map_or(0, |at| window_at(at + rules.max_clock_skew, rules) + 1)
    }

    /// The guesses of a registration that count, in their order.
    pub(super) fn guesses(&self, registration: RegistrationId, end: i64) -> Vec<EventId> {
        before(self.of_registrations.get(&registration), end)
    }

    /// The guesses that are compared with the code of a window.
    pub(super) fn compared(&self, window: u64, end: i64) -> Vec<EventId> {
        before(self.of_windows.get(&window), end)
    }

    /// A guess takes the next place among those of its registration, and in each window that its record names.
    fn count(&mut self, attempt: &Attempt, offset: i64, rules: &Rules) {
        let guess = (offset, attempt.event_id);
        if take(self.of_registrations.entry(attempt.registration).or_default(), guess, rules.code_attempts) {
            for window in &attempt.windows {
                take(self.of_windows.entry(*window).or_default(), guess, rules.window_attempts);
            }
        }
    }
}

/// Guesses in their order, with the offset of the record that gave each its place.
type Guesses = Vec<(i64, EventId)>;

/// Gives a guess the next place, unless it has one, and answers whether it has one now.
fn take(guesses: &mut Guesses, guess: (i64, EventId), budget: u32) -> bool {
    let has_one = |guesses: &Guesses| guesses.iter().any(|(_, known)| *known == guess.1);
    if !has_one(guesses) && u32::try_from(guesses.len()).is_ok_and(|taken| taken < budget) {
        guesses.push(guess);
    }
    has_one(guesses)
}

fn before(guesses: Option<&Guesses>, end: i64) -> Vec<EventId> {
    guesses.into_iter().flatten().filter(|(offset, _)| *offset < end).map(|(_, guess)| *guess).collect()
}

/// The window that a moment is in.
pub(super) fn window_at(moment: Timestamp, rules: &Rules) -> u64 {
    moment.as_millisecond().unsigned_abs() / millis(rules.window)
}

/// When a window begins.
pub(super) fn begin(window: u64, rules: &Rules) -> Timestamp {
    let milliseconds = i64::try_from(window * millis(rules.window)).unwrap_or_default();
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

/// From when until when the code of a window is right for an account whose windows begin with `first`; `None`: never.
pub(super) fn code_is_right(window: u64, first: u64, rules: &Rules) -> Option<(Timestamp, Timestamp)> {
    is_right(window, first, rules.code_ttl, rules)
}

/// The same for the token in its link.
pub(super) fn token_is_right(window: u64, first: u64, rules: &Rules) -> Option<(Timestamp, Timestamp)> {
    is_right(window, first, rules.link_ttl, rules)
}

fn is_right(window: u64, first: u64, lasts: Duration, rules: &Rules) -> Option<(Timestamp, Timestamp)> {
    let from = if window == first { Timestamp::MIN } else { begin(window, rules) - rules.max_clock_skew };
    (window >= first).then(|| (from, begin(window + 1, rules) + lasts))
}

fn pause_after(send: u32, rules: &Rules) -> Duration {
    rules.resend_cooldown * 2_u32.pow(send.saturating_sub(1).min(20))
}

/// When another mail can be asked for with a registration.
pub(super) fn resend_at(event: &Registered, rules: &Rules) -> Timestamp {
    event.occurred_at + SignedDuration::try_from(pause_after(event.resends + 1, rules)).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
