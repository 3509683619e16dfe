//! Free ports on 127.0.0.1, below those that the kernel gives to outgoing connections. A stopped process thus finds its port
//! free again, and a client that reconnects meanwhile can't get that very port as its own.
//!
//! A locked file reserves each port until this process ends, because the port may be taken only later. So parallel runs
//! never choose the same port.

use std::{
    fs::{self, File},
    net::TcpListener,
    ops::Range,
};

/// The ports of brokers. A broker takes its two ports when it starts, and other ports may have been chosen before that.
pub(crate) const BROKERS: Range<u16> = 11_000..16_000;
/// All other ports: neither brokers' nor their controllers' (ten thousand above).
const OTHERS: Range<u16> = 26_000..32_000;

/// Finds a free port of the range. The port `distance` above it is free, too.
pub(crate) fn free_pair(range: Range<u16>, distance: u16) -> u16 {
    (0..1000)
        .map(|_| rand::random_range(range.clone()))
        .find(|port| is_free(*port) && is_free(port + distance) && reserve(*port))
        .expect("a free port")
}

/// Finds a free port.
pub(crate) fn free() -> u16 {
    free_pair(OTHERS, 0)
}

/// Reserves a port; false if another process has reserved it.
fn reserve(port: u16) -> bool {
    let folder = std::env::temp_dir().join("two-step-signup-ports");
    let file = fs::create_dir_all(&folder).and_then(|()| File::create(folder.join(port.to_string())));
    // Another user's file can't be opened, so that port is reserved.
    let Ok(file) = file else { return false };
    let is_reserved = file.try_lock().is_ok();
    if is_reserved {
        // Closing the file would release the port.
        std::mem::forget(file);
    }
    is_reserved
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_once() {
        let port = free();
        assert!(is_free(port), "nobody listens there");
        assert!(!reserve(port), "and nobody else will");
    }
}
