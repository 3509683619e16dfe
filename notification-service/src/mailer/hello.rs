//! The start of a session: the greeting, EHLO, and the server's extensions (RFC 5321, sections 3.1 and 3.2).

use super::{
    Encryption, Mailer,
    failure::{Cause, Phase, ServerFailure},
    reply::Reply,
    wire::Wire,
    within,
};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    pin::pin,
    sync::atomic::Ordering,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout},
};

/// The extensions in the reply to EHLO that are used here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// PIPELINING (RFC 2920).
    pub(super) pipelining: bool,
    /// Addresses in UTF-8 (RFC 6531).
    pub(super) smtputf8: bool,
    /// Content in UTF-8 (RFC 6152).
    pub(super) eight_bit_mime: bool,
    /// TLS (RFC 3207).
    pub(super) starttls: bool,
    /// The mechanisms of AUTH (RFC 4954), in upper case.
    pub(super) logins: Vec<String>,
}

impl Offers {
    /// Keywords are case-insensitive. Servers wrote `AUTH=LOGIN` for clients of the nineties; some write only that.
    fn of(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.text.to_ascii_uppercase().lines() {
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("8BITMIME") => offers.eight_bit_mime = true,
                Some("STARTTLS") => offers.starttls = true,
                Some("AUTH") => offers.logins.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        offers
    }
}

impl Mailer {
    /// Waits for the greeting. After `SMTP_TIMEOUT` it logs that it is still waiting.
    pub(super) async fn greeting<S>(&self, wire: &mut Wire<S>) -> Result<(), ServerFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let in_clear = self.config.encryption != Encryption::Tls;
        let mut waited = false;
        let mut greeting = pin!(timeout(self.config.reply_timeout, wire.reply()));
        let greeting = tokio::select! {
            greeting = &mut greeting => greeting,
            () = sleep(self.config.timeout) => {
                waited = true;
                if !self.silence_noted.swap(true, Ordering::Relaxed) {
                    let hint = if in_clear { Cause::NoGreeting.to_string() } else { "no greeting".to_owned() };
                    let hint = self.config.number.naming(&hint);
                    log::warn!("waited_ms" = self.config.timeout.as_millis(); "mail server connected, but {hint}; still waiting");
                }
                greeting.await
            }
        };
        let failed = |cause| match cause {
            // A server that waits for a handshake is silent until one side gives up.
            Cause::Timeout if in_clear => Cause::NoGreeting,
            Cause::Broken if in_clear && waited => Cause::NoGreeting,
            other => other,
        };
        let greeting = greeting.unwrap_or(Err(Cause::Timeout)).map_err(failed);
        let greeting = greeting.map_err(|cause| ServerFailure { phase: Phase::Greeting, cause })?;
        self.silence_noted.store(false, Ordering::Relaxed);
        ServerFailure::unless_welcome(&greeting)
    }

    /// Sends EHLO, and HELO to a server that refuses EHLO.
    pub(super) async fn hello<S>(&self, wire: &mut Wire<S>) -> Result<Offers, ServerFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let limit = self.config.reply_timeout;
        let extended =
            within(limit, Phase::Greeting, wire.ask(&format!("EHLO {}\r\n", self.config.hello))).await?;
        if !extended.is(5) {
            return ServerFailure::unless_welcome(&extended).map(|()| Offers::of(&extended));
        }
        let plain =
            within(limit, Phase::Greeting, wire.ask(&format!("HELO {}\r\n", self.config.hello))).await;
        match plain {
            Ok(reply) if reply.is(2) => Ok(Offers::default()),
            // The first refusal says more.
            _ => Err(ServerFailure::reply(Phase::Greeting, &extended)),
        }
    }
}

/// Parses the name of this client: a domain, or an address such as `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321, sections
/// 2.3.5 and 4.1.3).
///
/// # Errors
/// What was expected.
pub(crate) fn hello_name(text: &str) -> Result<String, &'static str> {
    let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let valid = match literal {
        Some(address) => match address.strip_prefix("IPv6:") {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => address.parse::<Ipv4Addr>().is_ok(),
        },
        None => text.len() <= 253 && text.split('.').all(is_label),
    };
    if valid { Ok(text.to_owned()) } else { Err("a host name such as signup.example.com, or [192.0.2.1]") }
}

/// One part of a host name.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_name_or_an_address_in_brackets() {
        for name in
            ["signup.example.com", "mail-1", "xn--bcher-kva.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"]
        {
            assert_eq!(hello_name(name).as_deref(), Ok(name));
        }
        let long = format!("{}.example", "a".repeat(64));
        for name in [
            "",
            "signup example",
            "signup_1.example",
            "-a.example",
            "a-.example",
            "a..example",
            "example.com.",
            "b\u{fc}cher.example",
            "a\r\nMAIL FROM:<x>",
            "[192.0.2]",
            "[2001:db8::1]",
            "[IPv6:192.0.2.1]",
            "[a]",
            &long,
        ] {
            assert!(hello_name(name).is_err(), "{name:?}");
        }
    }

    fn offers(lines: &[&str]) -> Offers {
        Offers::of(&Reply { code: 250, enhanced: None, text: lines.join("\n") })
    }

    #[test]
    fn keywords_count_in_any_case_and_unknown_ones_not_at_all() {
        let all =
            offers(&["odd.test hello", "pipelining", "8BitMime", "SIZE 1000", "smtputf8", "StartTLS", "X"]);
        let expected =
            Offers { pipelining: true, smtputf8: true, eight_bit_mime: true, starttls: true, logins: vec![] };
        assert_eq!(all, expected);
        assert_eq!(offers(&["odd.test", "PIPELININGS", ""]), Offers::default());
    }

    #[test]
    fn logins_are_read_in_both_forms() {
        assert_eq!(offers(&["x", "AUTH PLAIN LOGIN", "AUTH=LOGIN"]).logins, ["PLAIN", "LOGIN", "LOGIN"]);
        assert_eq!(offers(&["x", "AUTH=LOGIN plain"]).logins, ["LOGIN", "PLAIN"]);
        assert_eq!(offers(&["x", "auth xoauth2"]).logins, ["XOAUTH2"]);
    }
}
