//! The schedule of mails: whether a request takes the next place of its window, and what is mailed.
//!
//! The first place is free at once, but not within the cool-down after a place of the window before.
//! Each further one is free after a pause that doubles: with a cool-down of a minute at 0, 1, 3, 7, 15
//! and 31 minutes at the earliest. No timer sends a mail: the first request after a place is free takes
//! it. A request in between mails nothing, since a mail with a right code is in the mailbox already.

use super::{Account, Place, Rules, Window, later};
use contract::event::{MAX_SEND, Mailing};
use jiff::Timestamp;
use std::time::Duration;

/// The last place of a window: events can name no higher one.
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
    /// The place that is taken, or else the last one that the log has.
    pub(crate) send: u8,
    /// The place that is taken, if one is.
    pub(crate) taken: Option<Place>,
    /// Whether nothing is mailed because of the limit of tagged spellings.
    pub(crate) is_over_tag_limit: bool,
}

/// The facts, besides the account's places, that a decision takes into account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// Whether the account is verified.
    pub(crate) is_verified: bool,
    /// Whether the address has a tag, and the tagged spellings of its mailbox have taken all their places.
    pub(crate) is_over_tag_limit: bool,
}

impl Decision {
    /// Decides what an accepted request leads to.
    pub(crate) fn of(account: &Account, circumstances: Circumstances, now: Timestamp, rules: &Rules) -> Self {
        let window = account.window(now, rules);
        let last = account.last_send(window);
        let free_at = account.last_taken_at(rules).map(|taken_at| later(taken_at, rules.pause_after(last)));
        if last >= LAST_SEND || free_at.is_some_and(|free_at| now < free_at) {
            return Self {
                mailing: Mailing::Nothing,
                window,
                // Only a place that is in the log. Another one may be given
                // back; this record would then take it, and mail nothing.
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
    /// How long after this place the next one is free. 0 stands for a place of another window.
    fn pause_after(&self, send: u8) -> Duration {
        doubled(self.resend_cooldown, send.saturating_sub(1).into())
    }
}

/// How long after a registration another mail can be asked for with it. `resends`: how many it descends from.
pub(crate) fn resend_wait(resends: u32, rules: &Rules) -> Duration {
    doubled(rules.resend_cooldown, resends)
}

fn doubled(time: Duration, times: u32) -> Duration {
    let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
    time.saturating_mul(factor)
}
