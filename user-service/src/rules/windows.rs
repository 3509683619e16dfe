//! Windows belong to the clock: no request begins or prolongs one.
//!
//! A window has one code and one token for each account. The code is right from the
//! skew before its window until `CODE_TTL` after it, so at any moment one or two
//! windows have right codes. The token is right until `LINK_TTL` after its window.

use super::{earlier, later};
use contract::topic::Topic;
use jiff::Timestamp;
use std::{ops::RangeInclusive, time::Duration};

/// Times and limits of the signup flow, equal in all processes.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Length of a window, at most 6 h.
    pub window: Duration,
    /// How long a code is right after its window.
    pub code_ttl: Duration,
    /// How long a registration is kept, and how long a link's token is right after its window; at most 24 h.
    pub link_ttl: Duration,
    /// The most by which the clocks of any two processes may differ.
    pub max_clock_skew: Duration,
    /// Guesses of a registration that count.
    pub code_attempts: u32,
    /// Guesses that are compared with the code of a window.
    pub window_attempts: u32,
    /// Least time between two mails to an address.
    pub resend_cooldown: Duration,
    /// Places of a window that the tagged spellings of one mailbox may take, all together.
    pub max_tagged_mails: u32,
    /// How long a writer waits for an ack. A record may be written this much later than its event.
    pub publish_timeout: Duration,
}

/// The number of a window: the time at which it begins, divided by the length of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Window(u32);

impl Window {
    /// The window with this number; `None` if its time is one that no clock will show.
    pub(crate) fn new(number: u64) -> Option<Self> {
        u32::try_from(number).ok().map(Self)
    }

    /// Its number.
    pub(crate) fn number(self) -> u64 {
        self.0.into()
    }

    const fn after(self, count: u32) -> Self {
        Self(self.0.saturating_add(count))
    }

    const fn before(self, count: u32) -> Self {
        Self(self.0.saturating_sub(count))
    }
}

impl Rules {
    /// The window that a moment is in.
    pub(crate) fn window_at(&self, moment: Timestamp) -> Window {
        let milliseconds = u128::try_from(moment.as_millisecond()).unwrap_or(0);
        let number = milliseconds.checked_div(self.window.as_millis()).unwrap_or(0);
        Window(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// When a window begins.
    pub(crate) fn begin(&self, window: Window) -> Timestamp {
        let since_1970 = self.window.checked_mul(window.0).unwrap_or(Duration::MAX);
        later(Timestamp::UNIX_EPOCH, since_1970)
    }

    /// When a window ends: the moment at which the next one begins.
    pub(crate) fn end(&self, window: Window) -> Timestamp {
        self.begin(window.after(1))
    }

    /// When the code of a window stops being right.
    pub(crate) fn code_expires_at(&self, window: Window) -> Timestamp {
        later(self.end(window), self.code_ttl)
    }

    /// The first window of an account after a tombstone of that time. The codes and tokens of all earlier
    /// windows are wrong from then on, even those from a process whose clock is ahead by the skew.
    pub(crate) fn first_after(&self, tombstone: Timestamp) -> Window {
        self.window_at(later(tombstone, self.max_clock_skew)).after(1)
    }

    /// The present window of an account whose windows begin at `first`.
    pub(crate) fn present(&self, first: Window, now: Timestamp) -> Window {
        self.window_at(now).max(first)
    }

    /// The windows around now, the oldest first, each with whether its code is right for an
    /// account whose windows begin at `first`. One or two codes are right. The number of windows
    /// is equal for all accounts, so that comparing with all of them takes equally long.
    pub(crate) fn codes(&self, first: Window, now: Timestamp) -> impl Iterator<Item = (Window, bool)> {
        let clock = self.window_at(now);
        let windows = [clock.before(1), clock, clock.after(1), clock.after(2)].into_iter();
        windows.map(move |window| {
            (window, self.has_begun(window, first, now) && now < self.code_expires_at(window))
        })
    }

    /// The windows in which a token may be right, each with whether it is. Tokens are right for longer than codes.
    pub(crate) fn tokens(&self, first: Window, now: Timestamp) -> impl Iterator<Item = (Window, bool)> {
        let newest = self.window_at(now).after(2);
        let oldest = self.window_at(earlier(now, self.link_ttl)).before(1);
        (oldest.0..=newest.0).map(Window).map(move |window| {
            let is_over = later(self.end(window), self.link_ttl) <= now;
            (window, self.has_begun(window, first, now) && !is_over)
        })
    }

    fn has_begun(&self, window: Window, first: Window, now: Timestamp) -> bool {
        window == first || (window > first && earlier(self.begin(window), self.max_clock_skew) <= now)
    }

    /// The windows that the view holds of every account: from one before to two after the clock's.
    pub(crate) fn held(&self, now: Timestamp) -> RangeInclusive<Window> {
        let clock = self.window_at(now);
        clock.before(1)..=clock.after(2)
    }

    /// How long tombstones and times of verification are kept.
    pub(crate) fn milestone_life(&self) -> Duration {
        self.link_ttl.saturating_add(self.window.saturating_mul(3))
    }

    /// The time from which a topic has to be read; `None` if all of it has to. The records since then hold all
    /// registrations that are alive, all windows that are held, and the guesses on which the budgets of both depend.
    pub(crate) fn replay_from(&self, topic: Topic, now: Timestamp) -> Option<Timestamp> {
        let second_before = self.begin(self.window_at(now).before(2));
        let slack = self.max_clock_skew.saturating_mul(2).max(self.clock_tolerance());
        let since = earlier(earlier(now, self.link_ttl).min(second_before), slack);
        match topic {
            Topic::Verified => None,
            // A guess counts in its window if its registration had guesses left, which may be that much older.
            Topic::Activity => Some(earlier(since, self.link_ttl)),
            _ => Some(since),
        }
    }

    /// How far the clock of a writer may be from the broker's when it writes.
    pub(crate) fn clock_tolerance(&self) -> Duration {
        self.max_clock_skew.saturating_add(self.publish_timeout)
    }
}
