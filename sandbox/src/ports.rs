//! Listens on 127.0.0.1, on a given port or any free one.
//!
//! Port 0 would give a port from the range that the kernel also uses for outgoing connections. While a stopped server's port
//! is free, a client that reconnects in a loop could get this very port as its own, and connect to itself. The kernel never
//! assigns ports below that range (it begins at 32,768 on Linux, at 49,152 elsewhere).

use std::net::Ipv4Addr;
use std::ops::Range;

use anyhow::Context as _;
use tokio::net::TcpListener;

/// The ports below this range are those of the Kafka brokers that tests start, and of their controllers.
const UNREGISTERED: Range<u16> = 26_000..32_000;
const ATTEMPTS: usize = 64;

/// Listens on this port; for 0 on any free one.
pub(crate) async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let mut refused = None;
    for port in candidates(port) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some((port, error)),
        }
    }
    let (port, error) = refused.context("no port to try")?;
    Err(error).with_context(|| format!("cannot listen on 127.0.0.1:{port}"))
}

/// The ports to try, in order: the given one, or for 0 some random ones.
fn candidates(port: u16) -> Vec<u16> {
    match port {
        0 => (0..ATTEMPTS).map(|_| rand::random_range(UNREGISTERED)).collect(),
        port => vec![port],
    }
}
