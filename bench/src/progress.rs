//! Shows the progress on a terminal. Elsewhere nothing is drawn.

use std::{
    io::{IsTerminal, Write, stderr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A line with the number of steps that are done. The last clone clears it.
#[derive(Clone)]
pub(crate) struct Bar(Arc<Line>);

struct Line {
    label: String,
    steps: u64,
    done: AtomicU64,
    is_shown: bool,
}

/// A bar with this many steps.
pub(crate) fn bar(label: &str, steps: u64) -> Bar {
    let is_shown = stderr().is_terminal();
    Bar(Arc::new(Line { label: label.to_owned(), steps, done: AtomicU64::new(0), is_shown }))
}

impl Bar {
    /// Counts steps.
    pub(crate) fn inc(&self, steps: u64) {
        let Line { label, steps: all, done, is_shown } = &*self.0;
        let done = done.fetch_add(steps, Ordering::Relaxed) + steps;
        // A thousandth of the work at most is a line.
        if *is_shown && done.is_multiple_of((all / 1000).max(1)) {
            // A terminal that is gone does not matter.
            let _ = write!(stderr(), "\r{label:30} {done}/{all}");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
