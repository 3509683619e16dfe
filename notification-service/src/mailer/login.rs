//! The login: PLAIN (RFC 4616), otherwise LOGIN. LOGIN has no RFC, and some servers know nothing else.

use super::{
    SmtpCredentials,
    failure::{Cause, Phase, ServerFailure},
    hello::Offers,
    wire::Wire,
    within,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Logs in. `limit` is the time-out of each reply.
///
/// # Errors
/// The server offers neither mechanism, or refuses the login.
pub(super) async fn login<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    offers: &Offers,
    credentials: &SmtpCredentials,
    limit: Duration,
) -> Result<(), ServerFailure> {
    let (command, answers) = lines(offers, credentials)?;
    let mut reply = within(limit, Phase::Login, wire.ask(&command)).await?;
    // Sent in this order, whatever the server's questions say: servers ask in many languages.
    for answer in answers {
        if reply.is(3) {
            reply = within(limit, Phase::Login, wire.ask(&answer)).await?;
        }
    }
    ServerFailure::unless(&reply, 2, Phase::Login)
}

/// The command, and the answers to the server's questions.
fn lines(offers: &Offers, credentials: &SmtpCredentials) -> Result<(String, Vec<String>), ServerFailure> {
    let SmtpCredentials { username, password } = credentials;
    let offered = |name: &str| offers.logins.iter().any(|login| login == name);
    let line = |text: &str| STANDARD.encode(text) + "\r\n";
    if offered("PLAIN") {
        let token = line(&format!("\0{username}\0{password}"));
        // A server that ignores the initial response asks for it.
        Ok((format!("AUTH PLAIN {token}"), vec![token]))
    } else if offered("LOGIN") {
        Ok(("AUTH LOGIN\r\n".to_owned(), vec![line(username), line(password)]))
    } else {
        Err(ServerFailure { phase: Phase::Login, cause: Cause::LoginMissing(offers_for_people(offers)) })
    }
}

fn offers_for_people(offers: &Offers) -> String {
    const SHOWN: usize = 100;
    let names = offers.logins.join(" ");
    if names.is_empty() { "none".to_owned() } else { names.chars().take(SHOWN).collect() }
}
