//! A secret: from a variable, or from a file that is read anew, so that its rotation needs no restart.
//!
//! What can't be used changes nothing: while the file is away, empty or only half written, the content that was read before
//! stays. The log says so once, and again when the file is usable. Nothing here judges mode or owner of the file.

use std::{
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// A longer file is no secret.
const LONGEST: u64 = 64 * 1024;
/// How often [`Secret::watch`] reads the file.
const PAUSE: Duration = Duration::from_secs(1);

type Parse<T> = Arc<dyn Fn(&str) -> Result<T, String> + Send + Sync>;

/// A secret of type `T`; all clones share it. `Debug` shows the files, or nothing.
#[derive(Clone)]
pub struct Secret<T>(Arc<Inner<T>>);

struct Inner<T> {
    source: Option<Source<T>>,
    taken: Mutex<Taken<T>>,
    /// Held while the files are read, so that an older content never replaces a newer one.
    reading: Mutex<()>,
}

struct Source<T> {
    /// The variable that names the file.
    variable: &'static str,
    paths: Vec<PathBuf>,
    parse: Parse<T>,
}

#[derive(Clone)]
struct Taken<T> {
    text: String,
    value: T,
    /// Why the present content of the file is not the one that was taken.
    problem: Option<String>,
}

impl<T> From<T> for Secret<T> {
    /// A value that stays.
    fn from(value: T) -> Self {
        Self::new(None, Taken { text: String::new(), value, problem: None })
    }
}

impl<T> Secret<T> {
    fn new(source: Option<Source<T>>, taken: Taken<T>) -> Self {
        Self(Arc::new(Inner { source, taken: Mutex::new(taken), reading: Mutex::default() }))
    }

    /// Reads the files, which the variable names. Several files are read as one text. A byte order mark and the line ends
    /// behind a file's text are no part of it; `parse` gets the rest.
    ///
    /// # Errors
    /// What is wrong with a file, or what `parse` expects instead of its content. Never the content.
    pub fn from_files<E: fmt::Display>(
        variable: &'static str,
        paths: Vec<PathBuf>,
        parse: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let parse = move |text: &str| {
            parse(text).map_err(|expected| format!("expected {expected}; the content is not shown"))
        };
        let text = read_all(&paths)?;
        let value = parse(&text)?;
        let source = Source { variable, paths, parse: Arc::new(parse) };
        Ok(Self::new(Some(source), Taken { text, value, problem: None }))
    }

    /// Whether it is from a file that may change.
    #[must_use]
    pub fn is_from_file(&self) -> bool {
        self.0.source.is_some()
    }

    /// For metrics: the variable that names the file, and whether the file's present content is in use, as far as is known.
    #[must_use]
    pub fn file(&self) -> Option<(&'static str, bool)> {
        self.0.source.as_ref().map(|source| (source.variable, self.taken().problem.is_none()))
    }

    fn taken(&self) -> MutexGuard<'_, Taken<T>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Secret<T> {
    /// The content that was taken last. Reads no file.
    #[must_use]
    pub fn get(&self) -> T {
        self.taken().value.clone()
    }

    /// Reads the file anew and returns its present content, or the last one that could be used. Blocks.
    #[must_use]
    pub fn renewed(&self) -> T {
        if let Some(source) = &self.0.source {
            let _one_at_a_time = self.0.reading.lock().unwrap_or_else(PoisonError::into_inner);
            let before = self.taken().text.clone();
            let read = read_all(&source.paths).and_then(|text| {
                let value = if text == before { None } else { Some((source.parse)(&text)?) };
                Ok((text, value))
            });
            self.take(source, read);
        }
        self.get()
    }

    fn take(&self, source: &Source<T>, read: Result<(String, Option<T>), String>) {
        let mut taken = self.taken();
        let problem = match read {
            Ok((text, value)) => {
                if let Some(value) = value {
                    (taken.text, taken.value) = (text, value);
                    log::info!("variable" = source.variable; "the secret in the file has changed; the new one is in use");
                } else if taken.problem.is_some() {
                    log::info!("variable" = source.variable; "the file of the secret can be used again, and has not changed");
                }
                None
            }
            Err(problem) => Some(problem),
        };
        if let Some(problem) = problem.as_deref().filter(|problem| taken.problem.as_deref() != Some(problem))
        {
            log::warn!(
                "variable" = source.variable, "problem" = problem;
                "the file of a secret can't be used; the one that was read before stays in use"
            );
        }
        taken.problem = problem;
    }

    /// The same secret, whose later contents are taken only if they pass this check.
    #[must_use]
    pub fn checked(&self, check: impl Fn(&T) -> Result<(), String> + Send + Sync + 'static) -> Self
    where
        T: 'static,
    {
        let source = self.0.source.as_ref().map(|source| {
            let parse = Arc::clone(&source.parse);
            let parse = move |text: &str| parse(text).and_then(|value| check(&value).map(|()| value));
            Source {
                variable: source.variable,
                paths: source.paths.clone(),
                parse: Arc::new(parse) as Parse<T>,
            }
        });
        Self::new(source, self.taken().clone())
    }
}

impl<T: Clone + Send + 'static> Secret<T> {
    /// As [`Secret::renewed`], without blocking the thread.
    pub async fn renew(&self) -> T {
        if !self.is_from_file() {
            return self.get();
        }
        let secret = self.clone();
        // It panics only if `parse` does; then the last content stays.
        tokio::task::spawn_blocking(move || secret.renewed()).await.unwrap_or_else(|_| self.get())
    }

    /// Takes over each change of the file within a second or two, until `stop` is cancelled.
    pub async fn watch(self, stop: CancellationToken) {
        if self.is_from_file() {
            while tokio::time::timeout(PAUSE, stop.cancelled()).await.is_err() {
                let _ = self.renew().await;
            }
        }
        stop.cancelled().await;
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.source {
            Some(source) => write!(f, "Secret({:?})", source.paths),
            None => f.write_str("Secret(***)"),
        }
    }
}

/// Takes a secret of one line.
///
/// # Errors
/// What was expected.
pub fn one_line(text: &str) -> Result<String, &'static str> {
    if text.contains(char::is_control) {
        Err("one line without control characters")
    } else {
        Ok(text.to_owned())
    }
}

fn read_all(paths: &[PathBuf]) -> Result<String, String> {
    let texts: Result<Vec<_>, _> = paths.iter().map(|path| read(path)).collect();
    Ok(texts?.join("\n"))
}

/// The text of a file, without a byte order mark and the line ends behind it.
///
/// # Errors
/// Why it can't be read or is no text. Names the path, and never shows the content.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let failed = |error| format!("{} can't be read: {error}", path.display());
    // To open a named pipe would wait for its writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{} is no regular file", path.display()));
    }
    let mut octets = Vec::new();
    fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut octets)).map_err(failed)?;
    if u64::try_from(octets.len()).is_ok_and(|length| length > LONGEST) {
        return Err(format!("{} is longer than 64 KiB", path.display()));
    }
    let text = String::from_utf8(octets).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    let text = text.trim_start_matches('\u{FEFF}').trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests;
