//! A broker that knows its clients by their certificates (mTLS).

use super::{
    CONTROLLER, Kafka,
    certificates::{Authority, Validity},
};
use crate::{ports, service::Service};
use std::path::PathBuf;

/// The files and addresses of such a broker.
#[derive(Debug)]
pub struct MutualTls {
    folder: PathBuf,
    port: u16,
    expired_port: u16,
}

impl Kafka {
    /// Replaces the listener of a broker that was never started by one that requires a certificate, and adds one whose own
    /// certificate has expired.
    pub fn require_certificates(&mut self) -> MutualTls {
        std::fs::create_dir_all(&self.folder).expect("a folder");
        let access = MutualTls { folder: self.folder.clone(), port: self.port, expired_port: ports::free() };
        let file = |name: &str| self.folder.join(name);
        let (authority, stranger) = (Authority::new(), Authority::new());
        authority.write(&file("ca.pem"));
        for (name, authority, validity) in [
            ("broker", &authority, Validity::Now),
            ("expired-broker", &authority, Validity::Expired),
            ("client", &authority, Validity::Now),
            ("expired-client", &authority, Validity::Expired),
            ("stranger", &stranger, Validity::Now),
        ] {
            let certificate = authority.certify(name, validity);
            certificate.write(&file(&format!("{name}.pem")), &file(&format!("{name}.key")));
            certificate.write(&file(&format!("{name}.store")), &file(&format!("{name}.store")));
        }
        let (port, expired_port, controller) = (self.port, access.expired_port, self.port + CONTROLLER);
        self.settings = vec![
            format!(
                "listeners=SSL://127.0.0.1:{port},EXPIRED://127.0.0.1:{expired_port},CONTROLLER://127.0.0.1:{controller}"
            ),
            format!("advertised.listeners=SSL://localhost:{port},EXPIRED://localhost:{expired_port}"),
            "listener.security.protocol.map=SSL:SSL,EXPIRED:SSL,CONTROLLER:PLAINTEXT".to_owned(),
            "inter.broker.listener.name=SSL".to_owned(),
            "ssl.client.auth=required".to_owned(),
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", file("broker.store").display()),
            format!("listener.name.expired.ssl.keystore.location={}", file("expired-broker.store").display()),
            "ssl.truststore.type=PEM".to_owned(),
            format!("ssl.truststore.location={}", file("ca.pem").display()),
        ];
        access
    }
}

impl MutualTls {
    /// Lets a service in, with its own certificate.
    #[must_use]
    pub fn with_certificate(&self, service: Service) -> Service {
        self.with_certificate_of("client", self.without_certificate(service))
    }

    /// Leads a service to the broker, which it trusts, without a certificate of its own.
    #[must_use]
    pub fn without_certificate(&self, service: Service) -> Service {
        self.to("localhost", self.port, service)
            .with("KAFKA_SECURITY_PROTOCOL", "ssl")
            .with("KAFKA_CA_FILE", &self.file("ca.pem"))
    }

    /// Gives a service another certificate: that of `expired-client`, or of a `stranger`, whom the broker does not trust.
    #[must_use]
    pub fn with_certificate_of(&self, name: &str, service: Service) -> Service {
        service
            .with("KAFKA_CERTIFICATE_FILE", &self.file(&format!("{name}.pem")))
            .with("KAFKA_KEY_FILE", &self.file(&format!("{name}.key")))
    }

    /// Leads a service to the listener whose certificate has expired.
    #[must_use]
    pub fn to_expired_broker(&self, service: Service) -> Service {
        self.to("localhost", self.expired_port, service)
    }

    /// Leads a service to the broker under a name that is not in its certificate.
    #[must_use]
    pub fn under_another_name(&self, service: Service) -> Service {
        self.to("127.0.0.1", self.port, service)
    }

    /// The key of somebody else's certificate.
    #[must_use]
    pub fn foreign_key(&self) -> String {
        self.file("stranger.key")
    }

    fn to(&self, host: &str, port: u16, service: Service) -> Service {
        service.with("KAFKA_BROKERS", &format!("{host}:{port}"))
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().expect("a path in UTF-8").to_owned()
    }
}
