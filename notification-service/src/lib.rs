//! The notification service: events in, mail out.
//!
//! ```text
//!   consumer ── events ──► mailing        decides what happens next: one pure state machine
//!      │     ◄─ commands ──┘
//!      ├──► delivery ──► email, mailer    renders an email and sends it
//!      └──► delivery ──► writer           writes to the retry topic or the dead-letter topic
//! ```
//!
//! Only `consumer`, `writer` and the commands of `dead_letters` know Kafka. Only `mailer` knows SMTP. `mailing` and its parts
//! know neither, and have no clock.

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
