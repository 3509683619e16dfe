//! What is wrong with a folder of texts, for the person who edits it.

use contract::characters::printable;
use std::fmt;

/// The most faults that are listed. A file of the wrong kind has thousands.
const MOST: usize = 100;
/// The most characters of a fault.
const LONGEST: usize = 500;

/// One fault: where it is, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file's path in the folder, such as `languages/de.toml`.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// What is wrong, what was expected, and what to do.
    pub what: String,
}

/// Collects faults, and notes about what is allowed and perhaps not meant.
#[derive(Debug, Default)]
pub struct Faults {
    faults: Vec<Fault>,
    notes: Vec<Fault>,
    left_out: usize,
}

/// The texts can't be used; all faults, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultyTexts(Vec<Fault>);

impl Fault {
    /// What files and their keys are called is printed so that it can't steer a terminal.
    fn new(file: &str, line: Option<usize>, what: &str) -> Self {
        let shown = |text: &str| printable(&text.chars().take(LONGEST).collect::<String>()).to_string();
        Self { file: shown(file), line, what: shown(what) }
    }
}

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, file: &str, line: Option<usize>, what: impl Into<String>) {
        if self.is_full() {
            self.left_out += 1;
        } else {
            self.faults.push(Fault::new(file, line, &what.into()));
        }
    }

    /// Adds a note.
    pub fn note(&mut self, file: &str, line: Option<usize>, what: impl Into<String>) {
        if self.notes.len() < MOST {
            self.notes.push(Fault::new(file, line, &what.into()));
        }
    }

    /// Whether more faults are only counted, so that work for a better explanation is of no use.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.faults.len() >= MOST
    }

    /// How many faults there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.faults.len() + self.left_out
    }

    /// Whether a fault of this file is among them.
    #[must_use]
    pub fn concern(&self, file: &str) -> bool {
        self.faults.iter().any(|fault| fault.file == file)
    }

    /// The notes, unless there are faults.
    ///
    /// # Errors
    /// The faults, by file and line.
    pub fn finish(mut self) -> Result<Vec<Fault>, FaultyTexts> {
        if self.faults.is_empty() {
            return Ok(self.notes);
        }
        self.faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if self.left_out > 0 {
            let what = format!("and {} more faults, which are not listed", self.left_out);
            self.faults.push(Fault { file: "the folder".to_owned(), line: None, what });
        }
        Err(FaultyTexts(self.faults))
    }
}

impl FaultyTexts {
    /// The faults.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl fmt::Display for FaultyTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the texts can't be used:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for FaultyTexts {}
