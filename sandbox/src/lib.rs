//! Replaces Kafka and a mail provider on one machine, for `standalone` and for tests.
//!
//! ```text
//!   broker   a Kafka-protocol broker inside this process (feature `broker`)
//!   smtp     an SMTP server that takes mail, or misbehaves exactly as its script says
//!   inbox    a web page and MailHog's API over what that server received
//!   topics   reads the topics of any broker to their end
//!   raw      writes a record that no client library would write (feature `broker`)
//! ```
//!
//! Nothing here is part of a service. Every listener binds to 127.0.0.1.

#[cfg(feature = "broker")]
pub mod broker;
pub mod smtp;
pub mod inbox;
pub mod topics;
#[cfg(feature = "broker")]
pub mod raw;

mod ports;
