//! Renders the email that an event asks for, if it asks for one.
//!
//! The same record always becomes the same email: Message-ID, code, link and ids are derived from it. Only the date and the
//! remaining minutes depend on `now`. Pure: no I/O, no clock, no randomness.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use crate::sender::Sender;
use contract::{
    email_address::EmailAddress,
    event::{Event, Mailing, Registered},
    trace_context::TraceId,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::{SignedDuration, Timestamp};
use lettre::Address;
use runtime::secret_check::KeyRing;
use std::sync::Arc;
use texts::Kept;

mod kind;
mod body;
mod places;
mod templates;
mod mails;
mod mime;

pub(crate) use kind::Kind;
pub use mails::Mails;
use mails::Values;

/// The least remaining life of a code when its mail is sent. The mail states the remaining whole minutes.
const LEAST_CODE_LIFE: SignedDuration = SignedDuration::from_mins(1);
/// Confirmations and notices older than this are not mailed. A new consumer group, which reads the topics from their start,
/// thus does not write to everybody who ever signed up.
pub(crate) const NOTICE_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// What all emails have in common.
#[derive(Clone)]
pub(crate) struct Letterhead {
    pub(crate) sender: Sender,
    /// Without a trailing slash.
    pub(crate) public_url: String,
    /// May change: an email has the keys of the moment at which it is written.
    pub(crate) secrets: KeyRing,
    /// The words.
    pub(crate) mails: Arc<Kept<Mails>>,
}

/// A rendered email and its envelope.
#[derive(Clone)]
pub(crate) struct Email {
    /// The envelope's sender.
    pub(crate) from: Address,
    pub(crate) to: Address,
    /// Headers and body, with CRLF line ends except after the last line.
    pub(crate) text: String,
}

/// Why an event's email can't be composed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnwritableError {
    /// The event names a key that this process does not have. During a rotation another replica may have it.
    #[error("unknown key id")]
    UnknownKey,
    #[error("the email could not be composed")]
    Compose,
}

/// The last moment at which the event's email may be sent; `None` when the event asks for no email.
pub fn deadline(event: &Event) -> Option<Timestamp> {
    match event {
        Event::Registered(Mailing::FirstCode | Mailing::FurtherCode, event) => {
            Some(event.expires_at.checked_sub(LEAST_CODE_LIFE).unwrap_or(Timestamp::MIN))
        }
        Event::Registered(Mailing::Notice, _) | Event::Verified(_) => {
            Some(event.occurred_at().checked_add(NOTICE_LIFE).unwrap_or(Timestamp::MAX))
        }
        Event::Registered(Mailing::Nothing, _) | Event::Attempt(_) => None,
    }
}

/// Whether it is too late for the event's email.
pub fn is_expired(event: &Event, now: Timestamp) -> bool {
    deadline(event).is_some_and(|deadline| now > deadline)
}

/// The event's address, masked for the log.
pub(crate) fn masked_address(event: &Event) -> String {
    event.email().map_or_else(String::new, EmailAddress::masked)
}

/// Writes the event's email. `trace`: the trace that its record belongs to.
///
/// # Errors
/// [`UnwritableError`]; also for an event that asks for no email (see [`deadline`]).
pub(crate) fn write(
    event: &Event,
    trace: Option<TraceId>,
    letterhead: &Letterhead,
    now: Timestamp,
) -> Result<Email, UnwritableError> {
    let (to, parts) = parts(event, letterhead, now)?;
    mime::compose(event, trace, letterhead, to, &parts, now)
}

/// Subject, text and HTML of the event's email, to be looked at.
///
/// # Errors
/// As [`write`].
pub(crate) fn sample(
    event: &Event,
    letterhead: &Letterhead,
    now: Timestamp,
) -> Result<(String, String, String), UnwritableError> {
    let (_, Parts { subject, text, html }) = parts(event, letterhead, now)?;
    Ok((subject, text, html))
}

/// Recipient, subject and body of the event's email.
fn parts<'a>(
    event: &'a Event,
    letterhead: &Letterhead,
    now: Timestamp,
) -> Result<(&'a EmailAddress, Parts), UnwritableError> {
    let mails = letterhead.mails.now();
    let notice = |first_name| Values { first_name, code: "", link: "", minutes: 0 };
    let (to, filled) = match event {
        Event::Registered(Mailing::FirstCode | Mailing::FurtherCode, event) => {
            let code = code(event, letterhead)?;
            let link = if mails.has_link() { link(event, letterhead)? } else { String::new() };
            let minutes = minutes_left(event.expires_at, now).unsigned_abs();
            let first_name = event.first_name.greeting();
            let values = Values { first_name, code: &code, link: &link, minutes };
            (&event.email, mails.fill(Kind::VerifyAccount, &event.locale, &values))
        }
        // The notice speaks of the owner's account, so it contains nothing that the person who registered has typed.
        Event::Registered(Mailing::Notice, event) => {
            (&event.email, mails.fill(Kind::AccountExists, &event.locale, &notice(None)))
        }
        Event::Verified(event) => {
            let values = notice(event.first_name.greeting());
            (&event.email, mails.fill(Kind::AccountVerified, &event.locale, &values))
        }
        Event::Registered(Mailing::Nothing, _) | Event::Attempt(_) => return Err(UnwritableError::Compose),
    };
    filled.map(|parts| (to, parts)).ok_or(UnwritableError::Compose)
}

/// Subject and the two forms of the body.
struct Parts {
    subject: String,
    text: String,
    html: String,
}

fn code(event: &Registered, letterhead: &Letterhead) -> Result<String, UnwritableError> {
    let secrets = letterhead.secrets.get();
    let key = secrets.get(&event.key).ok_or(UnwritableError::UnknownKey)?;
    Ok(VerificationCode::derive(key, event.id, &event.email, event.window).digits().to_owned())
}

/// The token is in the fragment, which browsers never send. The page posts it when the reader clicks.
fn link(event: &Registered, letterhead: &Letterhead) -> Result<String, UnwritableError> {
    let secrets = letterhead.secrets.get();
    let key = secrets.get(&event.key).ok_or(UnwritableError::UnknownKey)?;
    let token = LinkToken::derive(key, event.id, &event.email, event.window).to_text();
    Ok(format!("{}/#id={}&token={token}", letterhead.public_url, event.registration))
}

/// Whole minutes, rounded down. Up to the event's [`deadline`] at least one is left.
fn minutes_left(expires_at: Timestamp, now: Timestamp) -> i64 {
    expires_at.duration_since(now).as_mins()
}

#[cfg(test)]
mod tests;
