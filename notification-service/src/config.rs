//! The service's configuration, and where it comes from.

use crate::{
    consumer::GroupConfig,
    mailer::{self, Certificates, Encryption, SmtpConfig, SmtpCredentials},
    mailing::CommitConfig,
};
use contract::code_secrets::CodeSecrets;
use lettre::message::Mailbox;
use runtime::{
    env::{self, Env, EnvError},
    kafka::KafkaConfig,
    secret_check,
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

/// The configuration of a notification service. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Kafka is.
    pub kafka: KafkaConfig,
    /// How this process takes part in the consumer group.
    pub group: GroupConfig,
    /// When offsets are committed.
    pub commit: CommitConfig,
    /// The keys from which mailed codes are derived.
    pub code_secrets: CodeSecrets,
    /// The address of the health endpoints; port 0 takes any free one.
    pub address: SocketAddr,
    /// The mail server.
    pub smtp: SmtpConfig,
    /// Sender of all emails.
    pub mail_from: Mailbox,
    /// Where the link of an email leads, without a trailing slash.
    pub public_url: String,
}

impl Config {
    /// Reads everything from the environment.
    ///
    /// # Errors
    /// All wrong values at once.
    pub fn load(mut env: Env) -> Result<Self, EnvError> {
        let config = Self::from_env(&mut env);
        env.finish(|| config)
    }

    /// Reads everything from the environment and leaves the problems in `env`; `None` when a required value is missing.
    pub fn from_env(env: &mut Env) -> Option<Self> {
        let kafka = KafkaConfig::from_env(env);
        let code_secrets = env.required_secret(
            "CODE_SECRETS",
            "a list of key-id:base64, separated by commas, 32 bytes each",
            CodeSecrets::parse,
        );
        let default_address = SocketAddr::from((Ipv4Addr::LOCALHOST, 3007));
        let address = env.or("NOTIFICATION_SERVICE_ADDR", default_address, env::socket_address);
        let max_clock_skew = env.or("MAX_CLOCK_SKEW", Duration::from_mins(2), env::duration);
        let publish_timeout = env.or("PUBLISH_TIMEOUT", Duration::from_secs(5), env::duration);
        let group = GroupConfig {
            group: kafka.names.group(&env.or("KAFKA_GROUP", "notification-service".to_owned(), env::text)),
            instance_id: env.optional("KAFKA_GROUP_INSTANCE_ID", env::text),
            max_backlog_octets: env.or(
                "MAX_BACKLOG_BYTES",
                64 << 20,
                env::number(LEAST_BACKLOG..=usize::MAX),
            ),
            clock_tolerance: max_clock_skew.saturating_add(publish_timeout),
        };
        let smtp = smtp(env);
        let commit = CommitConfig {
            max_records: env.or("COMMIT_MAX_RECORDS", 100, env::number(1..=100_000)),
            max_wait: env.or("COMMIT_MAX_WAIT", Duration::from_millis(250), env::duration),
            max_uncommitted: env.or("MAX_UNCOMMITTED", 500, env::number(1..=1_000_000)),
        };
        if commit.max_uncommitted < smtp.connections.max(commit.max_records) {
            env.problem("MAX_UNCOMMITTED", "expected at least SMTP_CONNECTIONS and COMMIT_MAX_RECORDS");
        }
        let mail_from = env.optional("MAIL_FROM", mailbox).or_else(|| mailbox(DEFAULT_SENDER).ok());
        let public_url = env.or("PUBLIC_URL", "http://localhost:3006".to_owned(), env::web_address);
        let published_allowed = env.or("ALLOW_DEVELOPMENT_SECRETS", false, env::yes_or_no)
            || secret_check::is_local(&[address], &public_url);
        env.report(secret_check::problems(code_secrets.as_ref(), None, published_allowed));
        Some(Self {
            kafka,
            group,
            commit,
            code_secrets: code_secrets?,
            address,
            smtp,
            mail_from: mail_from?,
            public_url,
        })
    }
}

fn smtp(env: &mut Env) -> SmtpConfig {
    let username = env.optional("SMTP_USERNAME", env::text);
    let password = env.optional("SMTP_PASSWORD", env::text);
    if username.is_some() != password.is_some() {
        env.problem("SMTP_PASSWORD", "expected together with SMTP_USERNAME, or neither of the two");
    }
    let host = env.or("SMTP_HOST", "localhost".to_owned(), env::text);
    let encryption = env.or("SMTP_ENCRYPTION", Encryption::None, encryption);
    let allowed = env.or("ALLOW_PLAINTEXT_PASSWORD", false, env::yes_or_no);
    if password.is_some() && encryption == Encryption::None && !allowed && !is_loopback(&host) {
        env.problem(
            "SMTP_ENCRYPTION",
            "expected starttls or tls with SMTP_PASSWORD, as anybody on the way could read the password; \
             ALLOW_PLAINTEXT_PASSWORD=yes permits that",
        );
    }
    SmtpConfig {
        host,
        port: env.or("SMTP_PORT", 1025, env::number(1..=u16::MAX)),
        connections: env.or("SMTP_CONNECTIONS", 16, env::number(1..=1_000)),
        timeout: env.or("SMTP_TIMEOUT", Duration::from_secs(10), env::duration),
        reply_timeout: env.or("SMTP_REPLY_TIMEOUT", Duration::from_mins(5), env::duration),
        final_timeout: env.or("SMTP_FINAL_TIMEOUT", Duration::from_mins(10), env::duration),
        encryption,
        trusted: env.or("SMTP_CA_FILE", Certificates::default(), mailer::certificates),
        credentials: username.zip(password).map(|(name, password)| SmtpCredentials::new(name, password)),
        max_rate: env.or("SMTP_MAX_RATE", None, max_rate),
    }
}

/// Whether traffic to this host stays on this machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn encryption(text: &str) -> Result<Encryption, &'static str> {
    match text {
        "none" => Ok(Encryption::None),
        "starttls" => Ok(Encryption::StartTls),
        "tls" => Ok(Encryption::Tls),
        _ => Err("none, starttls or tls"),
    }
}

fn max_rate(text: &str) -> Result<Option<u32>, &'static str> {
    if text == "off" {
        return Ok(None);
    }
    env::number(1..=100_000)(text).map(Some).map_err(|_| "off, or emails a second from 1 to 100000")
}

/// Room for some dozens of records of any size.
const LEAST_BACKLOG: usize = 4 << 20;

const DEFAULT_SENDER: &str = "Two-step signup <no-reply@example.com>";

fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    const EXPECTED: &str = "a sender such as Example <no-reply@example.com>";
    let mailbox: Mailbox = text.parse().map_err(|_| EXPECTED)?;
    let harmless = !text.contains(char::is_control) && AsRef::<str>::as_ref(&mailbox.email).is_ascii();
    if harmless { Ok(mailbox) } else { Err(EXPECTED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: (&str, &str) = ("CODE_SECRETS", "k1:d2VsbC1rbm93biBkZXZlbG9wbWVudCBzZWNyZXQgMDE=");

    #[test]
    fn defaults_need_nothing_but_the_secrets() {
        let config = Config::load(Env::from_pairs([SECRETS])).unwrap();
        assert_eq!(
            (config.smtp.host.as_str(), config.smtp.port, config.smtp.connections),
            ("localhost", 1025, 16)
        );
        assert_eq!(config.address.to_string(), "127.0.0.1:3007");
        assert_eq!(
            config.group.clock_tolerance,
            Duration::from_secs(125),
            "MAX_CLOCK_SKEW and PUBLISH_TIMEOUT"
        );
        assert_eq!(config.mail_from.to_string(), "Two-step signup <no-reply@example.com>");
        assert!(!format!("{config:?}").contains("d2VsbC"));
    }

    #[test]
    fn all_wrong_values_are_listed_at_once() {
        let wrong = [
            ("NOTIFICATION_SERVICE_ADDR", "localhost"),
            ("SMTP_PORT", "70000"),
            ("SMTP_CONNECTIONS", "0"),
            ("SMTP_TIMEOUT", "10"),
            ("SMTP_REPLY_TIMEOUT", "0s"),
            ("SMTP_FINAL_TIMEOUT", "long"),
            ("SMTP_ENCRYPTION", "yes"),
            ("SMTP_CA_FILE", "/nowhere"),
            ("SMTP_PASSWORD", "alone"),
            ("ALLOW_PLAINTEXT_PASSWORD", "maybe"),
            ("SMTP_MAX_RATE", "0"),
            ("COMMIT_MAX_RECORDS", "-1"),
            ("COMMIT_MAX_WAIT", "never"),
            ("MAX_UNCOMMITTED", "many"),
            ("MAX_BACKLOG_BYTES", "4194303"),
            ("MAX_CLOCK_SKEW", "two minutes"),
            ("PUBLISH_TIMEOUT", "5"),
            ("MAIL_FROM", "nobody"),
            ("PUBLIC_URL", "javascript:alert(1)"),
        ];
        let error = Config::load(Env::from_pairs(wrong)).unwrap_err();
        let mut named: Vec<_> = error.problems().iter().map(|problem| problem.name).collect();
        named.sort_unstable();
        let mut expected: Vec<_> = wrong.iter().map(|(name, _)| *name).chain(["CODE_SECRETS"]).collect();
        expected.sort_unstable();
        assert_eq!(named, expected);
    }

    #[test]
    fn published_secrets_need_loopback_everywhere_or_the_operators_word() {
        for elsewhere in
            [("NOTIFICATION_SERVICE_ADDR", "0.0.0.0:3007"), ("PUBLIC_URL", "https://signup.example.com")]
        {
            let error = Config::load(Env::from_pairs([SECRETS, elsewhere])).unwrap_err();
            assert_eq!(
                error.problems().iter().map(|problem| problem.name).collect::<Vec<_>>(),
                ["CODE_SECRETS"]
            );
            Config::load(Env::from_pairs([SECRETS, elsewhere, ("ALLOW_DEVELOPMENT_SECRETS", "yes")]))
                .unwrap();
        }
    }

    #[test]
    fn a_bound_that_could_not_be_kept_is_refused() {
        let error = Config::load(Env::from_pairs([SECRETS, ("MAX_UNCOMMITTED", "50")])).unwrap_err();
        assert_eq!(error.problems()[0].name, "MAX_UNCOMMITTED");
    }

    #[test]
    fn a_password_in_clear_stays_on_this_machine() {
        let named = |changes: &[(&str, &str)]| {
            let login = [SECRETS, ("SMTP_USERNAME", "mailer"), ("SMTP_PASSWORD", "s3cret")];
            let loaded = Config::load(Env::from_pairs(login.iter().chain(changes).copied()));
            loaded.map(|_| ()).map_err(|error| (error.problems().len(), error.problems()[0].name))
        };
        assert_eq!(named(&[("SMTP_HOST", "mail.example.com")]), Err((1, "SMTP_ENCRYPTION")));
        assert_eq!(named(&[("SMTP_HOST", "10.0.0.1")]), Err((1, "SMTP_ENCRYPTION")));
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1"] {
            assert_eq!(named(&[("SMTP_HOST", host)]), Ok(()), "{host}");
        }
        for (name, value) in
            [("SMTP_ENCRYPTION", "tls"), ("SMTP_ENCRYPTION", "starttls"), ("ALLOW_PLAINTEXT_PASSWORD", "yes")]
        {
            assert_eq!(named(&[("SMTP_HOST", "mail.example.com"), (name, value)]), Ok(()), "{name}={value}");
        }
    }
}
