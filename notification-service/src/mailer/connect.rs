//! Opens a connection that is ready for mails: TCP, TLS, the greeting, EHLO and the login.

use super::{
    Encryption, Mailer,
    dial::dial,
    failure::{Cause, Phase, ServerFailure},
    hello::Offers,
    login::Login,
    wire::Wire,
    within,
};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

/// A connection that is ready for mails.
pub(super) struct Connection {
    pub(super) wire: Wire<Either<TcpStream, Box<TlsStream<TcpStream>>>>,
    pub(super) offers: Offers,
}

impl Mailer {
    /// Connects and logs in with the secret that is in its file now. If the server refuses that and the file has changed
    /// meanwhile, it tries once more for each change.
    pub(super) async fn connect(&self) -> Result<Connection, ServerFailure> {
        let mut secret = self.secret().await;
        loop {
            let ended = self.connect_with(secret.as_deref()).await;
            let Err(failure) = ended else { return ended };
            if failure.phase != Phase::Login || failure.cause.status().is_none() {
                return Err(failure);
            }
            let present = self.secret().await;
            if present == secret {
                return Err(failure);
            }
            secret = present;
        }
    }

    async fn secret(&self) -> Option<String> {
        Some(self.config.credentials.as_ref()?.secret.renew().await)
    }

    async fn connect_with(&self, secret: Option<&str>) -> Result<Connection, ServerFailure> {
        self.session_with(secret).await.map_err(|failure| match failure.cause {
            // With TLS 1.3 the server looks at the certificate after the handshake.
            Cause::CertificateRefused(_) => ServerFailure { phase: Phase::Tls, ..failure },
            _ => failure,
        })
    }

    async fn session_with(&self, secret: Option<&str>) -> Result<Connection, ServerFailure> {
        let limit = self.config.timeout;
        let started = Instant::now();
        let stream = within(limit, Phase::Connect, async {
            dial(&self.config.host, self.config.port).await.map_err(|error| Cause::Io(error.to_string()))
        });
        let stream = stream.await?;
        let mut wire = match (&self.tls, self.config.encryption) {
            (None, _) | (_, Encryption::None) => Wire::new(Either::Left(stream)),
            (Some(tls), Encryption::Tls) => {
                let limit = limit.saturating_sub(started.elapsed());
                Wire::new(Either::Right(within(limit, Phase::Tls, tls.handshake(stream)).await?))
            }
            (Some(tls), Encryption::StartTls) => {
                let stream = self.ask_for_tls(stream).await?;
                Wire::new(Either::Right(within(limit, Phase::Tls, tls.handshake(stream)).await?))
            }
        };
        // After STARTTLS a server does not greet again.
        if self.config.encryption != Encryption::StartTls {
            self.greeting(&mut wire).await?;
        }
        let offers = self.hello(&mut wire).await?;
        if let Some((credentials, secret)) = self.config.credentials.as_ref().zip(secret) {
            let login = Login { credentials, secret, host: &self.config.host, port: self.config.port };
            login.say(&mut wire, &offers, self.config.reply_timeout).await?;
        }
        Ok(Connection { wire, offers })
    }

    /// The clear-text dialogue before the handshake (RFC 3207). Nothing in it is trusted afterwards. Bytes that a man in the
    /// middle has sent ahead of the handshake end the session.
    async fn ask_for_tls(&self, stream: TcpStream) -> Result<TcpStream, ServerFailure> {
        let failed = |cause| ServerFailure { phase: Phase::Tls, cause };
        let mut wire = Wire::new(stream);
        self.greeting(&mut wire).await?;
        if !self.hello(&mut wire).await?.starttls {
            return Err(failed(Cause::StartTlsMissing));
        }
        let reply = within(self.config.reply_timeout, Phase::Tls, wire.ask("STARTTLS\r\n")).await?;
        ServerFailure::unless(&reply, 2, Phase::Tls)?;
        wire.into_stream().map_err(failed)
    }
}
