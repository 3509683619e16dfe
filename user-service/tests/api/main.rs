//! The user service from outside: a real socket, a real broker protocol. One file per endpoint or concern.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

mod records;
mod register;
mod verify;
mod resend;
mod alike;
mod held;
mod full;
mod forget;
mod account;
mod registration;
mod bad_input;
mod people;
mod http;
mod language;
mod page;
mod replay;
mod replicas;
mod retries;
mod tracing;
mod rotation;
mod start;
mod topics;
mod kafka_watch;
mod limits;
mod program;
#[path = "../../../shared/runtime/tests/program/command_line.rs"]
mod command_line;
mod raw;
mod observing;
mod openapi;

/// The service as a program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_user-service");
