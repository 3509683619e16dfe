//! Rates, latencies and costs: the release binaries compared with bare counterparts, in one run on one machine.
//!
//! ```text
//!   arguments ──► scenario     one file for each scenario
//!                    ├── stage      real Kafka, the release binaries, and their counterparts
//!                    ├── process    this binary again: the mail sink and the bare route, each in a process of its own
//!                    ├── load       requests in a closed or open loop, with little CPU time
//!                    ├── fill       backlogs and histories, written straight to the topics
//!                    └── usage      CPU time and memory of a process
//!                 spread, latency   figures of the measured values
//!                 report       a table, JSON, a page with plots, the tables of a document
//! ```

mod arguments;
mod scenario;
mod stage;
mod process;
mod load;
mod fill;
mod usage;
mod spread;
mod latency;
mod progress;
mod report;

use arguments::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Command::Sink => process::sink::run(),
        Command::Bare { brokers } => process::bare::run(brokers),
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios one after the other. An interrupt stops everything that was started.
#[tokio::main]
async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        done = scenario::run(arguments) => done,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminated.recv() => anyhow::bail!("terminated"),
    }
}
