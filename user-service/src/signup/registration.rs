//! All that the log of the last window says of one id, and what may happen next.
//!
//! Pure rules. Taking in what comes from several topics is commutative, associative and idempotent, because across
//! topics there is no order: the greatest (window, generation, send) wins. Attempts and notices share one topic and,
//! by their key, one partition; they are taken in its order.

use super::{
    attempts::Attempts,
    later,
    notice::Notice,
    pending::{Pending, Person, Rules},
};
use jiff::Timestamp;
use shared::{
    code_secrets::KeyId,
    event::{AccountExists, EventId},
};
use std::time::Duration;

/// What is known of one id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Registration {
    pending: Option<Pending>,
    attempts: Attempts,
    notice: Option<Box<Notice>>,
    forgotten_at: Option<Timestamp>,
}

/// What an accepted request leads to: exactly one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// The first mail of a new window.
    Create(Pending),
    /// A further mail of the current window.
    Resend(Pending),
    /// Nothing is mailed; the registration stays as it is.
    Repeat(Pending),
    /// The account is verified; the owner gets a notice if this begins the window.
    Exists {
        /// Number of the window.
        window: u64,
        /// When it began; `now`, if this begins it.
        window_started_at: Timestamp,
        /// Who registered.
        person: Person,
    },
}

/// What a request for another mail leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resend {
    /// Nothing is known of the id.
    Unknown,
    /// The code's time is over: only a new registration helps.
    Expired,
    /// In the cool-down, or after the last mail of the window.
    Wait(Duration),
    /// One more mail, whose code expires then.
    Next(Next, Timestamp),
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

impl Registration {
    /// Decides what an accepted registration leads to.
    pub(crate) fn register(
        &self,
        verified: bool,
        person: Person,
        current: &KeyId,
        now: Timestamp,
        rules: &Rules,
    ) -> Next {
        if verified {
            return self.exists(person, now, rules);
        }
        let Some(pending) =
            self.pending().filter(|pending| now < later(pending.window_started_at, rules.window))
        else {
            return Next::Create(Pending::created(
                self.pending.as_ref(),
                person,
                current.clone(),
                now,
                rules,
            ));
        };
        if now < later(pending.sent_at, rules.resend_cooldown) || pending.send >= rules.max_sends {
            return Next::Repeat(Pending { person, ..pending.clone() });
        }
        Next::Resend(pending.resent(person, current, self.attempts_at(pending), now, rules))
    }

    /// Decides what a request for another mail leads to.
    pub(crate) fn resend(&self, verified: bool, current: &KeyId, now: Timestamp, rules: &Rules) -> Resend {
        match self.challenge(now) {
            Challenge::Unknown => return Resend::Unknown,
            Challenge::Expired => return Resend::Expired,
            Challenge::Open { .. } => {}
        }
        let notice = self.notice.as_deref().filter(|_| verified);
        let (sent_at, send, window_started_at) = match (notice, self.pending()) {
            (Some(notice), _) => (notice.sent_at, notice.send, notice.window_started_at),
            (None, Some(pending)) => (pending.sent_at, pending.send, pending.window_started_at),
            (None, None) => return Resend::Unknown,
        };
        if let Some(wait) = remaining(now, later(sent_at, rules.resend_cooldown)) {
            return Resend::Wait(wait);
        }
        if send >= rules.max_sends {
            let window_ends = later(window_started_at, rules.window);
            return Resend::Wait(remaining(now, window_ends).unwrap_or(rules.resend_cooldown));
        }
        let expires_at = later(now, rules.code_ttl).min(later(window_started_at, rules.window));
        let next = match (notice, self.pending()) {
            (Some(notice), _) => self.exists(notice.person.clone(), now, rules),
            (None, Some(pending)) if verified => self.exists(pending.person.clone(), now, rules),
            (None, Some(pending)) => Next::Resend(pending.resent(
                pending.person.clone(),
                current,
                self.attempts_at(pending),
                now,
                rules,
            )),
            (None, None) => return Resend::Unknown,
        };
        Resend::Next(next, expires_at)
    }

    /// Whether there is a code to try.
    pub(crate) fn has_code(&self, now: Timestamp) -> bool {
        matches!(self.challenge(now), Challenge::Open { .. })
    }

    /// Says where a code of this id stands.
    pub(crate) fn challenge(&self, now: Timestamp) -> Challenge {
        if let Some(pending) = self.pending().filter(|pending| now < pending.expires_at) {
            let (window, generation) = (pending.window, pending.generation);
            return Challenge::Open { window, generation, pending: Some(pending.clone()) };
        }
        match self.notice.as_deref() {
            Some(notice) if now < notice.expires_at => {
                Challenge::Open { window: notice.window, generation: notice.generation, pending: None }
            }
            None if self.pending().is_none() => Challenge::Unknown,
            _ => Challenge::Expired,
        }
    }

    /// Whether the attempts at the newest code are used up, so that the next mail has a new one.
    pub(crate) fn is_used_up(&self, rules: &Rules) -> bool {
        let used_up = |(window, generation)| self.attempts(window, generation) >= rules.code_attempts;
        self.newest_code().is_some_and(used_up)
    }

    /// Window and generation. Of a verified account they are its notice's, if it has one: the code of before looks used up as
    /// soon as somebody tries that one, and who measures the time would learn that the account is verified.
    fn newest_code(&self) -> Option<(u64, u32)> {
        let notice = self.notice.as_deref().map(|notice| (notice.window, notice.generation));
        let pending = self.pending().map(|pending| (pending.window, pending.generation));
        pending.max(notice)
    }

    /// Takes in a mail of a code.
    pub(crate) fn with_pending(mut self, pending: Pending) -> Self {
        self.pending = Some(match self.pending.take() {
            Some(known) => known.newer(pending),
            None => pending,
        });
        self
    }

    /// Takes in a registration of a verified account, in the order of its partition.
    pub(crate) fn with_notice(mut self, event: AccountExists, rules: &Rules) -> Self {
        // Kept apart from the codes of a real registration under the same number.
        let real = self.pending.as_ref().filter(|pending| pending.window == event.window);
        let first_generation = real.map_or(0, |pending| pending.generation.saturating_add(1));
        let known = self.notice.take().map(|notice| *notice);
        self.notice = Some(Box::new(Notice::next(known, event, &self.attempts, first_generation, rules)));
        self
    }

    /// Takes in that the account was forgotten; windows that began before are void.
    pub(crate) fn with_forgotten(mut self, at: Timestamp) -> Self {
        self.forgotten_at = self.forgotten_at.max(Some(at));
        self.notice = self.notice.filter(|notice| notice.window_started_at > at);
        self
    }

    /// Takes in an attempt in the order of its partition, and answers its rank from 1.
    pub(crate) fn with_attempt(mut self, window: u64, generation: u32, event: EventId) -> (Self, u32) {
        let rank = self.attempts.count(window, generation, event);
        (self, rank)
    }

    /// How many attempts the log has handed out for this code.
    pub(crate) fn attempts(&self, window: u64, generation: u32) -> u32 {
        self.attempts.at(window, generation)
    }

    fn attempts_at(&self, pending: &Pending) -> u32 {
        self.attempts.at(pending.window, pending.generation)
    }

    fn pending(&self) -> Option<&Pending> {
        let valid = |pending: &&Pending| self.forgotten_at.is_none_or(|at| pending.window_started_at > at);
        self.pending.as_ref().filter(valid)
    }

    fn exists(&self, person: Person, now: Timestamp, rules: &Rules) -> Next {
        let (window, window_started_at) = Notice::window(self.notice.as_deref(), now, rules);
        Next::Exists { window, window_started_at, person }
    }
}

/// The time until then, if it lies ahead.
fn remaining(now: Timestamp, then: Timestamp) -> Option<Duration> {
    Duration::try_from(then.duration_since(now)).ok().filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests;
