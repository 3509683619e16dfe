//! Limits the number of connections: in all, and from one client address.

use super::{Connection, SEND_BUFFER, Silence};
use crate::{
    http::client::Proxies,
    metrics::Metrics,
    network::{Client, Places},
};
use actix_web::rt::net::TcpStream;
use socket2::SockRef;
use std::{io, sync::Arc};
use tokio::sync::Semaphore;

/// The limits, and the connections that count against them.
pub(crate) struct Admission {
    all: Arc<Semaphore>,
    per_address: Arc<Places>,
    proxies: Arc<Proxies>,
    silence: Silence,
    metrics: Arc<Metrics>,
}

impl Admission {
    /// `silence` applies to each connection.
    pub(crate) fn new(
        connections: usize,
        per_address: u32,
        proxies: Arc<Proxies>,
        silence: Silence,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            all: Arc::new(Semaphore::new(connections)),
            per_address: Places::new(per_address),
            proxies,
            silence,
            metrics,
        }
    }

    /// Admits a connection that was accepted.
    ///
    /// # Errors
    /// When the peer has gone already, or there are too many connections. The connection is then closed.
    pub(crate) fn admit(&self, stream: TcpStream) -> io::Result<Connection> {
        let peer = stream.peer_addr()?;
        let refused = || {
            self.metrics.refused_connections.inc();
            io::Error::other("too many connections")
        };
        let place = if self.proxies.trusts(peer.ip()) {
            None
        } else {
            Some(self.per_address.take(Client::Address(peer.ip())).ok_or_else(refused)?)
        };
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| refused())?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER)?;
        Ok(Connection::new(stream, peer, self.silence, (place, permit)))
    }
}
