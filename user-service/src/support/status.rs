//! The state of an account at a moment, by the service's own view and rules.

use super::known::Known;
use crate::{
    config::Config,
    replica::Mailbox,
    rules::{Outlook, Window},
};
use jiff::Timestamp;
use std::fmt;

/// What a person can be told about an account.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) now: Timestamp,
    pub(super) state: State,
    /// Since when; `None` where there is nothing to date.
    pub(super) since: Option<Timestamp>,
    /// The account's present window.
    pub(super) window: u64,
    pub(super) begins_at: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) code_expires_at: Timestamp,
    /// Mails that were asked for in this window.
    pub(super) mails: usize,
    pub(super) outlook: Outlook,
    /// Guesses that are left with the newest registration.
    pub(super) left_with_registration: Option<u32>,
    pub(super) code_attempts: u32,
    /// Guesses that are left in this window.
    pub(super) left_in_window: u32,
    pub(super) window_attempts: u32,
}

/// The states of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Verified,
    /// Registered, not verified, and its links work.
    Pending,
    /// Registered in the last days and not verified in time.
    Expired,
    /// Forgotten, and nobody has registered since.
    Forgotten,
    /// The topics have nothing of it.
    Unknown,
}

impl Status {
    pub(super) fn of(known: &Known, config: &Config) -> Self {
        let (now, rules, view) = (Timestamp::now(), &config.rules, known.view());
        let mailbox = known.address.as_ref().and_then(Mailbox::of);
        let registration = known.newest.map(|(id, _)| id);
        let (window, is_verified, guesses, guesses_with) =
            view.look_at(known.account, |account, is_verified| {
                let window: Window = account.window(now, rules);
                let guesses_with = registration.map(|id| account.guesses_with(id));
                (window, is_verified, account.guesses_in(window), guesses_with)
            });
        let (state, since) = state(known, is_verified);
        Self {
            now,
            state,
            since,
            window: window.number(),
            begins_at: rules.begin(window),
            ends_at: rules.end(window),
            code_expires_at: rules.code_expires_at(window),
            mails: known.mails.in_window(window.number()),
            outlook: view.outlook(known.account, mailbox, now),
            left_with_registration: guesses_with.map(|made| rules.code_attempts.saturating_sub(made)),
            code_attempts: rules.code_attempts,
            left_in_window: rules.window_attempts.saturating_sub(guesses),
            window_attempts: rules.window_attempts,
        }
    }
}

fn state(known: &Known, is_verified: bool) -> (State, Option<Timestamp>) {
    let (registered_at, forgotten_at) = (known.registered_at, known.forgotten_at);
    match known.newest {
        _ if is_verified => (State::Verified, known.verified_at),
        Some((_, made_at)) => (State::Pending, Some(made_at)),
        None if forgotten_at.is_some() && registered_at < forgotten_at => (State::Forgotten, forgotten_at),
        None if registered_at.is_some() => (State::Expired, registered_at),
        None => (State::Unknown, None),
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified",
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Forgotten => "forgotten",
            Self::Unknown => "unknown",
        })
    }
}
