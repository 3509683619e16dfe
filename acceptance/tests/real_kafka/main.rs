//! The release binaries on a real Apache Kafka keep their promises through crashes and outages.
//!
//! `scripts/acceptance.sh` runs the tests one after the other: each has its own broker, inbox and processes.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

/// The expectations of tests that use the embedded broker.
#[path = "../../../sandbox/tests/kafka/expectations.rs"]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]
mod kafka;

mod access;
mod expectations;
mod signup;
mod start_order;
mod managed_kafka;
mod mutual_tls;
mod token_file;
mod missing_rights;
mod topic_prefix;
mod zones;
mod topics;
mod refused_settings;
mod foreign_writers;
mod crashes;
mod replicas;
mod attempts;
mod budgets;
mod accounts;
mod clocks;
mod broker_outage;
mod mail_outage;
mod mail_servers;
mod tracing;
mod timing;
