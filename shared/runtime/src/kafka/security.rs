//! Encryption of the connections to the brokers, and the services' login: what managed Kafka requires.
//!
//! librdkafka does both with OpenSSL, which it has only in a build with the feature
//! `kafka-tls`. Other builds refuse these settings at the start, since they can't apply them.

use crate::env::{self, Env};
use own_certificate::OwnCertificate;
use rdkafka::ClientConfig;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::fmt;

mod own_certificate;

const PROTOCOL: &str = "KAFKA_SECURITY_PROTOCOL";
const MECHANISM: &str = "KAFKA_SASL_MECHANISM";
const USERNAME: &str = "KAFKA_SASL_USERNAME";
const PASSWORD: &str = "KAFKA_SASL_PASSWORD";
const CA_FILE: &str = "KAFKA_CA_FILE";

/// Encryption and login of a connection; by default it has neither.
#[derive(Debug, Clone, Default)]
pub struct KafkaSecurity {
    protocol: Protocol,
    /// PEM certificates that are trusted instead of the system's.
    ca_file: Option<String>,
    /// The certificate with which the services show who they are.
    own: Option<OwnCertificate>,
    login: Option<Login>,
}

/// Kafka's names for the four ways of connecting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Protocol {
    #[default]
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

#[derive(Clone)]
struct Login {
    mechanism: Mechanism,
    username: String,
    password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl KafkaSecurity {
    /// Reads `KAFKA_SECURITY_PROTOCOL`, `KAFKA_SASL_*`, `KAFKA_CA_FILE`, `KAFKA_CERTIFICATE_FILE` and `KAFKA_KEY_FILE`.
    pub(super) fn from_env(env: &mut Env) -> Self {
        Self::read(env, cfg!(feature = "kafka-tls"))
    }

    fn read(env: &mut Env, built_in: bool) -> Self {
        let mut known = true;
        let protocol = env
            .or(PROTOCOL, Protocol::default(), |text| Protocol::parse(text).inspect_err(|_| known = false));
        let ca_file = env.optional(CA_FILE, certificates);
        let own = OwnCertificate::read(env);
        let mechanism = env.or(MECHANISM, Mechanism::ScramSha512, Mechanism::parse);
        let username = env.optional(USERNAME, env::text);
        let password = env.optional(PASSWORD, env::text);
        // Without a known protocol, the other variables can't be judged.
        if known {
            if protocol != Protocol::Plaintext && !built_in {
                env.problem(
                    PROTOCOL,
                    "expected plaintext: TLS and SASL need a build with --features kafka-tls",
                );
            }
            for (variable, given) in
                [(CA_FILE, ca_file.is_some()), (own_certificate::CERTIFICATE_FILE, own.is_some())]
            {
                if given && !protocol.has_tls() {
                    env.problem(variable, format!("expected only with {PROTOCOL}=ssl or sasl_ssl"));
                }
            }
            check_login(env, protocol, USERNAME, username.is_some());
            check_login(env, protocol, PASSWORD, password.is_some());
        }
        let login =
            username.zip(password).map(|(username, password)| Login { mechanism, username, password });
        if let Some(own) = own.as_ref().filter(|_| cfg!(feature = "kafka-tls")) {
            own.check(env);
        }
        Self { protocol, ca_file, own, login }
    }

    pub(super) fn apply(&self, client: &mut ClientConfig) {
        client.set("security.protocol", self.protocol.name());
        if self.protocol.has_tls() {
            // `probe` searches where distributions keep their certificates, whichever OpenSSL is linked.
            client.set("ssl.ca.location", self.ca_file.as_deref().unwrap_or("probe"));
        }
        if let Some(own) = &self.own {
            own.apply(client);
        }
        if let Some(login) = &self.login {
            client
                .set("sasl.mechanisms", login.mechanism.name())
                .set("sasl.username", &login.username)
                .set("sasl.password", &login.password);
        }
    }
}

fn check_login(env: &mut Env, protocol: Protocol, variable: &'static str, given: bool) {
    match (protocol.has_sasl(), given) {
        (true, false) => env.problem(variable, format!("is required with {PROTOCOL}={}", protocol.name())),
        (false, true) => {
            env.problem(variable, format!("expected only with {PROTOCOL}=sasl_ssl or sasl_plaintext"));
        }
        _ => {}
    }
}

impl Protocol {
    /// Takes any case: Kafka's own tools write these names in capitals.
    fn parse(text: &str) -> Result<Self, &'static str> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(text))
            .ok_or("plaintext, ssl, sasl_plaintext or sasl_ssl")
    }

    /// The value of librdkafka's `security.protocol`.
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl Mechanism {
    fn parse(text: &str) -> Result<Self, &'static str> {
        [Self::Plain, Self::ScramSha256, Self::ScramSha512]
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(text))
            .ok_or("PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    }

    /// The value of librdkafka's `sasl.mechanisms`.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Reads the file now: librdkafka's error would name neither the file nor the variable.
fn certificates(path: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "a readable file with certificates in PEM";
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|_| EXPECTED)?;
    if certificates.is_empty() { Err(EXPECTED) } else { Ok(path.to_owned()) }
}

#[cfg(test)]
mod tests;
