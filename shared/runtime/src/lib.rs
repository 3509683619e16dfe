//! How both services start, log and reach Kafka. They need not agree on any of it.
//!
//! ```text
//!   env ──► telemetry, spans, kafka   how a service starts, logs, exports spans and reaches the broker
//!   secret, secret_check              secrets in files, read anew; which secrets a service starts with
//!   caught                            isolates the work on one record from the others
//!   process_metrics, secret_metrics   metrics of the process and of its secrets
//!   metrics_text                      the formats of metrics
//!   shutdown, tasks, health           one signal, one token; supervised tasks; the health check
//!   texts_watch                       the texts, read at the start and watched
//!   program                           how a program begins and ends
//! ```

pub mod secret;
pub mod env;
pub mod secret_check;
pub mod kafka;
pub mod caught;
pub mod telemetry;
pub mod spans;
pub mod process_metrics;
pub mod secret_metrics;
pub mod metrics_text;
pub mod shutdown;
pub mod tasks;
pub mod health;
pub mod texts_watch;
pub mod program;
