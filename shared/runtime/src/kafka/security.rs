//! Encryption of the connections to the brokers, and the services' login: what managed Kafka requires.
//!
//! librdkafka does both with OpenSSL, which it has only in a build with the feature
//! `kafka-tls`. Other builds refuse these settings at the start, since they can't apply them.

use super::token::{self, TOKEN_FILE};
use crate::{
    env::{self, Env},
    secret::{Secret, one_line},
};
use own_certificate::OwnCertificate;
use rdkafka::{
    ClientConfig, ClientContext,
    client::Client,
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{ffi::CString, fmt, time::SystemTime};

mod own_certificate;

const PROTOCOL: &str = "KAFKA_SECURITY_PROTOCOL";
const MECHANISM: &str = "KAFKA_SASL_MECHANISM";
const USERNAME: &str = "KAFKA_SASL_USERNAME";
const PASSWORD: &str = "KAFKA_SASL_PASSWORD";
const PASSWORD_FILE: &str = "KAFKA_SASL_PASSWORD_FILE";
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
    OauthBearer,
}

#[derive(Clone)]
enum Login {
    Password {
        mechanism: Mechanism,
        username: String,
        password: Secret<String>,
    },
    /// The file with the token of OAUTHBEARER.
    TokenFile(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { mechanism, username, .. } => f
                .debug_struct("Password")
                .field("mechanism", mechanism)
                .field("username", username)
                .finish_non_exhaustive(),
            Self::TokenFile(path) => f.debug_tuple("TokenFile").field(path).finish(),
        }
    }
}

impl KafkaSecurity {
    /// Reads `KAFKA_SECURITY_PROTOCOL`, `KAFKA_SASL_*`, `KAFKA_TOKEN_FILE`, `KAFKA_CA_FILE`, `KAFKA_CERTIFICATE_FILE` and `KAFKA_KEY_FILE`.
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
        let password = env.secret(PASSWORD, PASSWORD_FILE, one_line);
        let has_password = env.is_set(PASSWORD) || env.is_set(PASSWORD_FILE);
        let token_file = env.optional(TOKEN_FILE, env::text).and_then(|path| {
            let read = token::text(&path);
            read.map(|_| path).map_err(|problem| env.problem(TOKEN_FILE, problem)).ok()
        });
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
            let by_token = mechanism == Mechanism::OauthBearer;
            check_login(env, protocol, !by_token, USERNAME, username.is_some());
            check_login(env, protocol, !by_token, PASSWORD, has_password);
            let has_token = env.is_set(TOKEN_FILE);
            check_login(env, protocol, by_token, TOKEN_FILE, has_token);
        }
        let password = username.zip(password);
        let login = password
            .map(|(username, password)| Login::Password { mechanism, username, password })
            .or(token_file.map(Login::TokenFile));
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
        match &self.login {
            Some(Login::Password { mechanism, username, password }) => {
                client
                    .set("sasl.mechanisms", mechanism.name())
                    .set("sasl.username", username)
                    .set("sasl.password", password.renewed());
            }
            Some(Login::TokenFile(path)) => {
                // librdkafka hands the second to `ClientLog` when it asks for a token.
                client
                    .set("sasl.mechanisms", Mechanism::OauthBearer.name())
                    .set("sasl.oauthbearer.config", path);
            }
            None => {}
        }
    }

    /// Gives a client that is never polled its token, since librdkafka asks for tokens in polls only.
    ///
    /// # Errors
    /// When there is no valid token.
    #[expect(unsafe_code, reason = "rdkafka has no safe function for it")]
    pub(super) fn sign_in<C: ClientContext>(&self, client: &Client<C>) -> KafkaResult<()> {
        let Some(Login::TokenFile(path)) = &self.login else { return Ok(()) };
        let failed = |reason: String| KafkaError::ClientCreation(reason);
        let token = token::read(path, SystemTime::now()).map_err(failed)?;
        let text = CString::new(token.token).map_err(|_| failed("a token with a zero".to_owned()))?;
        let mut reason = [0; 512];
        // SAFETY: the client outlives the call, librdkafka copies the strings, and the buffer has the given size.
        let code = unsafe {
            rdkafka::bindings::rd_kafka_oauthbearer_set_token(
                client.native_ptr(),
                text.as_ptr(),
                token.lifetime_ms,
                c"".as_ptr(),
                std::ptr::null_mut(),
                0,
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(());
        }
        let octets: Vec<_> =
            reason.iter().map_while(|it| u8::try_from(*it).ok().filter(|it| *it != 0)).collect();
        Err(failed(String::from_utf8_lossy(&octets).into_owned()))
    }

    /// As [`Secret::file`], of the password. Of a token: whether the file has one now that has not expired. Reads it.
    #[must_use]
    pub fn secret_file(&self) -> Option<(&'static str, bool)> {
        match self.login.as_ref()? {
            Login::Password { password, .. } => password.file(),
            Login::TokenFile(path) => Some((TOKEN_FILE, token::read(path, SystemTime::now()).is_ok())),
        }
    }

    /// Name and password, if the password is in a file and may have changed.
    pub(super) fn login_from_file(&self) -> Option<(&str, String)> {
        match self.login.as_ref()? {
            Login::Password { username, password, .. } if password.is_from_file() => {
                Some((username, password.renewed()))
            }
            Login::Password { .. } | Login::TokenFile(_) => None,
        }
    }
}

/// `wanted`: whether the mechanism takes this variable.
fn check_login(env: &mut Env, protocol: Protocol, wanted: bool, variable: &'static str, given: bool) {
    match (protocol.has_sasl(), wanted, given) {
        (true, true, false) => {
            env.problem(variable, format!("is required with {PROTOCOL}={}", protocol.name()))
        }
        (false, _, true) => {
            env.problem(variable, format!("expected only with {PROTOCOL}=sasl_ssl or sasl_plaintext"));
        }
        (true, false, true) if variable == TOKEN_FILE => {
            env.problem(variable, format!("expected only with {MECHANISM}=OAUTHBEARER"));
        }
        (true, false, true) => {
            env.problem(variable, format!("expected only with another {MECHANISM} than OAUTHBEARER"));
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
        [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OauthBearer]
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(text))
            .ok_or("PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER")
    }

    /// The value of librdkafka's `sasl.mechanisms`.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
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
