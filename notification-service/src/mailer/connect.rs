//! How a session begins: the TCP connection, TLS, the greeting and EHLO, what the server offers, the login; each within
//! the time-out.

use super::{
    Encryption, Mailer,
    failure::{Phase, ServerFailure},
    starttls,
    stream::Encrypted,
};
use lettre::transport::smtp::{
    authentication::Mechanism,
    client::{AsyncSmtpConnection, AsyncTokioStream},
    commands::Ehlo,
};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};

/// A connection on which emails can be handed over.
pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    /// The server takes several commands at once (RFC 2920).
    pub(super) pipelining: bool,
}

impl Mailer {
    pub(super) async fn connect(&self) -> Result<Connection, ServerFailure> {
        let limit = self.config.timeout;
        let address = (self.config.host.as_str(), self.config.port);
        let stream = within(limit, Phase::Connect, async {
            let stream = TcpStream::connect(address).await;
            let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
            stream.map_err(|error| ServerFailure::io(Phase::Connect, &error))
        });
        let stream = self.encrypt(stream.await?).await?;
        let mut smtp = within(limit, Phase::Greeting, async {
            let greeted = AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await;
            greeted.map_err(|error| ServerFailure::smtp(Phase::Greeting, &error))
        })
        .await?;
        // Before the login, which a new EHLO might undo.
        let pipelining = within(limit, Phase::Greeting, self.offers_pipelining(&mut smtp)).await?;
        if let Some(credentials) = &self.config.credentials {
            within(limit, Phase::Login, async {
                let login = smtp.auth(&[Mechanism::Plain, Mechanism::Login], &credentials.0).await;
                login.map_err(|error| ServerFailure::smtp(Phase::Login, &error))
            })
            .await?;
        }
        Ok(Connection { smtp, pipelining })
    }

    /// Asks once more what the server offers: lettre does not keep this of what it was told.
    async fn offers_pipelining(&self, smtp: &mut AsyncSmtpConnection) -> Result<bool, ServerFailure> {
        match smtp.command(Ehlo::new(self.hello.clone())).await {
            Ok(offers) => Ok(offers.message().any(|line| line.eq_ignore_ascii_case("PIPELINING"))),
            // One EHLO is enough for it.
            Err(error) if error.status().is_some_and(|code| u16::from(code) != 421) => Ok(false),
            Err(error) => Err(ServerFailure::smtp(Phase::Greeting, &error)),
        }
    }

    async fn encrypt(&self, stream: TcpStream) -> Result<Box<dyn AsyncTokioStream>, ServerFailure> {
        let limit = self.config.timeout;
        match (&self.tls, self.config.encryption) {
            (None, _) | (_, Encryption::None) => Ok(Box::new(stream)),
            (Some(tls), Encryption::Tls) => {
                Ok(Box::new(Encrypted::new(within(limit, Phase::Tls, tls.handshake(stream)).await?)))
            }
            (Some(tls), Encryption::StartTls) => {
                let stream = within(limit, Phase::Greeting, starttls::dialogue(stream, &self.hello)).await?;
                Ok(Box::new(Encrypted::after_starttls(
                    within(limit, Phase::Tls, tls.handshake(stream)).await?,
                )))
            }
        }
    }
}

async fn within<T>(
    limit: Duration,
    phase: Phase,
    step: impl Future<Output = Result<T, ServerFailure>>,
) -> Result<T, ServerFailure> {
    timeout(limit, step).await.unwrap_or_else(|_| Err(ServerFailure::timeout(phase)))
}
