//! What the program says on standard output.

#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use crate::{chronicle::Chronicle, schedule::Planned, setup::Setup, shrink::Shrunk, world::Verdict};
use std::time::Duration;

/// So many of the last lines of a chronicle are printed with a broken promise.
const LINES: usize = 400;
/// Lines that concern everybody.
const FRAME: [&str; 6] = ["fault", "group:", "Revoked", "Assigned(", "starts", "asked to stop"];

/// What was searched.
#[derive(Debug, Default)]
pub(crate) struct Searched {
    pub(crate) seeds: u64,
    pub(crate) simulated: Duration,
    pub(crate) mails: usize,
    pub(crate) duplicates: usize,
    pub(crate) answers: usize,
}

impl Searched {
    /// One more seed was run.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        let Verdict { took, mails, duplicates, answers, .. } = verdict;
        self.seeds += 1;
        self.simulated += *took;
        self.mails += mails;
        self.duplicates += duplicates;
        self.answers += answers;
    }
}

/// A run that broke no promise.
pub(crate) fn kept(setup: &Setup, faults: &[Planned], verdict: &Verdict) {
    let Verdict { took, mails, duplicates, answers, .. } = verdict;
    println!(
        "seed {}: {} faults in {:.0?}, settled at {took:.1?}; {answers} answers; {mails} mails, {duplicates} of them duplicates; every promise kept",
        setup.seed,
        faults.len(),
        setup.faults_for
    );
}

/// What was searched so far.
pub(crate) fn searched(from: u64, threads: usize, searched: &Searched, real: Duration) {
    let Searched { seeds, simulated, mails, duplicates, answers } = searched;
    let hours = simulated.as_secs_f64() / 3_600.0;
    let each = hours / (real.as_secs_f64() / 3_600.0) / threads as f64;
    println!(
        "{seeds} seeds from {from} on: {hours:.1} simulated hours in {real:.0?}, {each:.0} an hour by each of {threads} threads; \
         {answers} answers; {mails} mails, {duplicates} of them duplicates"
    );
}

/// A broken promise, the faults that it takes, and what happened.
pub(crate) fn breach(setup: &Setup, shrunk: &Shrunk) {
    let Shrunk { faults, planned, runs, verdict } = shrunk;
    println!(
        "\nseed {}: BROKEN; {} of {planned} faults are needed (found in {runs} runs)",
        setup.seed,
        faults.len()
    );
    println!("{setup:?}");
    for (number, Planned { at, lasts, fault }) in faults.iter().enumerate() {
        println!("  fault {number} at {at:.3?} for {lasts:.3?}: {fault:?}");
    }
    if let Some(breach) = &verdict.breach {
        match &breach.sign_up {
            Some(sign_up) => story(&verdict.chronicle, sign_up),
            None => chronicle(&verdict.chronicle, LINES),
        }
        println!("BROKEN at {:.3?}: {}\n  {}", breach.at, breach.promise, breach.detail);
    }
}

/// What happened with one sign-up, with the faults and the group's rebalances in between.
fn story(chronicle: &Chronicle, sign_up: &str) {
    // All requests about an address begin alike.
    let who = sign_up.split('-').next().unwrap_or(sign_up);
    let concerns = |line: &str| line.split([' ', ':', '-']).any(|word| word == who);
    let is_frame = |line: &str| FRAME.iter().any(|part| line.contains(part));
    for (at, line) in chronicle.last(usize::MAX).filter(|(_, line)| concerns(line) || is_frame(line)) {
        println!("  {:>12.6} {line}", at.as_secs_f64());
    }
}

/// The last lines of what happened.
pub(crate) fn chronicle(chronicle: &Chronicle, lines: usize) {
    for (at, line) in chronicle.last(lines) {
        println!("  {:>12.6} {line}", at.as_secs_f64());
    }
}
