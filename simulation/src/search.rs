//! Seed after seed.

use crate::{
    report::{self, Searched},
    schedule::{self, Planned},
    setup::{Scale, Setup},
    shrink,
    world::{self, Verdict},
};
use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Between two lines about what was searched.
const PAUSE_OF_LINES: Duration = Duration::from_secs(10);

/// Runs one seed, and reports; false when a promise is broken.
pub(crate) fn run(seed: u64, scale: Scale, chronicled: bool) -> bool {
    let (setup, faults, verdict) = run_once(seed, scale, chronicled);
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

fn run_once(seed: u64, scale: Scale, chronicled: bool) -> (Setup, Vec<Planned>, Verdict) {
    let setup = Setup::new(seed, scale);
    let faults = schedule::plan(seed, &setup);
    let verdict = world::run(&setup, &faults, chronicled);
    (setup, faults, verdict)
}

/// How long a search goes on.
pub(crate) struct Extent {
    /// The first seed.
    pub(crate) from: u64,
    pub(crate) seeds: u64,
    /// Of real time.
    pub(crate) length: Duration,
    /// Seeds that are run at the same time, each by a thread.
    pub(crate) threads: usize,
}

/// Runs seed after seed until there were so many, the time is over or a promise is broken, and reports; false in the latter case.
pub(crate) fn search(extent: &Extent, scale: Scale) -> bool {
    let began = Instant::now();
    let (next, is_broken) = (AtomicU64::new(0), AtomicBool::new(false));
    let (of_threads, ended) = mpsc::channel();
    let mut searched = Searched::default();
    let mut broken = None;
    thread::scope(|threads| {
        for _ in 0..extent.threads {
            let (of_threads, next, is_broken) = (of_threads.clone(), &next, &is_broken);
            threads.spawn(move || {
                while began.elapsed() < extent.length && !is_broken.load(Relaxed) {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= extent.seeds {
                        break;
                    }
                    let ran = run_once(extent.from + number, scale, false);
                    is_broken.fetch_or(ran.2.breach.is_some(), Relaxed);
                    if of_threads.send(ran).is_err() {
                        break;
                    }
                }
            });
        }
        drop(of_threads);
        let mut line_at = PAUSE_OF_LINES;
        for (setup, faults, verdict) in ended {
            searched.add(&verdict);
            if verdict.breach.is_some() && broken.is_none() {
                broken = Some((setup, faults));
            } else if began.elapsed() > line_at {
                report::searched(extent.from, extent.threads, &searched, began.elapsed());
                line_at = began.elapsed() + PAUSE_OF_LINES;
            }
        }
    });
    report::searched(extent.from, extent.threads, &searched, began.elapsed());
    let Some((setup, faults)) = broken else { return true };
    report::breach(&setup, &shrink::shrink(&setup, faults));
    false
}
