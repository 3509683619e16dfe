//! Listens on 127.0.0.1, on a given port or any free one.
//!
//! Port 0 would give a port from the range that the kernel also uses for outgoing connections. While a stopped server's port
//! is free, a client that reconnects in a loop could get this very port as its own, and connect to itself. The kernel never
//! assigns ports below that range (it begins at 32,768 on Linux, at 49,152 elsewhere).
//!
//! No port is chosen twice in a process: a server that was stopped finds its port free when it starts again, whatever tests
//! run beside it.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use tokio::net::TcpListener;

/// The ports below this range are those of the Kafka brokers that tests start, and of their controllers.
const UNREGISTERED: Range<u16> = 26_000..32_000;
const ATTEMPTS: usize = 64;

/// The ports that were chosen so far.
static CHOSEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

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
fn candidates(port: u16) -> impl Iterator<Item = u16> {
    let given = (port != 0).then_some(port);
    let attempts = if given.is_some() { 1 } else { ATTEMPTS };
    (0..attempts).filter_map(move |_| given.or_else(choose))
}

/// A port that was not chosen before.
fn choose() -> Option<u16> {
    let port = rand::random_range(UNREGISTERED);
    CHOSEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_chosen_twice() {
        let chosen: Vec<_> = std::iter::repeat_with(choose).take(3_000).flatten().collect();
        assert!(chosen.len() > 1_000);
        assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), chosen.len());
    }
}
