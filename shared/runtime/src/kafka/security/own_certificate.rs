//! The services' own certificate: with it the brokers know who connects (mTLS).
//!
//! librdkafka reads the files when a client is made. A renewed certificate is used from the next start on.

use super::certificates;
use crate::env::Env;
use rdkafka::{ClientConfig, config::RDKafkaLogLevel, producer::BaseProducer};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

pub(super) const CERTIFICATE_FILE: &str = "KAFKA_CERTIFICATE_FILE";
pub(super) const KEY_FILE: &str = "KAFKA_KEY_FILE";

/// Both files, in PEM. The certificate may be followed by those between it and its authority.
#[derive(Debug, Clone)]
pub(super) struct OwnCertificate {
    certificate_file: String,
    key_file: String,
}

impl OwnCertificate {
    /// Reads both variables, or neither.
    pub(super) fn read(env: &mut Env) -> Option<Self> {
        let (mut has_certificate, mut has_key) = (false, false);
        let certificate_file = env.optional(CERTIFICATE_FILE, |path| {
            has_certificate = true;
            certificates(path)
        });
        let key_file = env.optional(KEY_FILE, |path| {
            has_key = true;
            key(path)
        });
        match (has_certificate, has_key) {
            (true, false) => env.problem(KEY_FILE, format!("is required with {CERTIFICATE_FILE}")),
            (false, true) => env.problem(CERTIFICATE_FILE, format!("is required with {KEY_FILE}")),
            _ => {}
        }
        Some(Self { certificate_file: certificate_file?, key_file: key_file? })
    }

    /// Lets librdkafka load the files. Otherwise each client would fail by itself, without the variables' names.
    pub(super) fn check(&self, env: &mut Env) {
        let mut client = ClientConfig::new();
        client.set("security.protocol", "ssl").set_log_level(RDKafkaLogLevel::Emerg);
        self.apply(&mut client);
        if let Err(error) = client.create::<BaseProducer>() {
            env.problem(
                CERTIFICATE_FILE,
                format!("expected the certificate of the key in {KEY_FILE}; OpenSSL says: {error}"),
            );
        }
    }

    pub(super) fn apply(&self, client: &mut ClientConfig) {
        client
            .set("ssl.certificate.location", &self.certificate_file)
            .set("ssl.key.location", &self.key_file);
    }
}

fn key(path: &str) -> Result<String, &'static str> {
    match PrivateKeyDer::from_pem_file(path) {
        Ok(_) => Ok(path.to_owned()),
        Err(_) => Err("a readable file with an unencrypted private key in PEM"),
    }
}
