//! A deterministic simulator of the notification services: one thread, no real time, and one seed decides everything.
//!
//! ```text
//!   random              where chance comes from: the seed alone
//!   setup, schedule     how large everything is, and what goes wrong: pure functions of the seed
//!   people              who signs up
//!   world ── agenda     one run: the queue of what happens, and the loop
//!     broker            the log
//!     group, client     the coordinator of the consumer group, and librdkafka as it behaves
//!     mail_server       what it says to whom
//!     service           a process: the real state machine (`notification_service::simulated`)
//!       shell           what `consumer` does around it
//!       consuming       its Kafka consumer in the course of time
//!       delivery        what `Delivery` does: sessions, talks, copies
//!     perform           faults
//!   ledger              what was promised, checked at each step and at the end
//!   search, shrink      seed after seed; the fewest faults that still break a promise
//!   report, chronicle   for people
//! ```
//!
//! A broken promise ends the program with exit code 1.

mod random;
mod setup;
mod schedule;
mod people;
mod agenda;
mod world;
mod broker;
mod group;
mod client;
mod mail_server;
mod service;
mod shell;
mod consuming;
mod delivery;
mod perform;
mod ledger;
mod search;
mod shrink;
mod chronicle;
mod report;

use clap::{Parser, Subcommand};
use std::{process::ExitCode, time::Duration};

/// Drives the services' deciding code through simulated hours of faults, and keeps an exact ledger.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Notification services in a run.
    #[arg(long, global = true, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=10))]
    services: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one seed.
    Run {
        #[arg(long)]
        seed: u64,
        /// Prints all that happened, also when no promise is broken.
        #[arg(long)]
        chronicle: bool,
    },
    /// Runs seed after seed until the time is over or a promise is broken.
    Search {
        /// Minutes of real time.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        minutes: u64,
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
    },
}

fn main() -> ExitCode {
    let Arguments { command, services } = Arguments::parse();
    let services = usize::try_from(services).unwrap_or(usize::MAX);
    let is_kept = match command {
        Command::Run { seed, chronicle } => search::run(seed, services, chronicle),
        Command::Search { minutes, from } => {
            search::search(from, services, Duration::from_secs(60 * minutes))
        }
    };
    if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
