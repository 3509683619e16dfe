//! The login, by the first mechanism that both sides know (RFC 4954).

use super::{
    credentials::{Mechanism, SmtpCredentials},
    failure::{Cause, Phase, ServerFailure},
    hello::Offers,
    reply::Reply,
    wire::Wire,
    within,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// The longest AUTH command in octets. A longer initial response waits for the server's question (RFC 4954, section 4).
const LONGEST_COMMAND: usize = 512;

/// What both sides have to know to log in.
pub(super) struct Login<'a> {
    pub(super) credentials: &'a SmtpCredentials,
    /// Password or token, as it was read for this connection.
    pub(super) secret: &'a str,
    /// Of the server, as the client has it; OAUTHBEARER names them.
    pub(super) host: &'a str,
    pub(super) port: u16,
}

impl Login<'_> {
    /// Logs in. `limit` is the time-out of each reply.
    ///
    /// # Errors
    /// The server offers no mechanism of ours, or refuses the login.
    pub(super) async fn say<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &mut Wire<S>,
        offers: &Offers,
        limit: Duration,
    ) -> Result<(), ServerFailure> {
        let mechanism = self.mechanism(offers)?;
        let (command, answers) = self.lines(mechanism);
        let mut reply = within(limit, Phase::Login, wire.ask(&command)).await?;
        // Sent in this order, whatever the server's questions say: servers ask in many languages.
        for answer in answers {
            if reply.is(3) && !is_refusal(mechanism, &reply) {
                reply = within(limit, Phase::Login, wire.ask(&answer)).await?;
            }
        }
        if !mechanism.takes_a_token() {
            return ServerFailure::unless(&reply, 2, Phase::Login);
        }
        let mut said = None;
        if is_refusal(mechanism, &reply) {
            said = error_of(&reply);
            // The server refuses the token in its reply to this (RFC 7628, section 3.2.3).
            reply = within(limit, Phase::Login, wire.ask(end_of_refused(mechanism))).await?;
        }
        match reply.code {
            200..300 => Ok(()),
            // About the connection, not the token.
            421 => Err(ServerFailure::reply(Phase::Login, &reply)),
            _ => {
                let cause = Cause::TokenRefused { status: reply.status(), said };
                Err(ServerFailure { phase: Phase::Login, cause })
            }
        }
    }

    fn mechanism(&self, offers: &Offers) -> Result<Mechanism, ServerFailure> {
        let ours = self.credentials.mechanisms;
        let is_offered = |mechanism: &Mechanism| offers.logins.iter().any(|login| login == mechanism.name());
        ours.iter().copied().find(is_offered).ok_or_else(|| {
            let wanted = ours.iter().map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(" or ");
            let cause = Cause::LoginMissing { wanted, offered: offers_for_people(offers) };
            ServerFailure { phase: Phase::Login, cause }
        })
    }

    /// The command, and the answers to the server's questions.
    fn lines(&self, mechanism: Mechanism) -> (String, Vec<String>) {
        let Self { credentials: SmtpCredentials { username, .. }, secret, host, port } = self;
        let line = |text: &str| STANDARD.encode(text) + "\r\n";
        let initial = line(&match mechanism {
            Mechanism::Login => return ("AUTH LOGIN\r\n".to_owned(), vec![line(username), line(secret)]),
            Mechanism::Plain => format!("\0{username}\0{secret}"),
            Mechanism::XOAuth2 => format!("user={username}\x01auth=Bearer {secret}\x01\x01"),
            Mechanism::OAuthBearer => {
                // A saslname (RFC 5801, section 4).
                let name = username.replace('=', "=3D").replace(',', "=2C");
                format!("n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {secret}\x01\x01")
            }
        });
        let command = format!("AUTH {} {initial}", mechanism.name());
        // A server that ignores the initial response asks for it.
        if command.len() <= LONGEST_COMMAND {
            (command, vec![initial])
        } else {
            (format!("AUTH {}\r\n", mechanism.name()), vec![initial])
        }
    }
}

/// Whether a question is none: it has the reason why the token is refused.
fn is_refusal(mechanism: Mechanism, reply: &Reply) -> bool {
    mechanism.takes_a_token() && reply.is(3) && error_of(reply).is_some()
}

/// The end of the exchange that the server waits for: an empty response for XOAUTH2, an octet 1 for OAUTHBEARER.
fn end_of_refused(mechanism: Mechanism) -> &'static str {
    if mechanism == Mechanism::OAuthBearer { "AQ==\r\n" } else { "\r\n" }
}

/// The `status` of a refused token, such as `invalid_token` or `401`. No other field is fit for a log.
fn error_of(reply: &Reply) -> Option<String> {
    const LONGEST: usize = 40;
    let json = STANDARD.decode(reply.text.trim()).ok()?;
    let error: serde_json::Value = serde_json::from_slice(&json).ok()?;
    let word = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let status = error.as_object()?.get("status").map(|status| {
        status
            .as_str()
            .map_or_else(|| status.to_string(), str::to_owned)
            .chars()
            .filter(word)
            .take(LONGEST)
            .collect()
    });
    Some(status.unwrap_or_default())
}

fn offers_for_people(offers: &Offers) -> String {
    const SHOWN: usize = 100;
    let names = offers.logins.join(" ");
    if names.is_empty() { "none".to_owned() } else { names.chars().take(SHOWN).collect() }
}
