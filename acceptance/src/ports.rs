//! Free ports on 127.0.0.1, below those that the kernel gives to outgoing connections: a stopped process finds its port
//! free again, and a client that reconnects to it in the meantime can't be given that very port as its own.

use std::{net::TcpListener, ops::Range};

/// Brokers' ports; a broker takes its two when it starts, which may be after others were found.
pub(crate) const BROKERS: Range<u16> = 11_000..16_000;
/// All others: neither brokers' ports nor those of their controllers, ten thousand above.
const OTHERS: Range<u16> = 26_000..32_000;

/// Finds a port of the range that is free, as is the port so far above it.
pub(crate) fn free_pair(range: Range<u16>, distance: u16) -> u16 {
    (0..1000)
        .map(|_| rand::random_range(range.clone()))
        .find(|port| is_free(*port) && is_free(port + distance))
        .expect("a free port")
}

/// Finds a port that is free.
pub(crate) fn free() -> u16 {
    free_pair(OTHERS, 0)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
