//! How long a client may take before it loses its connection.
//!
//! Not configurable: the time that a slow line needs does not depend on the installation. Tests set shorter times.

use std::time::Duration;

/// The time that a client has for each part of an exchange.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To send the head of its first request.
    pub head: Duration,
    /// To send a body.
    pub body: Duration,
    /// To read some of the answers that wait for it.
    pub answers: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let [head, body, answers] = [5, 10, 20].map(Duration::from_secs);
        Self { head, body, answers }
    }
}
