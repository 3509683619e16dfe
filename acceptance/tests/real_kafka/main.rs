//! The release binaries on a real Apache Kafka: what they promise, through crashes and outages.
//!
//! Run by `scripts/acceptance.sh`, one test after the other: each has a broker, an inbox and processes of its own.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

/// What the tests with the embedded broker rely on.
#[path = "../../../sandbox/tests/kafka/mod.rs"]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]
mod kafka;

mod expectations;
mod signup;
mod start_order;
mod managed_kafka;
mod topics;
mod foreign_writers;
mod crashes;
mod replicas;
mod attempts;
mod budgets;
mod accounts;
mod clocks;
mod broker_outage;
mod mail_outage;
mod timing;
