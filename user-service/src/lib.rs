//! The user service: HTTP in, events out.
//!
//! ```text
//! http ──► signup ──► publisher ──► log (Kafka) ──► replica
//!            ▲  └──► rules                             │
//!            └────────── what the log says ◄───────────┘
//! ```
//!
//! A 2xx is answered only after the broker has acknowledged the event. Pending registrations live
//! in memory, as a view of the log: a restart rebuilds the view, and every replica has all of it.

mod application;
mod support;
mod config;
mod http;
mod pages;
mod signup;
mod replica;
mod rules;
mod correlation;
mod outside;
mod publisher;
mod log_ends;
mod identity;
mod rate_limit;
mod wrong_codes;
mod network;
mod patience;
mod metrics;

#[doc(hidden)]
pub mod simulated;

pub use application::{Application, forget};
pub use config::Config;
pub use identity::IdSecret;
pub use pages::Pages;
pub use patience::Patience;
pub use rate_limit::RateLimit;
pub use rules::Rules;
pub use support::{AccountCommand, Request as AccountRequest, account};
