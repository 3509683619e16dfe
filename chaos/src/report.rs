//! The run's result on standard output.

#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use crate::round::{READY_AGAIN, SETTLED_AGAIN, Verdict};

/// Prints the first line of a round.
pub(crate) fn begin(seed: u64, minutes: u64) {
    println!("seed {seed}, {minutes} min under faults");
}

/// Prints all counts with their bounds, and the figures.
pub(crate) fn verdict(verdict: &Verdict) {
    let it = &verdict.figures;
    println!(
        "  {} faults; {} requests: {} accepted, {} verified, {} forgotten, {} wrong codes, {} refused (503), {} without an answer",
        it.faults,
        it.requests,
        it.accepted,
        it.verified,
        it.forgotten,
        it.compared,
        it.refused,
        it.unanswered
    );
    println!(
        "  {} records, {} mails, {} expired, {} dead letters; ready after {:.1?} (bound {:.0?}), settled after {:.1?} more (bound {:.0?})",
        it.records, it.mails, it.expired, it.dead_letters, it.ready, READY_AGAIN, it.settled, SETTLED_AGAIN
    );
    let [users, notifications] = it.memory.map(|octets| octets / 1_000_000);
    println!("  at most {users} MB resident in a user service, {notifications} MB in a notification service");
    for count in &verdict.counts {
        let mark = if count.is_broken() { "BROKEN" } else { "ok" };
        println!("  {mark:6} {:>5} (bound {:>4})  {}", count.found, count.bound, count.name);
        if count.is_broken() {
            count.examples.iter().for_each(|example| println!("           {example}"));
        }
    }
    if let Some(folder) = &verdict.folder {
        println!("  logs and evidence: {}", folder.display());
    }
}

/// Prints that the round itself did not work.
pub(crate) fn failure(error: &anyhow::Error) {
    println!("  the round could not be run: {error:#}");
}

/// Prints the seeds that broke a promise, with the commands that repeat them.
pub(crate) fn end(broken: &[(u64, u64)]) {
    if broken.is_empty() {
        println!("every count is within its bound");
    }
    for (seed, minutes) in broken {
        println!("BROKEN: scripts/chaos.sh --minutes {minutes} --seed {seed}");
    }
}
