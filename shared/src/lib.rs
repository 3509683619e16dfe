//! What the two services must agree on, and nothing else.
//!
//! ```text
//!   env ──► telemetry, kafka          how a service starts, logs and reaches the broker
//!   process_metrics, metrics_text     what it costs, and since when it runs; how that is sent
//!   email_address, person_name,
//!   locale, request_id, account_id,
//!   registration_id                   values that exist only once they are valid
//!   characters                        what Unicode says of what people type; text that is safe to print
//!   verification_code                 codes and link tokens, derived on both sides, carried by no event
//!   code_secrets, secret_check        what they are derived from, and which secrets a service starts with
//!   event ──► topic                   what happened, and where it is written
//!   caught                            one record whose bug must not end the work on all others
//!   shutdown, tasks, health           one signal, one token; tasks whose end is noticed; a process that asks the service beside it
//! ```

pub mod event;
pub mod topic;
pub mod verification_code;
pub mod code_secrets;
pub mod secret_check;
pub mod mac;

pub mod characters;
pub mod account_id;
pub mod registration_id;
pub mod email_address;
pub mod person_name;
pub mod locale;
pub mod request_id;

pub mod env;
pub mod kafka;
pub mod caught;
pub mod telemetry;
pub mod process_metrics;
pub mod metrics_text;
pub mod shutdown;
pub mod tasks;
pub mod health;
