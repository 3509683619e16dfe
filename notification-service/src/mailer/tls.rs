//! TLS to the mail server. Its certificates are always verified, against the system's roots and those of `SMTP_CA_FILE`.
//!
//! Many relays have a self-signed certificate that declares itself an authority, as `openssl req -x509` makes it. The usual
//! verification refuses such a certificate for a server. If `SMTP_CA_FILE` contains exactly this certificate, it is
//! accepted, while it is valid and for the names in it.

use super::{
    SmtpConfig,
    credentials::{ClientKey, ShowsPresentKey},
    failure::Cause,
};
use anyhow::Context;
use runtime::secret::Secret;
use std::{fmt, io, path::Path, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
        SignatureScheme,
        client::{
            Resumption, WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
            verify_server_name,
        },
        crypto::ring,
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
        server::ParsedCertificate,
    },
};

/// Certificates that are trusted besides the system's; `Debug` shows their number.
#[derive(Clone, Default)]
pub struct Certificates(Vec<CertificateDer<'static>>);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.0.len())
    }
}

/// The TLS settings, and the name that the server's certificate must have.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// Read anew for each handshake.
    key: Option<Secret<ClientKey>>,
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
        // Names the provider explicitly: another part of the process may have registered a second one.
        let provider = Arc::new(ring::default_provider());
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = Verifier {
            authorities: authorities.build().context("no certificate is trusted")?,
            trusted: config.trusted.clone(),
        };
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let client = match &config.client_key {
            None => client.with_no_client_auth(),
            Some(key) => {
                let mut client = client.with_client_cert_resolver(Arc::new(ShowsPresentKey(key.clone())));
                // A resumed session would be that of an earlier certificate.
                client.resumption = Resumption::disabled();
                client
            }
        };
        let name =
            ServerName::try_from(config.host.clone()).context("SMTP_HOST can't be in a certificate")?;
        Ok(Self { connector: TlsConnector::from(Arc::new(client)), name, key: config.client_key.clone() })
    }

    pub(super) async fn handshake(&self, stream: TcpStream) -> Result<Box<TlsStream<TcpStream>>, Cause> {
        if let Some(key) = &self.key {
            // The handshake takes it from there.
            let _ = key.renew().await;
        }
        let shaken = self.connector.connect(self.name.clone(), stream).await;
        shaken.map(Box::new).map_err(|error| {
            let tls = error.get_ref().and_then(|error| error.downcast_ref());
            match tls {
                // Most likely the clear-text greeting of a server.
                Some(Error::InvalidMessage(_)) => Cause::NotTls,
                Some(Error::AlertReceived(alert)) => of_alert(*alert),
                _ => Cause::Io(error.to_string()),
            }
        })
    }
}

/// Why a connection broke, if the server said so with a TLS alert.
pub(super) fn alert(error: &io::Error) -> Option<Cause> {
    match error.get_ref()?.downcast_ref()? {
        Error::AlertReceived(alert) => Some(of_alert(*alert)),
        _ => None,
    }
}

fn of_alert(alert: AlertDescription) -> Cause {
    let ended = format!("ended TLS with the alert {alert:?}");
    match alert {
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRequired
        | AlertDescription::NoCertificate
        // The signature is not that of the authority with this name.
        | AlertDescription::DecryptError
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => Cause::CertificateRefused(ended),
        _ => Cause::Io(format!("the server {ended}")),
    }
}

/// Verifies against the authorities, and accepts a self-signed certificate of `SMTP_CA_FILE`.
#[derive(Debug)]
struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    trusted: Certificates,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.authorities.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        match verified {
            // An authority in place of a server. Its dates have been checked before this error.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.trusted.0.iter().any(|trusted| trusted == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        signed: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(signed, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        signed: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(signed, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Reads all certificates of a PEM file.
///
/// # Errors
/// The expected form of the file.
pub(crate) fn certificates(path: &str) -> Result<Certificates, &'static str> {
    const EXPECTED: &str = "a readable file with certificates in PEM";
    let certificates = CertificateDer::pem_file_iter(Path::new(path))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|_| EXPECTED)?;
    if certificates.is_empty() { Err(EXPECTED) } else { Ok(Certificates(certificates)) }
}
