//! One HTTP/1.1 connection for POST requests: hyper without a pool, so that the load takes little from the machine under
//! test.

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

/// A connection with one request at a time.
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
    /// When the service does not listen.
    pub(crate) async fn open(address: SocketAddr, path: &'static str) -> anyhow::Result<Self> {
        let mut connection = Self { address, path, host: address.to_string(), sender: None };
        connection.connect().await.with_context(|| format!("no connection to {address}"))?;
        Ok(connection)
    }

    /// Posts JSON and reads the whole answer. Returns its status, or 0 if the connection broke; the next request then opens
    /// it again.
    pub(crate) async fn post(&mut self, body: Bytes) -> u16 {
        let answer = self.exchange(body).await;
        if answer.is_err() {
            self.sender = None;
        }
        answer.map_or(0, |(status, _)| status)
    }

    /// Posts JSON. Returns the answer's status and body.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn exchange(&mut self, body: Bytes) -> anyhow::Result<(u16, Bytes)> {
        let request = Request::post(self.path).header(header::CONTENT_TYPE, "application/json");
        self.send(request, body).await
    }

    /// Sends a GET request. Returns the body.
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
            // Not open yet, broken, or closed by the service after some idle seconds.
            _ => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                // It ends when the sender is dropped. The sender reports its errors.
                tokio::spawn(connection);
                sender
            }
        };
        Ok(self.sender.insert(sender))
    }
}
