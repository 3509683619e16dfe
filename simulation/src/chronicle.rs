//! What happened last, in its order, for people to read. Kept only when somebody asked for it.

use std::{collections::VecDeque, time::Duration};

/// Older lines are forgotten.
const LINES: usize = 200_000;

#[derive(Debug)]
pub(crate) struct Chronicle {
    kept: bool,
    lines: VecDeque<(Duration, String)>,
}

impl Chronicle {
    pub(crate) fn new(kept: bool) -> Self {
        Self { kept, lines: VecDeque::new() }
    }

    /// Notes what happens now.
    pub(crate) fn note(&mut self, now: Duration, line: impl FnOnce() -> String) {
        if self.kept {
            self.lines.push_back((now, line()));
            if self.lines.len() > LINES {
                self.lines.pop_front();
            }
        }
    }

    /// The last lines, at most this number.
    pub(crate) fn last(&self, lines: usize) -> impl Iterator<Item = &(Duration, String)> {
        self.lines.iter().skip(self.lines.len().saturating_sub(lines))
    }
}
