//! Crashes, freezes and cuts everything by a seeded schedule, and keeps an exact ledger of the promises.
//!
//! ```text
//!   rules              the settings of the flow in these runs
//!   schedule, people   the faults and the people: pure functions of the seed
//!   round              one round: starts everything, carries out the schedule, collects the evidence
//!     stage            the processes and proxies
//!     perform          faults of processes, mail server and connections
//!     sink             the mail server
//!     garbage          forged and broken records
//!     strangers        hostile clients
//!     life, client     the people and their requests; siege: a stranger who wants their address
//!     operator         forgets accounts
//!     topics, expiries all records at the end, and the expired mails, which only logs have
//!     figures          how much happened
//!   evidence ─► ledger each promise is a count of its breaches, with a bound
//!   report             the counts, printed
//! ```
//!
//! A failure of the round's own parts is an error (exit code 2). A broken promise is a finding (exit code 1).

mod rules;
mod schedule;
mod people;
mod round;
mod stage;
mod perform;
mod chronicle;
mod sink;
mod garbage;
mod strangers;
mod life;
mod siege;
mod operator;
mod client;
mod topics;
mod expiries;
mod evidence;
mod figures;
mod ledger;
mod report;

use clap::Parser;
use ledger::Count;
use std::{process::ExitCode, time::Duration};

/// The longest time under faults in one round.
const ROUND_MINUTES: u64 = 3;

/// Real processes under a seeded schedule of crashes, freezes, cuts and mail server faults, and an exact ledger.
#[derive(Parser)]
struct Arguments {
    /// Minutes under faults; more than 3 are rounds of 3, each with the next seed.
    #[arg(long, default_value_t = ROUND_MINUTES, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// Seed of the first round; without it a fresh one, which is printed.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Short enough to be copied by hand.
    let first_seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let mut broken = Vec::new();
    for number in 0..arguments.minutes.div_ceil(ROUND_MINUTES) {
        let seed = first_seed.wrapping_add(number);
        let minutes = ROUND_MINUTES.min(arguments.minutes - number * ROUND_MINUTES);
        report::begin(seed, minutes);
        match round::run(seed, Duration::from_secs(60 * minutes)).await {
            Ok(verdict) => {
                report::verdict(&verdict);
                if verdict.counts.iter().any(Count::is_broken) {
                    broken.push((seed, minutes));
                }
            }
            Err(error) => {
                report::failure(&error);
                return ExitCode::from(2);
            }
        }
    }
    report::end(&broken);
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
