//! One registration: what the log says of it, and what may happen next.
//!
//! Pure rules: no I/O, no clock, no randomness; `now` is an argument. Merging is commutative, associative and
//! idempotent, because across topics there is no order: the greatest (window, generation, send) wins.

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

/// Attempts that the log has handed out for the newest code they were made at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attempts {
    window: u64,
    generation: u32,
    count: u32,
}

/// Registrations with the address of a verified account: nothing is verified, but everything looks as if.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Number of the window.
    pub(crate) window: u64,
    /// When the notice was mailed.
    pub(crate) window_started_at: Timestamp,
    /// When somebody last registered with the address.
    pub(crate) repeated_at: Timestamp,
}

/// All that the log of the last window says of one id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Registration {
    pending: Option<Pending>,
    attempts: Attempts,
    notice: Option<Notice>,
    forgotten_at: Option<Timestamp>,
}

/// What an accepted registration leads to: exactly one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// The first mail of a new window.
    Create(Pending),
    /// A further mail of the current window.
    Resend(Pending),
    /// Nothing is mailed; the registration stays as it is.
    Repeat(Pending),
    /// The account is verified; the owner gets a notice if this began its window.
    Exists(Notice),
}

/// Where a code of this id stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Nothing is known of the id.
    Unknown,
    /// There was a code, and its time is over.
    Expired,
    /// An attempt may be made. Without a pending registration every code is wrong, but counts as any other.
    Open {
        /// Number of the window.
        window: u64,
        /// Which code of the window.
        generation: u32,
        /// What the right code leads to.
        pending: Option<Pending>,
    },
}

impl Rules {
    fn window_number(&self, started_at: Timestamp) -> u64 {
        let milliseconds = u128::try_from(started_at.as_millisecond()).unwrap_or(0);
        u64::try_from(milliseconds / self.window.as_millis().max(1)).unwrap_or(u64::MAX)
    }
}

impl Pending {
    /// The first mail of a window. After an account was forgotten, a second window may begin under the same number:
    /// a new generation keeps its code, its attempts and its events apart from the old ones.
    fn created(forgotten: Option<&Self>, person: Person, key: KeyId, now: Timestamp, rules: &Rules) -> Self {
        let window = rules.window_number(now);
        Self {
            window,
            generation: forgotten.filter(|old| old.window == window).map_or(0, |old| old.generation + 1),
            send: 1,
            sent_at: now,
            window_started_at: now,
            expires_at: now + rules.code_ttl.min(rules.window),
            key,
            person,
        }
    }

    /// The next mail: the same code, unless its attempts are used up; prolonged, but not beyond the window.
    fn resent(&self, person: Person, current: &KeyId, attempts: u32, now: Timestamp, rules: &Rules) -> Self {
        let used_up = attempts >= rules.code_attempts;
        Self {
            generation: self.generation + u32::from(used_up),
            send: self.send + 1,
            sent_at: now,
            expires_at: (now + rules.code_ttl).min(self.window_started_at + rules.window),
            key: if used_up { current.clone() } else { self.key.clone() },
            person,
            ..self.clone()
        }
    }

    /// Of two facts about one id the newer; of two writings of the same fact the earlier.
    fn newer(self, other: Self) -> Self {
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

impl Notice {
    fn newer(self, other: Self) -> Self {
        match self.window.cmp(&other.window) {
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Equal => Self {
                window: self.window,
                window_started_at: self.window_started_at.min(other.window_started_at),
                repeated_at: self.repeated_at.max(other.repeated_at),
            },
        }
    }
}

impl Registration {
    /// Decides what an accepted registration leads to.
    #[must_use]
    pub(crate) fn register(
        &self,
        verified: bool,
        person: Person,
        current: &KeyId,
        now: Timestamp,
        rules: &Rules,
    ) -> Next {
        if verified {
            return Next::Exists(self.repeated_notice(now, rules));
        }
        let Some(pending) = self.pending().filter(|pending| now < pending.window_started_at + rules.window)
        else {
            return Next::Create(Pending::created(
                self.pending.as_ref(),
                person,
                current.clone(),
                now,
                rules,
            ));
        };
        if now < pending.sent_at + rules.resend_cooldown || pending.send >= rules.max_sends {
            return Next::Repeat(Pending { person, ..pending.clone() });
        }
        let attempts = self.attempts(pending.window, pending.generation);
        Next::Resend(pending.resent(person, current, attempts, now, rules))
    }

    /// Says where a code of this id stands.
    #[must_use]
    pub(crate) fn challenge(&self, now: Timestamp, rules: &Rules) -> Challenge {
        if let Some(pending) = self.pending().filter(|pending| now < pending.expires_at) {
            let (window, generation) = (pending.window, pending.generation);
            return Challenge::Open { window, generation, pending: Some(pending.clone()) };
        }
        match self.notice {
            Some(notice) if now < notice.repeated_at + rules.code_ttl => {
                Challenge::Open { window: notice.window, generation: 0, pending: None }
            }
            None if self.pending().is_none() => Challenge::Unknown,
            _ => Challenge::Expired,
        }
    }

    /// Takes in a mail of a code.
    #[must_use]
    pub(crate) fn with_pending(mut self, pending: Pending) -> Self {
        self.pending = Some(match self.pending.take() {
            Some(known) => known.newer(pending),
            None => pending,
        });
        self
    }

    /// Takes in a registration of a verified account.
    #[must_use]
    pub(crate) fn with_notice(mut self, notice: Notice) -> Self {
        self.notice = Some(self.notice.map_or(notice, |known| known.newer(notice)));
        self
    }

    /// Takes in that the account was forgotten; windows that began before are void.
    #[must_use]
    pub(crate) fn with_forgotten(mut self, at: Timestamp) -> Self {
        self.forgotten_at = self.forgotten_at.max(Some(at));
        self
    }

    /// Takes in the next attempt in the order of the log, and answers its rank from 1.
    ///
    /// Attempts at an older code than the newest one tried are beyond every budget: a newer code exists only
    /// because theirs was used up or has ended.
    #[must_use]
    pub(crate) fn with_attempt(mut self, window: u64, generation: u32) -> (Self, u32) {
        let known = &mut self.attempts;
        match (window, generation).cmp(&(known.window, known.generation)) {
            std::cmp::Ordering::Less => return (self, u32::MAX),
            std::cmp::Ordering::Equal => known.count = known.count.saturating_add(1),
            std::cmp::Ordering::Greater => *known = Attempts { window, generation, count: 1 },
        }
        let rank = known.count;
        (self, rank)
    }

    /// How many attempts the log has handed out for this code.
    #[must_use]
    pub(crate) fn attempts(&self, window: u64, generation: u32) -> u32 {
        let known = &self.attempts;
        match (window, generation).cmp(&(known.window, known.generation)) {
            std::cmp::Ordering::Less => u32::MAX,
            std::cmp::Ordering::Equal => known.count,
            std::cmp::Ordering::Greater => 0,
        }
    }

    fn pending(&self) -> Option<&Pending> {
        let valid = |pending: &&Pending| self.forgotten_at.is_none_or(|at| pending.window_started_at > at);
        self.pending.as_ref().filter(valid)
    }

    fn repeated_notice(&self, now: Timestamp, rules: &Rules) -> Notice {
        match self.notice.filter(|notice| now < notice.window_started_at + rules.window) {
            Some(notice) => Notice { repeated_at: now, ..notice },
            None => Notice { window: rules.window_number(now), window_started_at: now, repeated_at: now },
        }
    }
}

#[cfg(test)]
mod tests;
