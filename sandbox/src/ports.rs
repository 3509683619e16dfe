//! Which ports to try when the caller does not mind.
//!
//! Port 0 would give one of the range that the kernel also uses for outgoing connections. While a stopped server's
//! port is free, a client that reconnects in a loop could then be given that very port as its own, and connect to
//! itself. Ports below that range (from 32,768 on Linux, 49,152 elsewhere) are only taken by those who ask for them.

use std::ops::Range;

const UNREGISTERED: Range<u16> = 20_000..32_000;
const ATTEMPTS: usize = 64;

/// The ports to try in order: the one asked for, or for 0 some random ones.
pub(crate) fn candidates(port: u16) -> Vec<u16> {
    match port {
        0 => (0..ATTEMPTS).map(|_| rand::random_range(UNREGISTERED)).collect(),
        port => vec![port],
    }
}
