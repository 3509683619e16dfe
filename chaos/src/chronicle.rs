//! A file with a timed line for each event of a round. It helps to find out why a count is broken.

use anyhow::Context as _;
use jiff::Timestamp;
use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// The log of a round.
#[derive(Debug)]
pub(crate) struct Chronicle(Mutex<File>);

impl Chronicle {
    /// Begins the file.
    pub(crate) fn create(file: &Path) -> anyhow::Result<Self> {
        Ok(Self(Mutex::new(File::create(file).with_context(|| format!("{}", file.display()))?)))
    }

    /// Adds a line.
    pub(crate) fn note(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A failed write must not end the round.
        let _ = writeln!(file, "{:.3} {line}", Timestamp::now());
    }
}
