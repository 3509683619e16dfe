//! Free ports on 127.0.0.1, below those that the kernel gives to outgoing connections: a stopped process finds its port
//! free again, and a client that reconnects to it in the meantime can't be given that very port as its own.
//!
//! Each is reserved by a locked file until this process ends, since it may be taken only later: runs side by side draw no port
//! twice.

use std::{
    fs::{self, File},
    net::TcpListener,
    ops::Range,
};

/// Brokers' ports; a broker takes its two when it starts, which may be after others were found.
pub(crate) const BROKERS: Range<u16> = 11_000..16_000;
/// All others: neither brokers' ports nor those of their controllers, ten thousand above.
const OTHERS: Range<u16> = 26_000..32_000;

/// Finds a port of the range that is free, as is the port so far above it.
pub(crate) fn free_pair(range: Range<u16>, distance: u16) -> u16 {
    (0..1000)
        .map(|_| rand::random_range(range.clone()))
        .find(|port| is_free(*port) && is_free(port + distance) && reserve(*port))
        .expect("a free port")
}

/// Finds a port that is free.
pub(crate) fn free() -> u16 {
    free_pair(OTHERS, 0)
}

/// Reserves a port, unless somebody has.
fn reserve(port: u16) -> bool {
    let folder = std::env::temp_dir().join("two-step-signup-ports");
    let file = fs::create_dir_all(&folder).and_then(|()| File::create(folder.join(port.to_string())));
    // Others' files can't be opened: their ports are not for this user.
    let Ok(file) = file else { return false };
    let is_reserved = file.try_lock().is_ok();
    if is_reserved {
        // Closing it would give the port back.
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
