//! One HTTP/1.1 connection that posts: hyper without a pool, so that the load costs little of the machine it measures.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
    header,
    http::request::Builder,
};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A connection; one request at a time.
pub(crate) struct Connection {
    address: SocketAddr,
    path: &'static str,
    host: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nothing listens there.
    pub(crate) async fn open(address: SocketAddr, path: &'static str) -> anyhow::Result<Self> {
        let mut connection = Self { address, path, host: address.to_string(), sender: None };
        connection.connect().await.with_context(|| format!("no connection to {address}"))?;
        Ok(connection)
    }

    /// Posts JSON and reads the answer to its end. Answers its status; 0 when the connection broke, which is then
    /// opened anew by the next request.
    pub(crate) async fn post(&mut self, body: Bytes) -> u16 {
        let answer = self.exchange(body).await;
        if answer.is_err() {
            self.sender = None;
        }
        answer.map_or(0, |(status, _)| status)
    }

    /// Posts JSON and reads the answer: its status and its body.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn exchange(&mut self, body: Bytes) -> anyhow::Result<(u16, Bytes)> {
        let request = Request::post(self.path).header(header::CONTENT_TYPE, "application/json");
        self.send(request, body).await
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn get(&mut self) -> anyhow::Result<Bytes> {
        let (_, body) = self.send(Request::get(self.path), Bytes::new()).await?;
        Ok(body)
    }

    async fn send(&mut self, request: Builder, body: Bytes) -> anyhow::Result<(u16, Bytes)> {
        let request = request.header(header::HOST, self.host.as_str()).body(Full::new(body))?;
        let sender = self.connect().await?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    async fn connect(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        let sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            // Not opened yet, broken, or closed by the service since nothing came on it for some seconds.
            _ => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                // Ends when the sender is dropped; what went wrong is also the sender's error.
                tokio::spawn(connection);
                sender
            }
        };
        Ok(self.sender.insert(sender))
    }
}
