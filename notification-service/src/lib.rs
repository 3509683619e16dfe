//! The notification service: events in, mail out.
//!
//! ```text
//!   consumer ──► delivery ──► email ──► mailer        one record, one outcome
//!      ▲            └──► writer                       what is refused: retry topic, dead-letter topic
//!      └── outcome ──► offsets ──► commit             the contiguous prefix of what is finished
//! ```
//!
//! `offsets`, `gate`, `retry` and `email` are rules without I/O; `consumer` and `writer` alone know Kafka, `mailer`
//! alone knows SMTP.

mod application;
mod config;

mod consumer;
mod record;
mod delivery;
mod outcome;
mod email;
mod mailer;
mod writer;

mod offsets;
mod gate;
mod retry;
mod dead_letter;

mod status;
mod health;

pub use application::Application;
pub use config::Config;
pub use consumer::{CommitConfig, GroupConfig};
pub use mailer::SmtpConfig;
