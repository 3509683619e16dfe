//! The notification service from event to mail, over real sockets: a broker that speaks Kafka's protocol, and a mail server
//! that follows a script.
//!
//! The tests look from outside: at the mails that arrived, the dead letters, and the committed offsets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod front;
mod world;

mod batches;
#[path = "../../../shared/runtime/tests/program/command_line.rs"]
mod command_line;
mod dead_letters;
mod happy_path;
mod limits;
mod logins;
mod mail_texts;
mod observing;
mod odd_replies;
mod providers;
mod records;
mod refusals;
mod rotation;
mod sender;
mod servers;
mod server_away;
mod slow_server;
mod stopping;
mod tracing;
mod unwelcome;

/// The service as a program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_notification-service");
