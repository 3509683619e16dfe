//! The codes and tokens of an address, computed from the secrets: for tests without a mail server, and for windows that are
//! too short for a mail.

use crate::world::{CODE_SECRETS, ID_SECRET};
use contract::{
    account_id::AccountId,
    code_secrets::{self, CodeSecrets},
    email_address::EmailAddress,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::Timestamp;
use std::time::Duration;

/// The window of a moment.
#[must_use]
pub fn window_at(moment: Timestamp, length: Duration) -> u64 {
    let milliseconds = u128::try_from(moment.as_millisecond()).expect("after 1970");
    u64::try_from(milliseconds / length.as_millis()).expect("a window's number")
}

/// The account of an address.
#[must_use]
pub fn account_id(email: &str) -> AccountId {
    AccountId::of(&code_secrets::parse_secret(ID_SECRET).expect("a secret"), &address(email))
}

/// The code of an address in a window.
#[must_use]
pub fn code(email: &str, window: u64) -> String {
    let secrets = secrets();
    VerificationCode::derive(secrets.current(), account_id(email), &address(email), window)
        .digits()
        .to_owned()
}

/// The link's token for an address in a window.
#[must_use]
pub fn link_token(email: &str, window: u64) -> String {
    let secrets = secrets();
    LinkToken::derive(secrets.current(), account_id(email), &address(email), window).to_text()
}

/// A code that is wrong for an address in this window and its neighbours; a different one for each number.
#[must_use]
pub fn wrong_code(email: &str, window: u64, number: usize) -> String {
    let right: Vec<_> = (window - 1..=window + 2).map(|window| code(email, window)).collect();
    let first: usize = right[1].parse().expect("six digits");
    let codes = (0..1_000_000).map(|distance| format!("{:06}", (first + distance) % 1_000_000));
    codes.filter(|code| !right.contains(code)).nth(number).expect("almost all codes are wrong")
}

fn secrets() -> CodeSecrets {
    CodeSecrets::parse(CODE_SECRETS).expect("secrets")
}

fn address(email: &str) -> EmailAddress {
    EmailAddress::parse(email).expect("an address")
}
