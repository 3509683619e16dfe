//! What the client shows of itself: name and secret of a login, or a certificate of its own.

use runtime::secret::Secret;
use std::{fmt, sync::Arc};
use tokio_rustls::rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

/// A way to log in (RFC 4954).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Name and password (RFC 4616).
    Plain,
    /// The same in two steps. It has no RFC, and some servers know nothing else.
    Login,
    /// A token (RFC 7628).
    OAuthBearer,
    /// A token, as Google and Microsoft began it.
    XOAuth2,
}

impl Mechanism {
    /// With a password, the preferred one first.
    pub(crate) const OF_PASSWORDS: &[Self] = &[Self::Plain, Self::Login];
    /// With a token, the preferred one first.
    pub(crate) const OF_TOKENS: &[Self] = &[Self::OAuthBearer, Self::XOAuth2];

    /// Its name in EHLO and AUTH.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
        }
    }

    pub(crate) fn takes_a_token(self) -> bool {
        Self::OF_TOKENS.contains(&self)
    }
}

/// The login of each connection; `Debug` shows neither name nor secret.
#[derive(Clone)]
pub struct SmtpCredentials {
    pub(super) username: String,
    /// Password or token.
    pub(super) secret: Secret<String>,
    /// The first one that the server offers is used.
    pub(super) mechanisms: &'static [Mechanism],
}

impl SmtpCredentials {
    /// Takes all unchanged. `mechanisms` are all of passwords, or all of tokens.
    #[must_use]
    pub fn new(username: String, secret: Secret<String>, mechanisms: &'static [Mechanism]) -> Self {
        Self { username, secret, mechanisms }
    }
}

impl fmt::Debug for SmtpCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpCredentials")
            .field("mechanisms", &self.mechanisms)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// This client's certificate with its authorities, and its key.
#[derive(Clone)]
pub struct ClientKey(Arc<CertifiedKey>);

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey")
    }
}

/// Parses PEM: certificates, this client's first, and its key.
///
/// # Errors
/// What was expected.
pub(crate) fn client_key(pem: &str) -> Result<ClientKey, &'static str> {
    const CERTIFICATES: &str = "certificates in PEM in SMTP_CERTIFICATE_FILE, this client's first";
    const KEY: &str = "a private key in PEM, without a passphrase, in SMTP_KEY_FILE";
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| CERTIFICATES)?;
    if certificates.is_empty() {
        return Err(CERTIFICATES);
    }
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KEY)?;
    let key = ring::default_provider().key_provider.load_private_key(key).map_err(|_| KEY)?;
    let certified = CertifiedKey::new(certificates, key);
    certified
        .keys_match()
        .map_err(|_| "SMTP_KEY_FILE to have the key of the certificate in SMTP_CERTIFICATE_FILE")?;
    Ok(ClientKey(Arc::new(certified)))
}

/// Shows the certificate that was read last, to whoever asks.
#[derive(Debug)]
pub(super) struct ShowsPresentKey(pub(super) Secret<ClientKey>);

impl ResolvesClientCert for ShowsPresentKey {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get().0)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
