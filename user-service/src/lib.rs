//! The user service: HTTP in, events out.
//!
//! ```text
//! http ──► signup ──► publisher ──► log (Kafka) ──► follow ──► view
//!            ▲                                                   │
//!            └────────────── what the log says ◄─────────────────┘
//! ```
//!
//! A 2xx is answered after the broker has acknowledged the event. What is pending lives in memory, as a view of the
//! log: a restart rebuilds it, and every replica has all of it.

mod application;
mod config;
mod http;
mod signup;
mod publisher;
mod rate_limit;
mod network;
mod metrics;

pub use application::{Application, forget};
pub use config::Config;
pub use rate_limit::RateLimit;
pub use signup::{IdSecret, Rules};
