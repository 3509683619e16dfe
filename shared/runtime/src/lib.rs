//! What both services use to run, and need not agree on.
//!
//! ```text
//!   env ──► telemetry, kafka          how a service starts, logs and reaches the broker
//!   secret_check                      which secrets it starts with
//!   caught                            one record whose bug must not end the work on all others
//!   process_metrics, metrics_text     what it costs, and since when it runs; how that is sent
//!   shutdown, tasks, health           one signal, one token; tasks whose end is noticed; a process that asks the service beside it
//! ```

pub mod env;
pub mod secret_check;
pub mod kafka;
pub mod caught;
pub mod telemetry;
pub mod process_metrics;
pub mod metrics_text;
pub mod shutdown;
pub mod tasks;
pub mod health;
