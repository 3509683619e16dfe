//! Both services, the embedded broker and the inbox in one process. The tests use them as a person does.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod configuration;
mod monitoring;
mod person;
mod ports;
mod signup;
