//! What the services and their tests rely on, of the broker, the SMTP server and the inbox.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

#[cfg(feature = "broker")]
mod broker;
mod inbox;
mod smtp;
