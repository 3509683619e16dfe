//! TLS to the mail server: certificates are always verified, against the system's roots and those of `SMTP_CA_FILE`.

use super::{
    SmtpConfig,
    failure::{Phase, ServerFailure},
};
use anyhow::Context;
use std::{fmt, path::Path, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// Certificates that are trusted besides the system's; `Debug` shows how many.
#[derive(Clone, Default)]
pub struct Certificates(Vec<CertificateDer<'static>>);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.0.len())
    }
}

/// How connections are made safe, and whom they must reach.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    pub(super) fn new(config: &SmtpConfig) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            log::warn!("error" = error.to_string().as_str(); "some of the system's root certificates can't be read");
        }
        roots.add_parsable_certificates(system.certs);
        for certificate in &config.trusted.0 {
            roots.add(certificate.clone()).context("SMTP_CA_FILE has a certificate that can't be trusted")?;
        }
        // The provider is named, as another part of the process may have brought a second one.
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name =
            ServerName::try_from(config.host.clone()).context("SMTP_HOST can't be in a certificate")?;
        Ok(Self { connector: TlsConnector::from(Arc::new(client)), name })
    }

    pub(super) async fn handshake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, ServerFailure> {
        let shaken = self.connector.connect(self.name.clone(), stream).await;
        shaken.map_err(|error| ServerFailure::io(Phase::Tls, &error))
    }
}

/// Reads all certificates of a PEM file.
///
/// # Errors
/// What was expected.
pub(crate) fn certificates(path: &str) -> Result<Certificates, &'static str> {
    const EXPECTED: &str = "a readable file with certificates in PEM";
    let certificates = CertificateDer::pem_file_iter(Path::new(path))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|_| EXPECTED)?;
    if certificates.is_empty() { Err(EXPECTED) } else { Ok(Certificates(certificates)) }
}
