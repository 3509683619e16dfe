//! What the server allows: how many sessions at a time, how many mails in each. Learned from its refusals, kept for
//! minutes, forgotten slowly. Pure: `now` is an argument.
//!
//! Additive increase, multiplicative decrease, as TCP shares a line: a refusal halves the number of sessions, and a round of
//! accepted mails adds one, up to one below the number that was refused. Only after minutes that bound is tried again, so a
//! server that takes three gets three, and one refusal in minutes; and while nothing is accepted at all.

use std::time::{Duration, Instant};

/// A learned limit lasts for this time after the last refusal. Then one more session is tried, and the limit of mails in a session is forgotten.
const KEPT: Duration = Duration::from_secs(120);

/// When no mail has been accepted for this time, one more session is tried. The allowed sessions may wait for a slow
/// server's answer for minutes, and all other mails would wait with them.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// How many sessions the server takes at a time, and how many mails in a session, as far as it has shown.
#[derive(Debug)]
pub(super) struct Limits {
    configured: usize,
    allowed: usize,
    /// The most that was not refused.
    ceiling: usize,
    /// Accepted mails of the round.
    accepted: usize,
    /// When the number was refused last, or `ceiling` was raised.
    changed: Option<Instant>,
    /// The last accepted mail, refusal, or session that was tried in addition.
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

    /// Sessions at a time, from 1 to the configured number.
    pub(super) fn sessions(&self) -> usize {
        self.allowed
    }

    /// The server refused one of `in_use` sessions as one too many. What began before the last such refusal is part of the
    /// same burst and says nothing new: false.
    pub(super) fn one_too_many(&mut self, in_use: usize, began: Instant, now: Instant) -> bool {
        if self.changed.is_some_and(|changed| began < changed) {
            return false;
        }
        self.ceiling = in_use.saturating_sub(1).clamp(1, self.allowed);
        self.allowed = (in_use / 2).clamp(1, self.ceiling);
        (self.accepted, self.changed, self.moved) = (0, Some(now), Some(now));
        true
    }

    /// When one more session is due because no mail was accepted ([`STALLED_AFTER`]); `None` when all sessions are allowed.
    pub(super) fn stalled_at(&self) -> Option<Instant> {
        self.moved.filter(|_| self.allowed < self.configured).map(|moved| moved + STALLED_AFTER)
    }

    /// All sessions that are allowed are in use. Allows one more where nothing moves in them.
    pub(super) fn all_in_use(&mut self, in_use: usize, now: Instant) {
        if self.stalled_at().is_some_and(|stalled| now >= stalled) {
            self.allowed = (in_use + 1).clamp(self.allowed, self.configured);
            self.ceiling = self.ceiling.max(self.allowed);
            (self.accepted, self.moved) = (0, Some(now));
        }
    }

    /// A refusal with no other session beside it: their number was never the reason.
    pub(super) fn number_is_not_the_reason(&mut self) {
        *self = Self::new(self.configured);
    }

    /// The server accepted an email. True when one session more may begin.
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

    /// The server refused to go on in a session that had had so many mails.
    pub(super) fn session_is_full(&mut self, mails: u32, now: Instant) {
        self.mails = Some((mails, now));
    }

    /// Mails in a session at most, as far as is known.
    pub(super) fn mails_of_a_session(&self, now: Instant) -> Option<u32> {
        self.mails.filter(|(_, since)| now < *since + KEPT).map(|(mails, _)| mails)
    }

    /// What was taken for a full session was something else.
    pub(super) fn sessions_are_not_full(&mut self) {
        self.mails = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: Duration = Duration::from_millis(200);

    /// Serves `mails` with a server that takes `limit` at a time and each for one tick. Answers the ticks and the refusals.
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
        // Twenty ticks at three a tick are the least.
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
        // Those that began before the refusal may be many.
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
