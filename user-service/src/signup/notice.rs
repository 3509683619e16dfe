//! Registrations with the address of a verified account.
//!
//! Nobody must learn that the account exists, so they have everything that a pending registration has (a window,
//! mails, a cool-down, codes with a budget of attempts) except a code that is right. The owner gets one mail, a
//! notice, when the window begins.

use super::{
    attempts::Attempts,
    later,
    pending::{Person, Rules},
};
use jiff::Timestamp;
use shared::event::AccountExists;

/// What a pending registration would have, had one begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Number of the window.
    pub(crate) window: u64,
    /// When the window began and the owner got the notice.
    pub(crate) window_started_at: Timestamp,
    /// Which code it would be.
    pub(crate) generation: u32,
    /// Which mail it would be.
    pub(crate) send: u32,
    /// When that mail would have been sent.
    pub(crate) sent_at: Timestamp,
    /// When that code would expire.
    pub(crate) expires_at: Timestamp,
    /// Who registered.
    pub(crate) person: Person,
}

impl Notice {
    /// The window that a registration at `now` belongs to: the known one, or a new one.
    pub(super) fn window(known: Option<&Self>, now: Timestamp, rules: &Rules) -> (u64, Timestamp) {
        match known.filter(|known| now < later(known.window_started_at, rules.window)) {
            Some(known) => (known.window, known.window_started_at),
            None => (rules.window_number(now), now),
        }
    }

    /// Takes in the next event in the order of its partition, in which the attempts are as well.
    ///
    /// `first_generation` is the code to begin with in a new window.
    pub(super) fn next(
        known: Option<Self>,
        event: AccountExists,
        attempts: &Attempts,
        first_generation: u32,
        rules: &Rules,
    ) -> Self {
        let (now, person) = (event.occurred_at, person(event.clone()));
        let expires_at = later(now, rules.code_ttl).min(later(event.window_started_at, rules.window));
        match known {
            Some(known) if known.window > event.window => known,
            Some(known) if known.window == event.window => {
                if now < later(known.sent_at, rules.resend_cooldown) || known.send >= rules.max_sends {
                    return known;
                }
                let used_up = attempts.at(known.window, known.generation) >= rules.code_attempts;
                let generation = known.generation.saturating_add(u32::from(used_up));
                Self {
                    generation,
                    send: known.send.saturating_add(1),
                    sent_at: now,
                    expires_at,
                    person,
                    ..known
                }
            }
            _ => Self {
                window: event.window,
                window_started_at: event.window_started_at,
                generation: first_generation,
                send: 1,
                sent_at: now,
                expires_at,
                person,
            },
        }
    }
}

fn person(event: AccountExists) -> Person {
    Person {
        first_name: event.first_name,
        last_name: event.last_name,
        email: event.email,
        locale: event.locale,
    }
}
