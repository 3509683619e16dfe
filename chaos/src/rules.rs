//! The settings of the flow in these runs, and the times at which a window's code and token are right.
//!
//! The settings are as short as the services allow, so that windows, links and codes end within a round. A mail needs a
//! minute of its code's life. So a mail that is requested at the end of its window has ten seconds to leave.

use jiff::{SignedDuration, Timestamp};

/// Two window boundaries in three minutes.
pub(crate) const WINDOW: SignedDuration = SignedDuration::from_secs(90);
/// How long a code is right after its window.
pub(crate) const CODE_TTL: SignedDuration = SignedDuration::from_secs(70);
/// How long a registration is kept, and how long a token is right after its window: the shortest allowed time.
pub(crate) const LINK_TTL: SignedDuration = SignedDuration::from_secs(160);
/// The most by which clocks may differ. Here all processes share one clock.
pub(crate) const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);
/// The first pause between two mails to an address.
pub(crate) const RESEND_COOLDOWN: SignedDuration = SignedDuration::from_secs(2);
/// The number of guesses of a registration that count.
pub(crate) const CODE_ATTEMPTS: u32 = 5;
/// The number of guesses that are compared with a window's code: fewer than those of three registrations.
pub(crate) const WINDOW_ATTEMPTS: u32 = 12;
/// The places of a window for all tagged spellings of a mailbox.
pub(crate) const MAX_TAGGED_MAILS: u32 = 4;
/// The default.
const PUBLISH_TIMEOUT: SignedDuration = SignedDuration::from_secs(5);
/// The longest allowed difference between an event's time and its record's, which is the broker's. Beyond it the record is
/// passed over.
pub(crate) const CLOCK_TOLERANCE: SignedDuration =
    SignedDuration::from_secs(MAX_CLOCK_SKEW.as_secs() + PUBLISH_TIMEOUT.as_secs());
/// A mail is sent only if its code has at least this much life left. The mail states the whole minutes.
pub(crate) const LEAST_CODE_LIFE: SignedDuration = SignedDuration::from_secs(60);

/// The window of a moment.
pub(crate) fn window_at(moment: Timestamp) -> u64 {
    u64::try_from(moment.as_second().div_euclid(WINDOW.as_secs())).unwrap_or(0)
}

/// When a window begins.
pub(crate) fn begin(window: u64) -> Timestamp {
    let seconds = i64::try_from(window).unwrap_or(i64::MAX).saturating_mul(WINDOW.as_secs());
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// When a window's code stops being right.
pub(crate) fn code_ends_at(window: u64) -> Timestamp {
    begin(window.saturating_add(1)) + CODE_TTL
}

/// When a window's token stops being right.
pub(crate) fn token_ends_at(window: u64) -> Timestamp {
    begin(window.saturating_add(1)) + LINK_TTL
}

/// When a window's code and token begin to be right.
pub(crate) fn opens_at(window: u64) -> Timestamp {
    begin(window) - MAX_CLOCK_SKEW
}

/// The first window of an account after a tombstone.
pub(crate) fn first_after(tombstone: Timestamp) -> u64 {
    window_at(tombstone + MAX_CLOCK_SKEW).saturating_add(1)
}

/// The pause between a place and the next one of a window. `send` is 0 if that place is in another window.
pub(crate) fn pause_after(send: u32) -> SignedDuration {
    let factor = 1_i32.checked_shl(send.saturating_sub(1)).filter(|factor| *factor > 0);
    RESEND_COOLDOWN.checked_mul(factor.unwrap_or(i32::MAX)).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_take_these_numbers() {
        assert!(CODE_TTL + MAX_CLOCK_SKEW * 3 <= WINDOW);
        assert!(LINK_TTL >= WINDOW + CODE_TTL);
        assert!(RESEND_COOLDOWN >= SignedDuration::from_secs(1) && RESEND_COOLDOWN < CODE_TTL);
        assert!(CODE_TTL > LEAST_CODE_LIFE, "every place of a window can be mailed");
        let longest = WINDOW + CODE_TTL - LEAST_CODE_LIFE;
        assert!(longest.unsigned_abs() < crate::round::SETTLED_AGAIN, "all mails are over when a round is");
    }

    #[test]
    fn a_code_is_right_a_little_before_its_window_until_well_after_it() {
        let (window, begins) = (20_000_000, Timestamp::from_second(1_800_000_000).unwrap());
        assert_eq!((window_at(begins), begin(window)), (window, begins));
        assert_eq!(window_at(begins - SignedDuration::from_millis(1)), window - 1);
        assert_eq!(opens_at(window), begins - MAX_CLOCK_SKEW);
        assert_eq!(code_ends_at(window), begins + WINDOW + CODE_TTL);
        assert_eq!(token_ends_at(window), begins + WINDOW + LINK_TTL);
    }

    #[test]
    fn after_a_tombstone_windows_begin_with_the_next_or_the_one_after_it() {
        let begins = begin(7);
        assert_eq!(first_after(begins), 8);
        assert_eq!(first_after(begins + WINDOW - MAX_CLOCK_SKEW), 9);
    }

    #[test]
    fn the_schedule_doubles_its_pauses() {
        assert_eq!([0, 1, 2, 3, 4].map(|send| pause_after(send).as_secs()), [2, 2, 4, 8, 16]);
        assert!(pause_after(100) > WINDOW);
    }
}
