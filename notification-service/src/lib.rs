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
mod dead_letters;

mod status;
mod metrics;
mod health;

pub use application::Application;
pub use config::Config;
pub use consumer::{CommitConfig, GroupConfig};
pub use dead_letters::{DeadLetters, Selection, run as run_dead_letters};
pub use mailer::{Certificates, Encryption, SmtpConfig, SmtpCredentials};
