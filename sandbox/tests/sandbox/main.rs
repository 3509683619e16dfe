//! What the services and their tests need from the broker, the SMTP server and the inbox.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[cfg(feature = "broker")]
mod broker;
mod inbox;
/// Apache Kafka passes these tests, too.
#[cfg(feature = "broker")]
#[path = "../kafka/expectations.rs"]
mod kafka;
mod smtp;
