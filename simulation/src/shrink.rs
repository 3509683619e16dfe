//! The fewest faults that still break a promise: first the shortest prefix of the schedule, then without each fault that is not
//! needed, as far as that goes in a minute.

use crate::{
    schedule::Planned,
    setup::Setup,
    world::{self, Verdict},
};
use std::time::{Duration, Instant};

/// The real time for trying with fewer faults.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is left of a schedule, and what it leads to.
#[derive(Debug)]
pub(crate) struct Shrunk {
    pub(crate) faults: Vec<Planned>,
    /// Of the schedule as it was planned.
    pub(crate) planned: usize,
    pub(crate) runs: usize,
    pub(crate) verdict: Verdict,
}

/// Shrinks a schedule that breaks a promise; whichever it still breaks counts.
pub(crate) fn shrink(setup: &Setup, planned: Vec<Planned>) -> Shrunk {
    let (count, began, mut runs) = (planned.len(), Instant::now(), 0);
    let mut breaks = |faults: &[Planned]| {
        runs += 1;
        world::run(setup, faults, false).breach.is_some()
    };
    // A longer prefix may hide what a shorter one shows, so this is not exact; what follows is, in its result.
    let (mut none, mut some) = (0, count);
    while none < some {
        let middle = none.midpoint(some);
        if breaks(&planned[..middle]) { some = middle } else { none = middle + 1 }
    }
    let mut faults = planned;
    faults.truncate(some);
    // Halves, quarters and so on down to single faults, from the end.
    let mut size = faults.len().div_ceil(2);
    while size > 0 && began.elapsed() < PATIENCE {
        let mut end = faults.len();
        while end > 0 && began.elapsed() < PATIENCE {
            let begin = end.saturating_sub(size);
            let mut fewer = faults.clone();
            fewer.drain(begin..end);
            if breaks(&fewer) {
                faults = fewer;
            }
            end = begin.min(faults.len());
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    let verdict = world::run(setup, &faults, true);
    Shrunk { faults, planned: count, runs, verdict }
}
