//! What an acceptance test is made of: a real broker, the built binaries as processes, an inbox, and people who sign up.
//!
//! ```text
//!   world ──► kafka      Apache Kafka in a process of its own: started, stopped, killed
//!         ──► service    a release binary as a process: killed, frozen, restarted at the same address
//!         ──► inbox      what the SMTP server received, as its reader sees it
//!         ──► clock      a process that believes another time
//!   proxy    a connection that is slow, still or cut
//!   log      what stands in a topic
//!   proofs   codes and tokens, computed instead of read in a mail
//!   api      one request and its answer, with the moments of both
//!   load     requests at a rate, whatever the answers do
//!   ledger   who was told what, to hold the inbox against
//!   latency  percentiles
//! ```
//!
//! A failure of these parts fails the test that uses them, so they panic.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod world;
pub mod kafka;
pub mod service;
pub mod clock;
pub mod inbox;
pub mod proxy;
pub mod log;
pub mod proofs;
pub mod api;
pub mod load;
pub mod ledger;
pub mod latency;

mod ports;
