//! The notification service: events in, mail out.
//!
//! ```text
//!   consumer ── inputs ──► mailing        decides what happens next: one pure state machine
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
#[expect(missing_docs, reason = "public for the simulator alone")]
mod header;
#[expect(missing_docs, reason = "public for the simulator alone")]
mod record;
#[expect(missing_docs, reason = "public for the simulator alone")]
mod mailing;
#[expect(missing_docs, reason = "public for the simulator alone")]
mod outcome;
mod delivery;
mod sender;
mod email;
mod mailer;
mod writer;

#[expect(missing_docs, reason = "public for the simulator alone")]
mod offsets;
mod gate;
mod server_number;
#[expect(missing_docs, reason = "public for the simulator alone")]
mod retry;
mod dead_letter;
mod dead_letters;
mod mails_command;

mod status;
mod metrics;
mod health;

pub use application::Application;
pub use config::Config;
pub use consumer::GroupConfig;
pub use dead_letters::{DeadLetters, Selection, run as run_dead_letters};
pub use email::Mails;
pub use mailer::{Certificates, ClientKey, Encryption, Mechanism, SmtpConfig, SmtpCredentials};
pub use mailing::CommitConfig;
pub use mails_command::{MailsCommand, run as run_mails};
pub use sender::Sender;
pub use server_number::ServerNumber;

/// The deciding code, for the simulator in `simulation/`, which drives it without Kafka, mail server and clock; no interface for
/// others.
#[doc(hidden)]
pub mod simulated {
    pub use crate::{
        dead_letter::{headers as dead_letter_headers, retry_headers},
        email::{deadline, is_expired},
        header::Header,
        mailer::{Cause, Phase, Refusal, RefusalKind, ServerFailure, Status},
        mailing::{Command, DeliveryId, Input, Mailing, Now, ServerSettings, Settings, Withdrawal},
        offsets::{Partition, Position},
        outcome::{End, Outcome, Reason, Target, Try},
        record::{Lent, Record},
        retry::Retry,
        status::Gates,
    };
}
