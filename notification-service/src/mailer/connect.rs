//! How a session begins: the TCP connection, the greeting and EHLO, each within the time-out.

use super::{
    SmtpConfig,
    failure::{Phase, ServerFailure},
};
use lettre::transport::smtp::{client::AsyncSmtpConnection, extension::ClientId};
use tokio::{net::TcpStream, time::timeout};

pub(super) async fn connect(
    config: &SmtpConfig,
    hello: &ClientId,
) -> Result<AsyncSmtpConnection, ServerFailure> {
    let stream = timeout(config.timeout, TcpStream::connect((config.host.as_str(), config.port)))
        .await
        .map_err(|_| ServerFailure::timeout(Phase::Connect))?
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|error| ServerFailure::io(Phase::Connect, &error))?;
    let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello);
    timeout(config.timeout, greeting)
        .await
        .map_err(|_| ServerFailure::timeout(Phase::Greeting))?
        .map_err(|error| ServerFailure::smtp(Phase::Greeting, &error))
}
