//! A deterministic simulator of user services and notification services: a run is one thread, no real time, and one seed decides everything.
//!
//! ```text
//!   random              where chance comes from: the seed alone
//!   setup, schedule     how large everything is, and what goes wrong: pure functions of the seed
//!   people, call        who signs up, and strangers; their requests
//!   world ── agenda     one run: the queue of what happens, and the loop
//!     acting            what people, strangers and operators do in the course of time
//!     broker            the log
//!     group, client     the coordinator of the consumer group, and librdkafka as it behaves
//!     mail_server       what it says to whom
//!     user_service      a process: the real verbs and view (`user_service::simulated`)
//!       user_shell      what `application` and `follow` do around them
//!       user_requests   its requests, and what `publisher` and `log_ends` do
//!     service           a process: the real state machine (`notification_service::simulated`)
//!       shell           what `consumer` does around it
//!       consuming       its Kafka consumer in the course of time
//!       delivery        what `Delivery` does: sessions, talks, copies
//!     perform           faults
//!     judging           whether a run comes to its end, and whether the replicas agree
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
mod call;
mod agenda;
mod world;
mod judging;
mod acting;
mod broker;
mod group;
mod client;
mod mail_server;
mod user_service;
mod user_shell;
mod user_requests;
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
use search::Extent;
use setup::Scale;
use std::{process::ExitCode, thread, time::Duration};

/// Drives the services' deciding code through simulated hours of faults, and keeps an exact ledger.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Notification services in a run.
    #[arg(long, global = true, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=10))]
    services: u64,
    /// User services in a run.
    #[arg(long, global = true, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=10))]
    users: u64,
    /// Runs of ten minutes, in which at least three windows end.
    #[arg(long, global = true)]
    short: bool,
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
    /// Runs seed after seed until the time is over, all seeds have been run, or a promise is broken.
    Search {
        /// Minutes of real time.
        #[arg(long, required_unless_present = "seeds", value_parser = clap::value_parser!(u64).range(1..=100_000))]
        minutes: Option<u64>,
        /// So many seeds.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        seeds: Option<u64>,
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Seeds that are run at the same time; as many as there are cores by default.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        threads: Option<u64>,
    },
}

fn main() -> ExitCode {
    let Arguments { command, services, users, short } = Arguments::parse();
    let count = |count| usize::try_from(count).unwrap_or(usize::MAX);
    let scale = Scale { services: count(services), users: count(users), short };
    let is_kept = match command {
        Command::Run { seed, chronicle } => search::run(seed, scale, chronicle),
        Command::Search { minutes, seeds, from, threads } => {
            let cores = || thread::available_parallelism().map_or(1, usize::from);
            let extent = Extent {
                from,
                seeds: seeds.unwrap_or(u64::MAX),
                length: minutes.map_or(Duration::MAX, Duration::from_mins),
                threads: threads.map_or_else(cores, count),
            };
            search::search(&extent, scale)
        }
    };
    if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
