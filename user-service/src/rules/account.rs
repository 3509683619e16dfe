//! The state of one account.
//!
//! Merging is a join, window by window: commutative, associative and idempotent, because records of
//! different topics come in no fixed order. Two things need the order of a partition, which is the
//! same for every replica: the places of guesses, and which of several verifications holds. Merging
//! never depends on the tombstone: data that a tombstone ended are left out when the account is read.

use super::{
    Rules, Window,
    guesses::{Guess, Guesses},
    later,
};
use contract::{event::EventId, registration_id::RegistrationId};
use jiff::Timestamp;
use smallvec::SmallVec;

/// A place in the schedule of mails. It takes sixteen octets, since there may be millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its window.
    pub(crate) window: Window,
    /// Its number in the window, from 1.
    pub(crate) send: u8,
    /// Whether a record of it was read. If not, this process has decided
    /// on it and does not know whether its record is in the log.
    pub(crate) is_in_log: bool,
    /// When it was taken, in milliseconds since 1970.
    pub(crate) taken_at: i64,
}

/// The state of one account, besides its registrations. Kept small: there may be millions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// Mostly one place.
    places: SmallVec<[Place; 1]>,
    guesses: Option<Box<Guesses>>,
    milestones: Option<Box<Milestones>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Milestones {
    /// Time of the newest tombstone.
    forgotten_at: Option<Timestamp>,
    /// Time of the verification that holds.
    verified_at: Option<Timestamp>,
}

impl Account {
    /// Takes a place; returns whether it was free. Of two records of one place the earlier time holds. The time of a decision, which
    /// may never be written, gives way to a record's.
    pub(crate) fn take(&mut self, place: Place) -> bool {
        let same = |known: &&mut Place| known.window == place.window && known.send == place.send;
        match self.places.iter_mut().find(same) {
            Some(known) => {
                let is_first_record = place.is_in_log && !known.is_in_log;
                known.taken_at =
                    if is_first_record { place.taken_at } else { known.taken_at.min(place.taken_at) };
                known.is_in_log |= place.is_in_log;
                false
            }
            None => {
                self.places.push(place);
                true
            }
        }
    }

    /// Gives back a place whose record has no ack; returns whether
    /// it is free again. It is not if a record of it has been read.
    pub(crate) fn give_back(&mut self, place: Place) -> bool {
        let before = self.places.len();
        self.places
            .retain(|known| known.is_in_log || known.window != place.window || known.send != place.send);
        self.places.len() < before
    }

    /// Counts a guess. Guesses must come in the order of the log.
    pub(crate) fn count(
        &mut self,
        guess: EventId,
        registration: RegistrationId,
        windows: &[Window],
        made_at: Timestamp,
        rules: &Rules,
    ) {
        let guesses = self.guesses.get_or_insert_default();
        guesses.count(guess, registration, windows, made_at, rules);
    }

    /// Notes a tombstone of that time. Of several the newest counts.
    pub(crate) fn forget(&mut self, at: Timestamp) {
        let milestones = self.milestones.get_or_insert_default();
        milestones.forgotten_at = milestones.forgotten_at.max(Some(at));
    }

    /// Notes a verification. They must come in the order of the log: the last one holds.
    pub(crate) fn verify(&mut self, at: Timestamp) {
        self.milestones.get_or_insert_default().verified_at = Some(at);
    }

    /// The window at which its windows begin: window 0 or, after a tombstone, a later one.
    pub(crate) fn first_window(&self, rules: &Rules) -> Window {
        let forgotten_at = self.milestones.as_ref().and_then(|milestones| milestones.forgotten_at);
        forgotten_at.map_or(Window::default(), |at| rules.first_after(at))
    }

    /// Its present window.
    pub(crate) fn window(&self, now: Timestamp, rules: &Rules) -> Window {
        rules.present(self.first_window(rules), now)
    }

    /// The highest place taken in a window, 0 if there is none.
    pub(super) fn last_send(&self, window: Window) -> u8 {
        self.places.iter().filter(|place| place.window == window).map(|place| place.send).max().unwrap_or(0)
    }

    /// The highest place of a window of which a record was read, 0 if there is none.
    pub(super) fn last_send_in_log(&self, window: Window) -> u8 {
        let places = self.places.iter().filter(|place| place.window == window && place.is_in_log);
        places.map(|place| place.send).max().unwrap_or(0)
    }

    /// When its last place was taken.
    pub(super) fn last_taken_at(&self, rules: &Rules) -> Option<Timestamp> {
        let first = self.first_window(rules);
        let places = self.places.iter().filter(|place| place.window >= first);
        places.map(|place| place.taken_at).max().and_then(|time| Timestamp::from_millisecond(time).ok())
    }

    /// When the first place was taken in its present window or, if that has none, in the newest window before.
    pub(crate) fn first_mail_at(&self, now: Timestamp, rules: &Rules) -> Option<Timestamp> {
        let present = self.window(now, rules);
        let newest =
            self.places.iter().map(|place| place.window).filter(|window| *window <= present).max()?;
        let places = self.places.iter().filter(|place| place.window == newest);
        places.map(|place| place.taken_at).min().and_then(|time| Timestamp::from_millisecond(time).ok())
    }

    /// Whether a proof can be right with a registration of that time. No proof is right if the account was forgotten
    /// after that time. Once the account is verified, none is right if the registration was made later, by more than
    /// the skew. A verification whose time is no longer known counts as earlier than every registration.
    pub(crate) fn can_be_proved(&self, registered_at: Timestamp, is_verified: bool, rules: &Rules) -> bool {
        let Milestones { forgotten_at, verified_at } =
            self.milestones.as_deref().copied().unwrap_or_default();
        let is_later = |verified_at| registered_at > later(verified_at, rules.max_clock_skew);
        let is_forgotten = forgotten_at.is_some_and(|at| registered_at < at);
        !(is_forgotten || is_verified && verified_at.is_none_or(is_later))
    }

    /// The windows whose codes are right: one or two.
    pub(crate) fn windows_of_codes(&self, now: Timestamp, rules: &Rules) -> impl Iterator<Item = Window> {
        self.codes(now, rules).filter(|(_, is_right)| *is_right).map(|(window, _)| window)
    }

    /// The windows around now, each with whether its code is right.
    pub(crate) fn codes(&self, now: Timestamp, rules: &Rules) -> impl Iterator<Item = (Window, bool)> {
        rules.codes(self.first_window(rules), now)
    }

    /// The windows around now and before, each with whether its token is right.
    pub(crate) fn tokens(&self, now: Timestamp, rules: &Rules) -> impl Iterator<Item = (Window, bool)> {
        rules.tokens(self.first_window(rules), now)
    }

    /// The guess, if it has a place among those of its registration.
    pub(crate) fn guess(&self, guess: EventId, registration: RegistrationId) -> Option<Guess> {
        self.guesses.as_ref()?.find(guess, registration)
    }

    /// How many guesses of a registration count.
    pub(crate) fn guesses_with(&self, registration: RegistrationId) -> u32 {
        self.guesses.as_ref().map_or(0, |guesses| guesses.with(registration))
    }

    /// How many guesses have a place in a window.
    pub(crate) fn guesses_in(&self, window: Window) -> u32 {
        self.guesses.as_ref().map_or(0, |guesses| guesses.in_window(window))
    }

    /// Removes expired data, guesses only if told so; returns whether anything is left.
    pub(crate) fn tidy(&mut self, now: Timestamp, with_guesses: bool, rules: &Rules) -> bool {
        let oldest = *rules.held(now).start();
        self.places.retain(|place| place.window >= oldest);
        if with_guesses && self.guesses.as_mut().is_some_and(|guesses| !guesses.tidy(now, oldest, rules)) {
            self.guesses = None;
        }
        let is_over = |at: Option<Timestamp>| at.is_none_or(|at| later(at, rules.milestone_life()) <= now);
        if self.milestones.as_ref().is_some_and(|it| is_over(it.forgotten_at) && is_over(it.verified_at)) {
            self.milestones = None;
        }
        !self.places.is_empty() || self.guesses.is_some() || self.milestones.is_some()
    }
}

impl Account {
    /// All that counts now, in an order that does not depend on the order of reading: for tests and the simulator.
    pub(crate) fn in_fixed_order(
        &self,
        now: Timestamp,
        rules: &Rules,
        is_alive: &dyn Fn(RegistrationId) -> bool,
    ) -> impl PartialEq + std::fmt::Debug + use<> {
        let milestones = self.milestones.as_deref().copied().unwrap_or_default();
        let counts = |at: &Timestamp| now < later(*at, rules.milestone_life());
        let held = self.places.iter().filter(|place| rules.held(now).contains(&place.window));
        let mut places: Vec<_> = held.map(|it| (it.window, it.send, it.taken_at)).collect();
        places.sort_unstable();
        let guesses = self.guesses.as_ref().map(|guesses| guesses.in_fixed_order(now, rules, is_alive));
        (
            places,
            guesses.unwrap_or_default(),
            milestones.forgotten_at.filter(counts),
            milestones.verified_at.filter(counts),
        )
    }
}
