//! A broker like a managed one: it accepts only TLS with a login.
//!
//! Its certificate and its users are made for one test, so nothing else trusts them.

use super::{
    CONTROLLER, Kafka,
    certificates::{Authority, Validity},
};
use crate::service::Service;
use std::path::{Path, PathBuf};

/// The password of every user. This text occurs nowhere else in a log.
pub const PASSWORD: &str = "correct-horse-battery-staple";
const KAFKA: &str = "org.apache.kafka.common.security";

/// The credentials for such a broker.
#[derive(Debug)]
pub struct SaslSsl {
    bootstrap: String,
    plain_listener: String,
    ca_file: PathBuf,
}

impl Kafka {
    /// Replaces the listener of a broker that was never started by a SASL_SSL one. User `scram` logs in with SCRAM-SHA-512,
    /// and the users `plain`, `team-a` and `team-b` with PLAIN.
    pub fn require_tls_and_login(&mut self) -> SaslSsl {
        std::fs::create_dir_all(&self.folder).expect("a folder");
        let (ca_file, key_store) = (self.folder.join("ca.pem"), self.folder.join("broker.pem"));
        let authority = Authority::new();
        authority.write(&ca_file);
        authority.certify("broker", Validity::Now).write(&key_store, &key_store);
        let (port, controller) = (self.port, self.port + CONTROLLER);
        let users = ["plain", "team-a", "team-b"].map(|user| format!("user_{user}=\"{PASSWORD}\"")).join(" ");
        let (ca, keys) = (ca_file.display(), key_store.display());
        self.settings = vec![
            format!("listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"),
            format!("advertised.listeners=SASL_SSL://localhost:{port}"),
            "listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT".to_owned(),
            "inter.broker.listener.name=SASL_SSL".to_owned(),
            "sasl.mechanism.inter.broker.protocol=PLAIN".to_owned(),
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER".to_owned(),
            // Kafka's own module for tests: it takes unsigned tokens.
            format!(
                "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={KAFKA}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"
            ),
            // A session ends with its token, at the latest after this time.
            "listener.name.sasl_ssl.oauthbearer.connections.max.reauth.ms=60000".to_owned(),
            format!(
                "listener.name.sasl_ssl.plain.sasl.jaas.config={KAFKA}.plain.PlainLoginModule required {users};"
            ),
            format!(
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={KAFKA}.scram.ScramLoginModule required;"
            ),
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={keys}"),
            "ssl.truststore.type=PEM".to_owned(),
            format!("ssl.truststore.location={ca}"),
        ];
        self.scram_users = vec![format!("SCRAM-SHA-512=[name=scram,password={PASSWORD}]")];
        SaslSsl {
            bootstrap: format!("localhost:{port}"),
            plain_listener: format!("localhost:{controller}"),
            ca_file,
        }
    }
}

impl SaslSsl {
    /// Lets a service log in as the user `scram`.
    #[must_use]
    pub fn with_scram(&self, service: Service) -> Service {
        // This mechanism is the default.
        self.with_login(service, "scram")
    }

    /// Lets a service log in with PLAIN, as this user.
    #[must_use]
    pub fn with_plain(&self, service: Service, user: &str) -> Service {
        self.with_login(service, user).with("KAFKA_SASL_MECHANISM", "PLAIN")
    }

    /// Lets a service log in with the token in this file.
    #[must_use]
    pub fn with_token(&self, service: Service, file: &Path) -> Service {
        self.to_broker(service)
            .with("KAFKA_SASL_MECHANISM", "OAUTHBEARER")
            .with("KAFKA_TOKEN_FILE", file.to_str().expect("a path in UTF-8"))
    }

    /// Leads a service that has a login to the broker without TLS.
    #[must_use]
    pub fn without_tls(&self, service: Service) -> Service {
        service.with("KAFKA_SECURITY_PROTOCOL", "sasl_plaintext").with("KAFKA_CA_FILE", "")
    }

    /// Leads a service to a listener that has neither TLS nor a login: that of the controller.
    #[must_use]
    pub fn to_plain_listener(&self, service: Service) -> Service {
        service.with("KAFKA_BROKERS", &self.plain_listener)
    }

    fn with_login(&self, service: Service, user: &str) -> Service {
        self.to_broker(service).with("KAFKA_SASL_USERNAME", user).with("KAFKA_SASL_PASSWORD", PASSWORD)
    }

    fn to_broker(&self, service: Service) -> Service {
        service
            .with("KAFKA_BROKERS", &self.bootstrap)
            .with("KAFKA_SECURITY_PROTOCOL", "sasl_ssl")
            .with("KAFKA_CA_FILE", self.ca_file.to_str().expect("a path in UTF-8"))
    }
}
