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
        if last >= LAST_SEND || free_at(account, window, rules).is_some_and(|free_at| now < free_at) {
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

/// What the schedule still allows in an account's present window, if nobody else asks meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// How many more mails can be asked for before the window ends.
    pub(crate) left: u32,
    /// When a request can lead to the next mail; now, or a time that may be in a later window.
    pub(crate) next_at: Timestamp,
}

impl Outlook {
    /// Tries it out: asks again and again, each time as soon as the next place is free.
    pub(crate) fn of(account: &Account, circumstances: Circumstances, now: Timestamp, rules: &Rules) -> Self {
        let window = account.window(now, rules);
        let (mut account, mut left, mut first) = (account.clone(), 0_u32, None);
        let moment = |account: &Account| free_at(account, window, rules).map_or(now, |at| at.max(now));
        while account.window(moment(&account), rules) == window {
            let at = moment(&account);
            let decision = Decision::of(&account, circumstances, at, rules);
            let Some(place) = decision.taken else { break };
            account.take(place);
            if decision.mailing != Mailing::Nothing {
                left = left.saturating_add(1);
                first = first.or(Some(at));
            }
        }
        let in_the_next = || {
            let last = account.last_taken_at(rules);
            last.map_or(now, |taken_at| later(taken_at, rules.pause_after(0))).max(rules.end(window))
        };
        Self { left, next_at: first.unwrap_or_else(in_the_next) }
    }
}

/// When the next place of a window is free; `None` if no place was ever taken.
fn free_at(account: &Account, window: Window, rules: &Rules) -> Option<Timestamp> {
    let last = account.last_send(window);
    account.last_taken_at(rules).map(|taken_at| later(taken_at, rules.pause_after(last)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::RULES;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    const PENDING: Circumstances = Circumstances { is_verified: false, is_over_tag_limit: false };

    /// Seconds after the beginning of a window.
    fn at(second: i64) -> Timestamp {
        RULES.begin(Window::new(500_000).unwrap()) + SignedDuration::from_secs(second)
    }

    /// An account for which somebody asked at these seconds.
    fn asked(seconds: &[i64], circumstances: Circumstances) -> Account {
        let mut account = Account::default();
        for second in seconds {
            let decision = Decision::of(&account, circumstances, at(*second), &RULES);
            decision.taken.map(|place| account.take(place));
        }
        account
    }

    #[test]
    fn the_outlook_is_what_is_left_of_the_schedule() {
        let outlook = |seconds: &[i64], circumstances, now| {
            let outlook = Outlook::of(&asked(seconds, circumstances), circumstances, at(now), &RULES);
            (outlook.left, outlook.next_at.duration_since(at(0)).as_secs())
        };
        assert_eq!(outlook(&[], PENDING, 0), (6, 0));
        assert_eq!(outlook(&[0], PENDING, 0), (5, 60));
        assert_eq!(outlook(&[0, 60], PENDING, 61), (4, 180));
        assert_eq!(outlook(&[0], PENDING, 3_500), (1, 3_500), "the one after it comes too late");
        assert_eq!(outlook(&[0, 60, 180, 420, 900, 1_860], PENDING, 1_900), (0, 3_600));
        assert_eq!(outlook(&[3_590], PENDING, 3_599), (0, 3_650), "the pause goes on in the next window");
        let verified = Circumstances { is_verified: true, ..PENDING };
        assert_eq!(outlook(&[], verified, 7), (1, 7), "a notice");
        assert_eq!(outlook(&[0], verified, 70), (0, 3_600));
        let tagged = Circumstances { is_over_tag_limit: true, ..PENDING };
        assert_eq!(outlook(&[], tagged, 7), (0, 3_600));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn who_asks_every_second_gets_what_the_outlook_says(
            mut seconds in prop::collection::vec(-3_600..3_600_i64, 0..12), now in 0..3_600_i64, is_verified: bool,
        ) {
            let circumstances = Circumstances { is_verified, ..PENDING };
            seconds.retain(|second| *second <= now);
            seconds.sort_unstable();
            let mut account = asked(&seconds, circumstances);
            let outlook = Outlook::of(&account, circumstances, at(now), &RULES);
            let (mut mailed, mut first) = (0, None);
            for second in now..7_300 {
                let decision = Decision::of(&account, circumstances, at(second), &RULES);
                decision.taken.map(|place| account.take(place));
                if decision.mailing != Mailing::Nothing {
                    mailed += u32::from(second < 3_600);
                    first = first.or(Some(at(second)));
                }
            }
            prop_assert_eq!((outlook.left, Some(outlook.next_at)), (mailed, first));
        }
    }
}
