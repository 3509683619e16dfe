//! The parts of an acceptance test: a real broker, the built binaries as processes, an inbox, and people who sign up.
//!
//! ```text
//!   world ──► kafka      Apache Kafka in a process of its own: started, stopped, killed
//!         ──► service    a release binary as a process: killed, frozen, restarted at the same address
//!         ──► inbox      the mails of an SMTP server, as a reader sees them
//!         ──► clock      a process with a wrong clock
//!   collector  the spans that services export
//!   proxy    a connection that is slow, stalled or cut
//!   log      reads topics, and writes records as no service does
//!   proofs   codes and tokens, computed instead of read in a mail
//!   api      one request and its answer, with the times of both
//!   load     requests at a rate, whatever the answers
//!   ledger   the accepted registrations, to be checked against the inbox
//!   latency  percentiles
//! ```
//!
//! These parts panic when they fail, which fails the test.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod world;
pub mod kafka;
pub mod service;
pub mod clock;
pub mod inbox;
#[cfg(feature = "real-kafka")]
pub mod collector;
pub mod proxy;
pub mod log;
pub mod proofs;
pub mod api;
pub mod load;
pub mod ledger;
pub mod latency;

mod ports;
