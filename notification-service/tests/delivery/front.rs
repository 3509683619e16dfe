//! The front of a provider's mail server: TLS, STARTTLS, client certificates and a login. It passes everything else to the
//! plain server of the test.

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
    },
};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The kinds of server certificates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// Valid for `localhost`.
    Good,
    /// Valid for another name.
    OtherName,
    /// Valid until some years ago.
    Expired,
    /// Self-signed and declared an authority, as `openssl req -x509` makes it, and otherwise good. The next two are
    /// self-signed, too.
    Own,
    OwnOfOtherName,
    OwnExpired,
}

/// When TLS begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Never,
    AfterStartTls,
    AtOnce,
}

/// The only accepted login, until a test [accepts](Front::accept) others.
pub(crate) const LOGIN: (&str, &str) = ("mailer", "s3cret");

/// What the front demands and saw; all its sessions share it.
struct Gatekeeper {
    mode: Mode,
    mechanisms: &'static str,
    acceptor: Mutex<TlsAcceptor>,
    /// The accepted passwords or tokens.
    secrets: Mutex<Vec<String>>,
    refused_logins: AtomicUsize,
    before_a_refusal: Mutex<Box<dyn Fn() + Send>>,
    /// Refusals of MAIL in sessions whose secret is not accepted any more.
    expired_sessions: AtomicUsize,
}

/// A running front; dropping it stops it.
pub(crate) struct Front {
    pub(crate) port: u16,
    directory: TempDir,
    gatekeeper: Arc<Gatekeeper>,
    identity: Identity,
    task: JoinHandle<()>,
}

/// A certificate and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

/// Who signs the certificates of clients.
pub(crate) struct ClientAuthority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl ClientAuthority {
    pub(crate) fn new(name: &str) -> Self {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.distinguished_name.push(DnType::CommonName, name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(authority, key) }
    }

    /// A client's certificate and key, in PEM.
    pub(crate) fn issue(&self, is_expired: bool) -> (String, String) {
        let mut client = CertificateParams::new(["signup".to_owned()]).unwrap();
        if is_expired {
            (client.not_before, client.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        (client.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

impl Front {
    /// `mechanisms` are the offered login mechanisms. If it is empty, no login is needed.
    pub(crate) async fn start(
        backend: SocketAddr,
        mode: Mode,
        certificate: Certificate,
        mechanisms: &'static str,
    ) -> Self {
        let directory = TempDir::new().unwrap();
        let (authority, identity) = certify(certificate);
        std::fs::write(directory.path().join("ca.pem"), authority).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let gatekeeper = Arc::new(Gatekeeper {
            mode,
            mechanisms,
            acceptor: Mutex::new(identity.acceptor(None)),
            secrets: Mutex::new(vec![LOGIN.1.to_owned()]),
            refused_logins: AtomicUsize::new(0),
            before_a_refusal: Mutex::new(Box::new(|| ())),
            expired_sessions: AtomicUsize::new(0),
        });
        let keeper = Arc::clone(&gatekeeper);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let keeper = Arc::clone(&keeper);
                tokio::spawn(async move { keeper.serve(stream, backend).await });
            }
        });
        Self { port, directory, gatekeeper, identity, task }
    }

    /// Demands a certificate of this authority from clients that connect from now on.
    pub(crate) fn demand(&self, authority: &ClientAuthority) {
        *self.gatekeeper.acceptor.lock().unwrap() = self.identity.acceptor(Some(authority));
    }

    /// Accepts these passwords or tokens from now on, in open sessions, too.
    pub(crate) fn accept(&self, secrets: &[&str]) {
        *self.gatekeeper.secrets.lock().unwrap() =
            secrets.iter().map(|secret| (*secret).to_owned()).collect();
    }

    /// Does this before each refusal of a login.
    pub(crate) fn before_a_refusal(&self, action: impl Fn() + Send + 'static) {
        *self.gatekeeper.before_a_refusal.lock().unwrap() = Box::new(action);
    }

    /// The logins that were refused, and the sessions that were told that theirs has expired.
    pub(crate) fn refusals(&self) -> (usize, usize) {
        let Gatekeeper { refused_logins, expired_sessions, .. } = &*self.gatekeeper;
        (refused_logins.load(Ordering::SeqCst), expired_sessions.load(Ordering::SeqCst))
    }

    /// Writes a file beside the front's own, at once for all readers, and returns its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(path.with_extension("new"), content).unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
        path.display().to_string()
    }

    pub(crate) fn ca_file(&self) -> String {
        self.directory.path().join("ca.pem").display().to_string()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Identity {
    fn acceptor(&self, clients: Option<&ClientAuthority>) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from(self.key.clone_key());
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![self.certificate.clone()], key).unwrap()))
    }
}

/// The certificate that a client has to trust (mostly an authority), and a certificate from it.
fn certify(certificate: Certificate) -> (String, Identity) {
    use Certificate::{Expired, Good, OtherName, Own, OwnExpired, OwnOfOtherName};
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let name =
        if matches!(certificate, OtherName | OwnOfOtherName) { "elsewhere.example" } else { "localhost" };
    let mut server = CertificateParams::new([name.to_owned()]).unwrap();
    if matches!(certificate, Expired | OwnExpired) {
        (server.not_before, server.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    }
    let key = KeyPair::generate().unwrap();
    let (pem, signed) = match certificate {
        Good | OtherName | Expired => (
            authority.self_signed(&authority_key).unwrap().pem(),
            server.signed_by(&key, &Issuer::from_params(&authority, &authority_key)).unwrap(),
        ),
        Own | OwnOfOtherName | OwnExpired => {
            server.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let signed = server.self_signed(&key).unwrap();
            (signed.pem(), signed)
        }
    };
    let identity = Identity { certificate: signed.der().clone(), key: key.serialize_der().into() };
    (pem, identity)
}

impl Gatekeeper {
    async fn serve(&self, stream: TcpStream, backend: SocketAddr) -> std::io::Result<()> {
        let acceptor = || self.acceptor.lock().unwrap().clone();
        let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(match self.mode {
            Mode::AtOnce => Box::new(acceptor().accept(stream).await?),
            Mode::Never | Mode::AfterStartTls => Box::new(stream),
        });
        let mut encrypted = self.mode != Mode::AfterStartTls;
        // The secret of this session's login; none where none is needed.
        let mut known = self.mechanisms.is_empty().then_some(None);
        stream.write_all(b"220 front\r\n").await?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let words: Vec<_> = line.split_whitespace().collect();
            let answer = match words[..] {
                ["EHLO", _] if !encrypted => "250-front\r\n250 STARTTLS\r\n".to_owned(),
                ["EHLO", _] => format!("250-front\r\n250-AUTH {}\r\n250 8BITMIME\r\n", self.mechanisms),
                ["STARTTLS"] if !encrypted => {
                    stream.write_all(b"220 go ahead\r\n").await?;
                    stream = BufReader::new(Box::new(acceptor().accept(stream.into_inner()).await?));
                    encrypted = true;
                    continue;
                }
                ["AUTH", mechanism, ref initial @ ..] => {
                    let secret = match (mechanism, initial) {
                        ("LOGIN", []) => {
                            let name = ask(&mut stream, "Username:").await?;
                            let password = ask(&mut stream, "Password:").await?;
                            Some(password).filter(|_| name == LOGIN.0)
                        }
                        (_, [initial]) => secret_of(mechanism, &decode(initial)),
                        // A long initial response waits for the question.
                        _ => secret_of(mechanism, &ask(&mut stream, "").await?),
                    };
                    let accepted = secret.filter(|secret| self.accepts(secret));
                    if accepted.is_some() {
                        known = Some(accepted);
                        "235 welcome\r\n".to_owned()
                    } else {
                        self.refused_logins.fetch_add(1, Ordering::SeqCst);
                        (self.before_a_refusal.lock().unwrap())();
                        if mechanism.ends_with("LOGIN") || mechanism == "PLAIN" {
                            "535 no\r\n".to_owned()
                        } else {
                            ask(&mut stream, "{\"status\":\"invalid_token\"}").await?;
                            "535 5.7.8 no\r\n".to_owned()
                        }
                    }
                }
                ["MAIL", ..] if encrypted && known.is_some() => {
                    return self.pass_on(stream, backend, line, known.flatten()).await;
                }
                ["QUIT"] => return stream.write_all(b"221 bye\r\n").await,
                _ => "530 not yet\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    fn accepts(&self, secret: &str) -> bool {
        self.secrets.lock().unwrap().iter().any(|accepted| accepted == secret)
    }

    /// Passes all on, except a MAIL of a session whose secret is not accepted any more.
    async fn pass_on(
        &self,
        mut stream: BufReader<Box<dyn Stream>>,
        backend: SocketAddr,
        first: String,
        secret: Option<String>,
    ) -> std::io::Result<()> {
        let mut backend = BufReader::new(TcpStream::connect(backend).await?);
        let mut reply = String::new();
        backend.read_line(&mut reply).await?;
        backend.write_all(b"EHLO front\r\n").await?;
        while !reply.starts_with("250 ") {
            reply.clear();
            backend.read_line(&mut reply).await?;
        }
        backend.write_all(first.as_bytes()).await?;
        let (mut line, mut replies) = (Vec::new(), [0; 4096]);
        loop {
            tokio::select! {
                // What a cancelled call has read stays in `line`.
                read = stream.read_until(b'\n', &mut line) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    let is_expired = secret.as_ref().is_some_and(|secret| !self.accepts(secret));
                    if is_expired && line.starts_with(b"MAIL FROM:<") {
                        self.expired_sessions.fetch_add(1, Ordering::SeqCst);
                        stream.write_all(b"535 5.7.8 expired\r\n").await?;
                    } else {
                        backend.write_all(&line).await?;
                    }
                    line.clear();
                }
                read = backend.read(&mut replies) => match read? {
                    0 => return Ok(()),
                    length => stream.write_all(&replies[..length]).await?,
                },
            }
        }
    }
}

/// The password or token in a client's response, if the name is right.
fn secret_of(mechanism: &str, response: &str) -> Option<String> {
    let rest = match mechanism {
        "PLAIN" => response.strip_prefix(&format!("\0{}\0", LOGIN.0))?,
        "XOAUTH2" => response.strip_prefix(&format!("user={}\x01auth=Bearer ", LOGIN.0))?,
        "OAUTHBEARER" => {
            response
                .strip_prefix(&format!("n,a={},\x01host=localhost\x01port=", LOGIN.0))?
                .split_once("\x01auth=Bearer ")?
                .1
        }
        _ => return None,
    };
    Some(rest.trim_end_matches('\x01').to_owned())
}

async fn ask(stream: &mut BufReader<Box<dyn Stream>>, question: &str) -> std::io::Result<String> {
    stream.write_all(format!("334 {}\r\n", STANDARD.encode(question)).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    Ok(decode(answer.trim()))
}

fn decode(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).unwrap_or_default()).unwrap_or_default()
}
