//! The schedule of mails: whether a request takes the next place of its window, and what is mailed then.
//!
//! The first place is free at once, but not within the cool-down after a place of the window before; each further one is free
//! after a pause that doubles, so at 0, 1, 3, 7, 15 and 31 minutes at the earliest. No timer sends a mail: the first request at
//! a free place takes it. In between nothing is mailed, since a mail whose code is right is in the mailbox already.

use super::{Account, Place, Rules, Window, later};
use contract::event::{MAX_SEND, Mailing};
use jiff::Timestamp;
use std::time::Duration;

/// A window has no more places than events can name.
const LAST_SEND: u8 = {
    assert!(MAX_SEND < 256);
    MAX_SEND as u8
};

/// What an accepted request leads to: one record, and a mail or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    /// What is mailed.
    pub(crate) mailing: Mailing,
    /// The account's present window.
    pub(crate) window: Window,
    /// The place that is taken, or the last one that was.
    pub(crate) send: u8,
    /// The place that is taken, if one is.
    pub(crate) taken: Option<Place>,
    /// Whether nothing is mailed because of the limit of tagged spellings.
    pub(crate) is_over_tag_limit: bool,
}

/// What a decision takes into account besides the account's places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// Whether the account is verified.
    pub(crate) is_verified: bool,
    /// Whether the address has a tag, and the places for spellings of its mailbox with tags are all taken.
    pub(crate) is_over_tag_limit: bool,
}

impl Decision {
    /// Decides what a request leads to that is accepted now.
    pub(crate) fn of(account: &Account, circumstances: Circumstances, now: Timestamp, rules: &Rules) -> Self {
        let window = account.window(now, rules);
        let last = account.last_send(window);
        let free_at = account.last_taken_at(rules).map(|taken_at| later(taken_at, rules.pause_after(last)));
        if last >= LAST_SEND || free_at.is_some_and(|free_at| now < free_at) {
            return Self {
                mailing: Mailing::Nothing,
                window,
                // Not a place that may yet be given back: this record would take it, and mail nothing.
                send: account.last_send_in_log(window),
                taken: None,
                is_over_tag_limit: false,
            };
        }
        let mailing = match circumstances {
            Circumstances { is_over_tag_limit: true, .. } => Mailing::Nothing,
            Circumstances { is_verified: true, .. } if last == 0 => Mailing::Notice,
            Circumstances { is_verified: true, .. } => Mailing::Nothing,
            _ if last == 0 => Mailing::FirstCode,
            _ => Mailing::FurtherCode,
        };
        let send = last.saturating_add(1);
        let taken = Place { window, send, is_in_log: false, taken_at: now.as_millisecond() };
        let is_over_tag_limit = circumstances.is_over_tag_limit;
        Self { mailing, window, send, taken: Some(taken), is_over_tag_limit }
    }
}

impl Rules {
    /// How long after the place with this number, 0 for one of another window, the next one is free.
    fn pause_after(&self, send: u8) -> Duration {
        doubled(self.resend_cooldown, send.saturating_sub(1).into())
    }
}

/// How long after a registration that descends from so many resends another mail can be asked for with it.
pub(crate) fn resend_wait(resends: u32, rules: &Rules) -> Duration {
    doubled(rules.resend_cooldown, resends)
}

fn doubled(time: Duration, times: u32) -> Duration {
    let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
    time.saturating_mul(factor)
}
