//! A registration that waits for its code: what its newest mail said, and what the next one would say.
//!
//! Pure rules: no I/O, no clock, no randomness; `now` is an argument.

use super::later;
use jiff::Timestamp;
use shared::{
    code_secrets::KeyId, email_address::EmailAddress, event::CodeIssued, locale::Locale,
    person_name::PersonName,
};
use std::{cmp::Reverse, time::Duration};

/// The numbers of the flow, from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Life of a code from its last mail; at most `window`.
    pub code_ttl: Duration,
    /// Comparisons that each code stands.
    pub code_attempts: u32,
    /// Least time between two mails to an address.
    pub resend_cooldown: Duration,
    /// Mails of one window.
    pub max_sends: u32,
    /// Begins with the first mail and lasts this long, whatever resends do.
    pub window: Duration,
}

/// Who registers, as of one request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person {
    /// As given.
    pub(crate) first_name: PersonName,
    /// As given.
    pub(crate) last_name: PersonName,
    /// As given, with an ASCII domain.
    pub(crate) email: EmailAddress,
    /// From the request's field or header.
    pub(crate) locale: Locale,
}

/// A registration that waits for its code: what its newest mail said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pending {
    /// Number of the window.
    pub(crate) window: u64,
    /// Which code of the window, from 0.
    pub(crate) generation: u32,
    /// Which mail of the window, from 1.
    pub(crate) send: u32,
    /// When that mail was asked for.
    pub(crate) sent_at: Timestamp,
    /// When the first mail of the window was asked for.
    pub(crate) window_started_at: Timestamp,
    /// When the code stops being accepted.
    pub(crate) expires_at: Timestamp,
    /// The key that the code is derived with.
    pub(crate) key: KeyId,
    /// Who registered.
    pub(crate) person: Person,
}

impl Rules {
    pub(super) fn window_number(&self, started_at: Timestamp) -> u64 {
        window_number(started_at, self.window)
    }
}

/// The number of the window of this length that begins at a moment.
pub(super) fn window_number(started_at: Timestamp, window: Duration) -> u64 {
    let milliseconds = u128::try_from(started_at.as_millisecond()).unwrap_or(0);
    let number = milliseconds.checked_div(window.as_millis()).unwrap_or(milliseconds);
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Pending {
    /// The first mail of a window. After an account was forgotten, a second window may begin under the same number:
    /// a new generation keeps its code, its attempts and its events apart from the old ones.
    pub(super) fn created(
        forgotten: Option<&Self>,
        person: Person,
        key: KeyId,
        now: Timestamp,
        rules: &Rules,
    ) -> Self {
        let window = rules.window_number(now);
        Self {
            window,
            generation: forgotten
                .filter(|old| old.window == window)
                .map_or(0, |old| old.generation.saturating_add(1)),
            send: 1,
            sent_at: now,
            window_started_at: now,
            expires_at: later(now, rules.code_ttl.min(rules.window)),
            key,
            person,
        }
    }

    /// The next mail: the same code, unless its attempts are used up; prolonged, but not beyond the window.
    pub(super) fn resent(
        &self,
        person: Person,
        current: &KeyId,
        attempts: u32,
        now: Timestamp,
        rules: &Rules,
    ) -> Self {
        let used_up = attempts >= rules.code_attempts;
        Self {
            generation: self.generation.saturating_add(u32::from(used_up)),
            send: self.send.saturating_add(1),
            sent_at: now,
            expires_at: later(now, rules.code_ttl).min(later(self.window_started_at, rules.window)),
            key: if used_up { current.clone() } else { self.key.clone() },
            person,
            ..self.clone()
        }
    }

    /// Of two facts about one id the newer; of two writings of the same fact the earlier.
    pub(super) fn newer(self, other: Self) -> Self {
        let order = |it: &Self| (it.window, it.generation, it.send, Reverse(it.sent_at));
        // Equal in all of that means written twice in one millisecond: any fixed choice will do.
        if order(&self).cmp(&order(&other)).then_with(|| self.cmp(&other)).is_ge() { self } else { other }
    }
}

impl From<CodeIssued> for Pending {
    fn from(event: CodeIssued) -> Self {
        Self {
            window: event.window,
            generation: event.generation,
            send: event.send,
            sent_at: event.occurred_at,
            window_started_at: event.window_started_at,
            expires_at: event.expires_at,
            key: event.key,
            person: Person {
                first_name: event.first_name,
                last_name: event.last_name,
                email: event.email,
                locale: event.locale,
            },
        }
    }
}
