//! The notification service: events in, mail out.
//!
//! ```text
//!   consumer ── events ──► mailing        what happens next: one pure state machine
//!      │     ◄─ commands ──┘
//!      ├──► delivery ──► email, mailer    the talk with the mail server
//!      └──► delivery ──► writer           copies: retry topic, dead-letter topic
//! ```
//!
//! `consumer` and `writer` alone know Kafka, `mailer` alone knows SMTP; `mailing` knows neither of them, and no clock.

mod application;
mod config;

mod consumer;
mod record;
mod mailing;
mod outcome;
mod delivery;
mod email;
mod mailer;
mod writer;

mod offsets;
mod gate;
mod retry;
mod dead_letter;
mod dead_letters;

mod status;
mod metrics;
mod health;

pub use application::Application;
pub use config::Config;
pub use consumer::GroupConfig;
pub use dead_letters::{DeadLetters, Selection, run as run_dead_letters};
pub use mailer::{Certificates, Encryption, SmtpConfig, SmtpCredentials};
pub use mailing::CommitConfig;
