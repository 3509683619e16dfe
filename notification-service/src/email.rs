//! From an event to the email that it asks for, or to the fact that it asks for none.
//!
//! The same event always becomes the same email: Message-ID, code and link are derived from it, only the date and
//! the remaining minutes depend on `now`. Pure: no I/O, no clock, no randomness.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use askama::Template;
use jiff::{SignedDuration, Timestamp};
use lettre::{Address, message::Mailbox};
use shared::{
    code_secrets::CodeSecrets,
    email_address::EmailAddress,
    event::{CodeIssued, Event},
    verification_code::{LinkToken, VerificationCode},
};

mod language;
mod mime;
mod text;

use language::Language;

/// Confirmations and notices older than this are not mailed: a new consumer group does not write to everybody who
/// ever signed up.
pub(crate) const NOTICE_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// What all emails have in common.
#[derive(Debug, Clone)]
pub(crate) struct Letterhead {
    pub(crate) from: Mailbox,
    /// Without a slash at its end.
    pub(crate) public_url: String,
    pub(crate) secrets: CodeSecrets,
}

/// A rendered email and its envelope.
#[derive(Clone)]
pub(crate) struct Email {
    pub(crate) from: Address,
    pub(crate) to: Address,
    /// Headers and body with CRLF line ends, without the one at the very end.
    pub(crate) text: String,
}

/// Why an event's email can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnwritableError {
    /// The event names a key that is not configured here: during a rotation another replica may have it.
    #[error("unknown key id")]
    UnknownKey,
    #[error("the email could not be composed")]
    Compose,
}

/// The time after which the event is not mailed; `None` when it asks for no email at all.
pub(crate) fn deadline(event: &Event) -> Option<Timestamp> {
    let notice = |occurred_at: Timestamp| occurred_at.checked_add(NOTICE_LIFE).unwrap_or(Timestamp::MAX);
    match event {
        Event::Created(event) | Event::CodeResent(event) => Some(event.expires_at),
        Event::Verified(event) => Some(notice(event.occurred_at)),
        // The first of a window, which began it, is the one that the owner hears of.
        Event::AccountExists(event) if event.occurred_at == event.window_started_at => {
            Some(notice(event.occurred_at))
        }
        Event::AccountExists(_) | Event::RegistrationRepeated(_) | Event::Attempt(_) => None,
    }
}

/// The address that the event names, if it names one.
pub(crate) fn address(event: &Event) -> Option<&EmailAddress> {
    match event {
        Event::Created(event) | Event::CodeResent(event) => Some(&event.email),
        Event::Verified(event) => Some(&event.email),
        Event::AccountExists(event) => Some(&event.email),
        Event::RegistrationRepeated(event) => Some(&event.email),
        Event::Attempt(_) => None,
    }
}

/// A form of that address from which it can't be read, for the log.
pub(crate) fn masked_address(event: &Event) -> String {
    address(event).map_or_else(String::new, EmailAddress::masked)
}

/// Writes the event's email.
///
/// # Errors
/// [`UnwritableError`]; also for an event that asks for none, which [`deadline`] tells before.
pub(crate) fn write(
    event: &Event,
    letterhead: &Letterhead,
    now: Timestamp,
) -> Result<Email, UnwritableError> {
    let home = || format!("{}/", letterhead.public_url);
    let compose = |to, parts: Parts| mime::compose(event, letterhead, to, &parts, now);
    match event {
        Event::Created(issued) | Event::CodeResent(issued) => {
            let mail = text::Fields {
                language: Language::of(&issued.locale),
                first_name: issued.first_name.as_str(),
                code: code(issued, &letterhead.secrets)?,
                link: link(issued, letterhead)?,
                minutes: minutes_left(issued.expires_at, now),
            };
            compose(&issued.email, text::verify_account(&mail)?)
        }
        Event::Verified(verified) => {
            let (language, first_name) = (Language::of(&verified.locale), verified.first_name.as_str());
            compose(
                &verified.email,
                text::account_verified(&text::Fields::notice(language, first_name, home()))?,
            )
        }
        Event::AccountExists(exists) => {
            let (language, first_name) = (Language::of(&exists.locale), exists.first_name.as_str());
            compose(&exists.email, text::account_exists(&text::Fields::notice(language, first_name, home()))?)
        }
        Event::RegistrationRepeated(_) | Event::Attempt(_) => Err(UnwritableError::Compose),
    }
}

/// Subject and the two forms of the body.
struct Parts {
    subject: &'static str,
    text: String,
    html: String,
}

impl Parts {
    fn render(
        subject: &'static str,
        text: &impl Template,
        html: &impl Template,
    ) -> Result<Self, UnwritableError> {
        let failed = |_| UnwritableError::Compose;
        Ok(Self { subject, text: text.render().map_err(failed)?, html: html.render().map_err(failed)? })
    }
}

fn code(issued: &CodeIssued, secrets: &CodeSecrets) -> Result<String, UnwritableError> {
    let key = secrets.get(&issued.key).ok_or(UnwritableError::UnknownKey)?;
    Ok(VerificationCode::derive(key, issued.id, &issued.email, issued.window, issued.generation)
        .digits()
        .to_owned())
}

/// The token stands in the fragment, which browsers send to nobody; the page posts it on a click.
fn link(issued: &CodeIssued, letterhead: &Letterhead) -> Result<String, UnwritableError> {
    let key = letterhead.secrets.get(&issued.key).ok_or(UnwritableError::UnknownKey)?;
    let token = LinkToken::derive(key, issued.id, &issued.email, issued.window).to_text();
    Ok(format!("{}/#id={}&token={token}", letterhead.public_url, issued.id))
}

/// The nearest whole minutes, at least one: a fresh code has its whole life although its mail took a moment.
fn minutes_left(expires_at: Timestamp, now: Timestamp) -> i64 {
    let left = expires_at.duration_since(now).saturating_add(SignedDuration::from_secs(30));
    left.as_mins().max(1)
}

#[cfg(test)]
mod tests;
