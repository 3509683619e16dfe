//! The service's configuration, and where it comes from.

use crate::{consumer::GroupConfig, email::Mails, mailer::SmtpConfig, mailing::CommitConfig, sender::Sender};
use contract::code_secrets::CodeSecrets;
use runtime::{
    env::{self, Env, EnvError},
    kafka::KafkaConfig,
    secret_check::{self, KeyRing},
    spans::SpansConfig,
    texts_watch,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use texts::Kept;

pub(crate) mod smtp;

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
    pub code_secrets: KeyRing,
    /// The address of the health endpoints; port 0 takes any free one.
    pub address: SocketAddr,
    /// The mail servers, in the order in which they are preferred; one or more.
    pub smtp: Vec<SmtpConfig>,
    /// Sender of all emails.
    pub sender: Sender,
    /// Where the link of an email leads, without a trailing slash.
    pub public_url: String,
    /// The mails' words, in all languages.
    pub mails: Arc<Kept<Mails>>,
    /// Where spans go.
    pub spans: SpansConfig,
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
            "CODE_SECRETS_FILE",
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
        let sender = Sender::from_env(env);
        let hello = sender.as_ref().map_or("", |sender| sender.from.email.domain());
        let smtp = smtp::from_env(env, hello);
        let commit = CommitConfig {
            max_records: env.or("COMMIT_MAX_RECORDS", 100, env::number(1..=100_000)),
            max_wait: env.or("COMMIT_MAX_WAIT", Duration::from_millis(250), env::duration),
            max_uncommitted: env.or("MAX_UNCOMMITTED", 500, env::number(1..=1_000_000)),
        };
        let sessions = smtp.iter().map(|server| server.connections).max().unwrap_or(0);
        if commit.max_uncommitted < sessions.max(commit.max_records) {
            env.problem("MAX_UNCOMMITTED", "expected at least SMTP_CONNECTIONS and COMMIT_MAX_RECORDS");
        }
        let public_url = public_url(env);
        let link = public_url.clone();
        let mails = texts_watch::from_env(env, move |texts, folder, faults| {
            Mails::build(texts, folder, &link, faults)
        });
        let published_allowed = env.or("ALLOW_DEVELOPMENT_SECRETS", false, env::yes_or_no)
            || secret_check::is_local(&[address], &public_url);
        let code_secrets = secret_check::check(env, code_secrets, None, published_allowed);
        Some(Self {
            kafka,
            group,
            commit,
            code_secrets: code_secrets?,
            address,
            smtp,
            sender: sender?,
            public_url,
            mails: mails?,
            spans: SpansConfig::from_env(env, "notification-service", env!("CARGO_PKG_VERSION")),
        })
    }
}

/// Where the mails' links lead.
pub(crate) fn public_url(env: &mut Env) -> String {
    env.or("PUBLIC_URL", "http://localhost:3006".to_owned(), env::web_address)
}

/// Room for some dozens of records of any size.
const LEAST_BACKLOG: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: (&str, &str) = ("CODE_SECRETS", "k1:d2VsbC1rbm93biBkZXZlbG9wbWVudCBzZWNyZXQgMDE=");

    #[test]
    fn defaults_need_nothing_but_the_secrets() {
        let config = Config::load(Env::from_pairs([SECRETS])).unwrap();
        assert_eq!(
            (config.smtp[0].host.as_str(), config.smtp[0].port, config.smtp[0].connections),
            ("localhost", 1025, 16)
        );
        assert_eq!(config.smtp.len(), 1);
        assert_eq!(config.address.to_string(), "127.0.0.1:3007");
        assert_eq!(
            config.group.clock_tolerance,
            Duration::from_secs(125),
            "MAX_CLOCK_SKEW and PUBLISH_TIMEOUT"
        );
        assert_eq!(config.sender.from.to_string(), "Two-step signup <no-reply@example.com>");
        assert!(!format!("{config:?}").contains("d2VsbC"));
    }

    #[test]
    fn all_wrong_values_are_listed_at_once() {
        let wrong = [
            ("NOTIFICATION_SERVICE_ADDR", "localhost"),
            ("SMTP_HELLO_NAME", "signup example"),
            ("SMTP_PORT", "70000"),
            ("SMTP_CONNECTIONS", "0"),
            ("SMTP_TIMEOUT", "10"),
            ("SMTP_REPLY_TIMEOUT", "0s"),
            ("SMTP_FINAL_TIMEOUT", "long"),
            ("SMTP_ENCRYPTION", "yes"),
            ("SMTP_CA_FILE", "/nowhere"),
            ("SMTP_PASSWORD_FILE", "/nowhere"),
            ("SMTP_AUTH", "cram-md5"),
            ("SMTP_CERTIFICATE_FILE", "/nowhere"),
            ("ALLOW_PLAINTEXT_PASSWORD", "maybe"),
            ("SMTP_MAX_RATE", "0"),
            ("COMMIT_MAX_RECORDS", "-1"),
            ("COMMIT_MAX_WAIT", "never"),
            ("MAX_UNCOMMITTED", "many"),
            ("MAX_BACKLOG_BYTES", "4194303"),
            ("MAX_CLOCK_SKEW", "two minutes"),
            ("PUBLISH_TIMEOUT", "5"),
            ("MAIL_FROM", "nobody"),
            ("MAIL_RETURN_PATH", "nobody"),
            ("MAIL_REPLY_TO", "nobody"),
            ("MAIL_HEADERS", "Subject: mine"),
            ("PUBLIC_URL", "javascript:alert(1)"),
        ];
        let error = Config::load(Env::from_pairs(wrong)).unwrap_err();
        let mut named: Vec<_> = error.problems().iter().map(|problem| problem.name).collect();
        named.sort_unstable();
        let mut expected: Vec<_> =
            wrong.iter().map(|(name, _)| *name).chain(["CODE_SECRETS", "SMTP_USERNAME"]).collect();
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
}
