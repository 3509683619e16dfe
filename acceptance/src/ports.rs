//! Free ports on 127.0.0.1, below those that the kernel gives to outgoing connections: a stopped process finds its port
//! free again, and a client that reconnects to it in the meantime can't be given that very port as its own.

use std::{net::TcpListener, ops::Range};

/// Finds a port of the range that is free, as is the port so far above it.
pub(crate) fn free_pair(range: Range<u16>, distance: u16) -> u16 {
    (0..1000)
        .map(|_| rand::random_range(range.clone()))
        .find(|port| is_free(*port) && is_free(port + distance))
        .expect("a free port")
}

/// Finds a port that is free.
pub(crate) fn free() -> u16 {
    free_pair(20_000..32_000, 0)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
