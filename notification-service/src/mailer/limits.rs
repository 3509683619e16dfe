//! The server's limits: parallel sessions, and mails per session. They are learned from refusals, kept for minutes, and
//! forgotten slowly. Pure: `now` is an argument.
//!
//! Additive increase, multiplicative decrease, as in TCP: a refusal halves the number of sessions. Each round of accepted
//! mails adds one session, up to one below the refused number. That bound rises only after minutes, or while no mail is
//! accepted at all. So a server that takes three sessions gets three, with one refusal every few minutes.

use std::time::{Duration, Instant};

/// How long a learned limit lasts after the last refusal. Then one more session is tried, and the limit on mails per session
/// is forgotten.
const KEPT: Duration = Duration::from_secs(120);

/// If no mail was accepted for this time, one more session is tried. The allowed sessions may wait minutes for a slow
/// server, and all other mails would wait with them.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// The known limits of the server: parallel sessions, and mails per session.
#[derive(Debug)]
pub(super) struct Limits {
    configured: usize,
    allowed: usize,
    /// The largest number of sessions that was not refused.
    ceiling: usize,
    /// Mails accepted in this round.
    accepted: usize,
    /// The last time at which a session was refused or `ceiling` was raised.
    changed: Option<Instant>,
    /// The last time at which a mail was accepted, a session was refused, or an additional session was tried.
    moved: Option<Instant>,
    mails: Option<(u32, Instant)>,
}

impl Limits {
    pub(super) fn new(configured: usize) -> Self {
        Self {
            configured,
            allowed: configured,
            ceiling: configured,
            accepted: 0,
            changed: None,
            moved: None,
            mails: None,
        }
    }

    /// The allowed number of parallel sessions, from 1 to the configured number.
    pub(super) fn sessions(&self) -> usize {
        self.allowed
    }

    /// The server refused one of `in_use` sessions as one too many. False for a session that began before the last such
    /// refusal: it belongs to the same burst and adds nothing.
    pub(super) fn one_too_many(&mut self, in_use: usize, began: Instant, now: Instant) -> bool {
        if self.changed.is_some_and(|changed| began < changed) {
            return false;
        }
        self.ceiling = in_use.saturating_sub(1).clamp(1, self.allowed);
        self.allowed = (in_use / 2).clamp(1, self.ceiling);
        (self.accepted, self.changed, self.moved) = (0, Some(now), Some(now));
        true
    }

    /// When to try one more session because no mail was accepted ([`STALLED_AFTER`]); `None` when all are allowed.
    pub(super) fn stalled_at(&self) -> Option<Instant> {
        self.moved.filter(|_| self.allowed < self.configured).map(|moved| moved + STALLED_AFTER)
    }

    /// All allowed sessions are in use. Allows one more if they are stalled.
    pub(super) fn all_in_use(&mut self, in_use: usize, now: Instant) {
        if self.stalled_at().is_some_and(|stalled| now >= stalled) {
            self.allowed = (in_use + 1).clamp(self.allowed, self.configured);
            self.ceiling = self.ceiling.max(self.allowed);
            (self.accepted, self.moved) = (0, Some(now));
        }
    }

    /// The only session was refused, so the number of sessions is not the reason. Forgets the limits.
    pub(super) fn number_is_not_the_reason(&mut self) {
        *self = Self::new(self.configured);
    }

    /// The server accepted an email. True when one more session may begin.
    pub(super) fn accepted(&mut self, now: Instant) -> bool {
        let Some(changed) = self.changed else { return false };
        self.moved = Some(now);
        let quiet = now.saturating_duration_since(changed).as_secs() / KEPT.as_secs();
        if self.ceiling < self.configured && quiet > 0 {
            let more = usize::try_from(quiet).unwrap_or(usize::MAX);
            self.ceiling = self.ceiling.saturating_add(more).min(self.configured);
            self.changed = Some(now);
        }
        self.accepted += 1;
        let more = self.allowed < self.ceiling && self.accepted >= self.allowed;
        if more {
            (self.allowed, self.accepted) = (self.allowed + 1, 0);
        }
        more
    }

    /// The server refused another mail in a session after `mails`.
    pub(super) fn session_is_full(&mut self, mails: u32, now: Instant) {
        self.mails = Some((mails, now));
    }

    /// The known limit on mails per session.
    pub(super) fn mails_of_a_session(&self, now: Instant) -> Option<u32> {
        self.mails.filter(|(_, since)| now < *since + KEPT).map(|(mails, _)| mails)
    }

    /// The refusal of a full session had another reason. Forgets the limit.
    pub(super) fn sessions_are_not_full(&mut self) {
        self.mails = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: Duration = Duration::from_millis(200);

    /// Sends `mails` to a server that takes `limit` at a time, each for one tick. Returns the ticks and the refusals.
    fn drain(limits: &mut Limits, limit: usize, mails: usize, now: &mut Instant) -> (usize, usize) {
        let (mut left, mut ticks, mut refused) = (mails, 0, 0);
        while left > 0 {
            let (began, tried) = (*now, left.min(limits.sessions()));
            *now += TICK;
            ticks += 1;
            for place in 0..tried {
                if place < limit {
                    limits.accepted(*now);
                    left -= 1;
                } else {
                    limits.one_too_many(tried, began, *now);
                    refused += 1;
                }
            }
        }
        (ticks, refused)
    }

    #[test]
    fn a_server_that_takes_three_at_a_time_gets_three() {
        let (mut limits, mut now) = (Limits::new(16), Instant::now());
        // Three a tick need at least twenty ticks.
        let (ticks, refused) = drain(&mut limits, 3, 60, &mut now);
        assert!(ticks <= 23 && refused <= 24, "{ticks} ticks, {refused} refusals");
        let (ticks, refused) = drain(&mut limits, 3, 60, &mut now);
        assert_eq!((ticks, refused, limits.sessions()), (20, 0, 3));
    }

    #[test]
    fn one_more_is_tried_after_minutes_and_all_of_them_when_nothing_is_refused_any_more() {
        let (mut limits, mut now) = (Limits::new(16), Instant::now());
        drain(&mut limits, 3, 60, &mut now);
        now += KEPT;
        let (_, refused) = drain(&mut limits, 3, 60, &mut now);
        assert_eq!((refused, limits.sessions()), (1, 3), "one refusal in minutes");
        for _ in 0..13 {
            now += KEPT;
            assert_eq!(drain(&mut limits, 16, 60, &mut now).1, 0);
        }
        assert_eq!(limits.sessions(), 16);
    }

    #[test]
    fn a_quiet_time_counts_as_much_as_a_busy_one() {
        let (mut limits, mut now) = (Limits::new(16), Instant::now());
        drain(&mut limits, 3, 60, &mut now);
        now += 5 * KEPT;
        limits.accepted(now);
        drain(&mut limits, 16, 60, &mut now);
        assert_eq!(limits.sessions(), 8);
        now += 100 * KEPT;
        limits.accepted(now);
        drain(&mut limits, 16, 200, &mut now);
        assert_eq!(limits.sessions(), 16);
    }

    #[test]
    fn while_nothing_moves_one_more_is_tried_now_and_then() {
        let (mut limits, now) = (Limits::new(16), Instant::now());
        assert_eq!(limits.stalled_at(), None);
        limits.one_too_many(2, now, now);
        let stalled = now + STALLED_AFTER;
        assert_eq!(limits.stalled_at(), Some(stalled));
        limits.all_in_use(1, now);
        assert_eq!(limits.sessions(), 1);
        limits.all_in_use(1, stalled);
        limits.all_in_use(2, stalled);
        assert_eq!(limits.sessions(), 2, "one at a time");
        assert!(limits.one_too_many(2, stalled, stalled));
        assert_eq!(limits.sessions(), 1);
        // Many sessions may have begun before the refusal.
        limits.all_in_use(12, stalled + STALLED_AFTER);
        assert_eq!(limits.sessions(), 13);
        limits.accepted(stalled + 2 * STALLED_AFTER);
        assert_eq!(limits.stalled_at(), Some(stalled + 3 * STALLED_AFTER));
    }

    #[test]
    fn a_burst_of_refusals_counts_once() {
        let (mut limits, now) = (Limits::new(16), Instant::now());
        assert!(limits.one_too_many(16, now, now + TICK));
        assert!((0..12).all(|_| !limits.one_too_many(16, now, now + TICK)));
        assert_eq!(limits.sessions(), 8);
    }

    #[test]
    fn a_refusal_with_no_other_session_beside_it_is_not_about_their_number() {
        let (mut limits, now) = (Limits::new(16), Instant::now());
        limits.one_too_many(2, now, now + TICK);
        assert_eq!(limits.sessions(), 1);
        limits.number_is_not_the_reason();
        assert_eq!(limits.sessions(), 16);
    }

    #[test]
    fn mails_of_a_session_are_remembered_for_minutes() {
        let (mut limits, now) = (Limits::new(16), Instant::now());
        limits.session_is_full(3, now);
        assert_eq!(limits.mails_of_a_session(now), Some(3));
        assert_eq!(limits.mails_of_a_session(now + KEPT), None);
        limits.sessions_are_not_full();
        assert_eq!(limits.mails_of_a_session(now), None);
    }

    proptest! {
        #[test]
        fn whatever_is_refused_there_is_a_session_and_never_more_than_configured(
            configured in 1..40_usize, steps in prop::collection::vec((0..5_u8, 0..50_usize, 0..200_u64), 0..200),
        ) {
            let (mut limits, mut now) = (Limits::new(configured), Instant::now());
            for (step, in_use, seconds) in steps {
                let began = now;
                now += Duration::from_secs(seconds);
                match step {
                    0 => drop(limits.one_too_many(in_use, began, now)),
                    1 => limits.number_is_not_the_reason(),
                    2 => limits.all_in_use(in_use, now),
                    _ => drop(limits.accepted(now)),
                }
                prop_assert!((1..=configured).contains(&limits.sessions()));
            }
        }
    }
}
