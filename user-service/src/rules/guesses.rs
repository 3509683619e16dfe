//! The places of guesses. The order of the log hands them out, so they are equal at every replica.
//!
//! A guess is one code that is tried with one registration. However often its record is written,
//! it has one place among the guesses of its registration, and one in each window that a record of
//! it names. The first decides whether the guess counts, the others whether it is compared with
//! the code of that window. A guess without a place is beyond the budget and takes no memory.

use super::{Rules, Window, later};
use contract::{event::EventId, registration_id::RegistrationId};
use jiff::Timestamp;
use std::collections::HashMap;

/// The guesses at the codes of one account, in the order of the log.
#[derive(Debug, Clone, Default)]
pub(super) struct Guesses {
    of_registrations: HashMap<RegistrationId, OfRegistration>,
    of_windows: Vec<(Window, Vec<EventId>)>,
}

#[derive(Debug, Clone)]
struct OfRegistration {
    guesses: Vec<EventId>,
    /// When the last one was made.
    made_at: Timestamp,
}

/// A guess that has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guess {
    /// The windows with whose codes it is compared, while those codes are right.
    pub(crate) compared_with: Vec<Window>,
    /// How many guesses of its registration count by now.
    pub(crate) made: u32,
}

impl Guesses {
    pub(super) fn count(
        &mut self,
        guess: EventId,
        registration: RegistrationId,
        windows: &[Window],
        made_at: Timestamp,
        rules: &Rules,
    ) {
        let of_registration = self
            .of_registrations
            .entry(registration)
            .or_insert_with(|| OfRegistration { guesses: Vec::new(), made_at });
        of_registration.made_at = of_registration.made_at.max(made_at);
        if !take(&mut of_registration.guesses, guess, rules.code_attempts) {
            return;
        }
        for window in windows {
            let known = self.of_windows.iter().position(|(known, _)| known == window);
            let at = known.unwrap_or_else(|| {
                self.of_windows.push((*window, Vec::new()));
                self.of_windows.len().saturating_sub(1)
            });
            if let Some((_, guesses)) = self.of_windows.get_mut(at) {
                take(guesses, guess, rules.window_attempts);
            }
        }
    }

    pub(super) fn find(&self, guess: EventId, registration: RegistrationId) -> Option<Guess> {
        if !self.of_registrations.get(&registration)?.guesses.contains(&guess) {
            return None;
        }
        let compared = self.of_windows.iter().filter(|(_, guesses)| guesses.contains(&guess));
        let compared_with = compared.map(|(window, _)| *window).collect();
        Some(Guess { compared_with, made: self.with(registration) })
    }

    pub(super) fn with(&self, registration: RegistrationId) -> u32 {
        let guesses = self.of_registrations.get(&registration).map_or(0, |it| it.guesses.len());
        u32::try_from(guesses).unwrap_or(u32::MAX)
    }

    pub(super) fn in_window(&self, window: Window) -> u32 {
        let guesses = self.of_windows.iter().find(|(known, _)| *known == window);
        u32::try_from(guesses.map_or(0, |(_, guesses)| guesses.len())).unwrap_or(u32::MAX)
    }

    /// Removes the guesses of registrations and windows that are over; returns whether any are left.
    pub(super) fn tidy(&mut self, now: Timestamp, oldest: Window, rules: &Rules) -> bool {
        // A registration is older than its guesses, unless clocks differ.
        let life = rules.link_ttl.saturating_add(rules.max_clock_skew);
        self.of_registrations.retain(|_, it| now < later(it.made_at, life));
        self.of_windows.retain(|(window, _)| *window >= oldest);
        !self.of_registrations.is_empty() || !self.of_windows.is_empty()
    }
}

/// Gives a guess the next place if it has none and the budget has one; returns whether it has a place now.
fn take(guesses: &mut Vec<EventId>, guess: EventId, budget: u32) -> bool {
    if guesses.contains(&guess) {
        return true;
    }
    let is_free = u32::try_from(guesses.len()).is_ok_and(|taken| taken < budget);
    if is_free {
        guesses.push(guess);
    }
    is_free
}

impl Guesses {
    /// All that counts now, for tests and the simulator: guesses of registrations that are alive, and of windows whose codes may be right.
    pub(super) fn in_fixed_order(
        &self,
        now: Timestamp,
        rules: &Rules,
        is_alive: &dyn Fn(RegistrationId) -> bool,
    ) -> Vec<(Vec<u8>, Vec<EventId>)> {
        let alive = self.of_registrations.iter().filter(|(id, _)| is_alive(**id));
        let registrations = alive.map(|(id, it)| (id.as_bytes().to_vec(), it.guesses.clone()));
        let held = self.of_windows.iter().filter(|(window, _)| rules.held(now).contains(window));
        let windows = held.map(|(window, guesses)| (window.number().to_be_bytes().to_vec(), guesses.clone()));
        let mut all: Vec<_> = registrations.chain(windows).collect();
        all.sort_unstable();
        all
    }
}
