//! Seed after seed.

use crate::{
    report::{self, Searched},
    schedule,
    setup::{Scale, Setup},
    shrink,
    world::{self, Verdict},
};
use std::time::{Duration, Instant};

/// Between two lines about what was searched.
const PAUSE_OF_LINES: Duration = Duration::from_secs(10);

/// Runs one seed, and reports; false when a promise is broken.
pub(crate) fn run(seed: u64, scale: Scale, chronicled: bool) -> bool {
    let setup = Setup::new(seed, scale);
    let faults = schedule::plan(seed, &setup);
    let verdict = world::run(&setup, &faults, chronicled);
    if verdict.breach.is_some() {
        report::breach(&setup, &shrink::shrink(&setup, faults));
        return false;
    }
    if chronicled {
        report::chronicle(&verdict.chronicle, usize::MAX);
    }
    report::kept(&setup, &faults, &verdict);
    true
}

/// Runs so many seeds from this one on, until the time is over or a promise is broken, and reports; false in the latter case.
pub(crate) fn search(from: u64, seeds: u64, scale: Scale, length: Duration) -> bool {
    let (began, mut searched, mut line_at) = (Instant::now(), Searched::default(), PAUSE_OF_LINES);
    while began.elapsed() < length && searched.seeds < seeds {
        let setup = Setup::new(from + searched.seeds, scale);
        let faults = schedule::plan(setup.seed, &setup);
        let Verdict { breach, took, mails, duplicates, answers, .. } = world::run(&setup, &faults, false);
        searched.seeds += 1;
        searched.simulated += took;
        searched.mails += mails;
        searched.duplicates += duplicates;
        searched.answers += answers;
        if breach.is_some() {
            report::searched(from, &searched, began.elapsed());
            report::breach(&setup, &shrink::shrink(&setup, faults));
            return false;
        }
        if began.elapsed() > line_at {
            report::searched(from, &searched, began.elapsed());
            line_at = began.elapsed() + PAUSE_OF_LINES;
        }
    }
    report::searched(from, &searched, began.elapsed());
    true
}
