//! Pure rules: what may happen next, by the state of the log. No I/O, no clock, no randomness; `now` is an argument.
//!
//! ```text
//! windows     which window a moment is in, and which windows' codes and tokens are right
//! account     the state of one account: places of mails, guesses, tombstone, verification
//! schedule    whether a request takes the next place for a mail, and what is mailed
//! guesses     which guesses count, and which are compared
//! freshness   how fresh the view must be for a decision
//! ```
//!
//! There is one code path for new, pending, verified and forgotten addresses.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod windows;
mod account;
mod schedule;
mod guesses;
mod freshness;

pub(crate) use account::{Account, Place};
pub(crate) use freshness::{Freshness, Question};
pub(crate) use schedule::{Circumstances, Decision, Outlook, resend_wait};
pub use windows::Rules;
pub(crate) use windows::Window;

use jiff::Timestamp;
use std::time::Duration;

/// The moment that is this much later, or the last one that can be represented: a record may name any time.
pub(crate) fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The moment that is this much earlier, or the first one that can be represented.
pub(crate) fn earlier(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
pub(crate) mod tests;
