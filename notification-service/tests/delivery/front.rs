//! The front of a provider's mail server: TLS, STARTTLS and a login. It passes everything after these to the plain server of
//! the test.

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use std::{net::SocketAddr, sync::Arc};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
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

/// The only accepted login.
pub(crate) const LOGIN: (&str, &str) = ("mailer", "s3cret");

/// A running front; dropping it stops it.
pub(crate) struct Front {
    pub(crate) port: u16,
    directory: TempDir,
    task: JoinHandle<()>,
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
        let (authority, acceptor) = certify(certificate);
        std::fs::write(directory.path().join("ca.pem"), authority).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move { serve(stream, backend, mode, acceptor, mechanisms).await });
            }
        });
        Self { port, directory, task }
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

/// The certificate that a client has to trust (mostly an authority), and a TLS server with a certificate from it.
fn certify(certificate: Certificate) -> (String, TlsAcceptor) {
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
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    (pem, TlsAcceptor::from(Arc::new(config)))
}

async fn serve(
    stream: TcpStream,
    backend: SocketAddr,
    mode: Mode,
    acceptor: TlsAcceptor,
    mechanisms: &str,
) -> std::io::Result<()> {
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(match mode {
        Mode::AtOnce => Box::new(acceptor.accept(stream).await?),
        Mode::Never | Mode::AfterStartTls => Box::new(stream),
    });
    let (mut encrypted, mut known) = (mode != Mode::AfterStartTls, mechanisms.is_empty());
    stream.write_all(b"220 front\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["EHLO", _] if !encrypted => "250-front\r\n250 STARTTLS\r\n".to_owned(),
            ["EHLO", _] => format!("250-front\r\n250-AUTH {mechanisms}\r\n250 8BITMIME\r\n"),
            ["STARTTLS"] if !encrypted => {
                stream.write_all(b"220 go ahead\r\n").await?;
                stream = BufReader::new(Box::new(acceptor.accept(stream.into_inner()).await?));
                encrypted = true;
                continue;
            }
            ["AUTH", "PLAIN", token] => {
                known = token == STANDARD.encode(format!("\0{}\0{}", LOGIN.0, LOGIN.1));
                if known { "235 welcome\r\n" } else { "535 no\r\n" }.to_owned()
            }
            ["AUTH", "LOGIN"] => {
                let name = ask(&mut stream, "Username:").await?;
                let password = ask(&mut stream, "Password:").await?;
                known = (name.as_str(), password.as_str()) == LOGIN;
                if known { "235 welcome\r\n" } else { "535 no\r\n" }.to_owned()
            }
            ["MAIL", ..] if encrypted && known => return pass_on(stream, backend, &line).await,
            ["QUIT"] => return stream.write_all(b"221 bye\r\n").await,
            _ => "530 not yet\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

async fn ask(stream: &mut BufReader<Box<dyn Stream>>, question: &str) -> std::io::Result<String> {
    stream.write_all(format!("334 {}\r\n", STANDARD.encode(question)).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    Ok(String::from_utf8(STANDARD.decode(answer.trim()).unwrap_or_default()).unwrap_or_default())
}

async fn pass_on(
    mut stream: BufReader<Box<dyn Stream>>,
    backend: SocketAddr,
    line: &str,
) -> std::io::Result<()> {
    let mut backend = BufReader::new(TcpStream::connect(backend).await?);
    let mut reply = String::new();
    backend.read_line(&mut reply).await?;
    backend.write_all(b"EHLO front\r\n").await?;
    while !reply.starts_with("250 ") {
        reply.clear();
        backend.read_line(&mut reply).await?;
    }
    backend.write_all(line.as_bytes()).await?;
    copy_bidirectional(&mut stream, &mut backend).await.map(|_| ())
}
