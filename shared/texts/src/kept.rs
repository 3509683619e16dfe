//! The texts in use, and how a change of the folder takes their place while a service runs.
//!
//! A change is taken when two looks in a row have found the same files: an editor or a copy may be in the middle of its
//! work. What is faulty is refused, and what was there before stays in use.

use crate::{
    fault::{Fault, Faults, FaultyTexts},
    folder::Folder,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

type Build<T> = dyn Fn(&Folder, &mut Faults) -> T + Send + Sync;

/// What a service makes of the texts, always whole and without faults.
pub struct Kept<T> {
    root: Option<PathBuf>,
    build: Box<Build<T>>,
    current: RwLock<Arc<T>>,
    looks: Mutex<Looks>,
}

/// What was found in the folder.
struct Looks {
    in_use: Folder,
    last: Folder,
    refused: Option<Folder>,
}

/// What a look at the folder has led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    /// The folder is as it was, or is being changed.
    Same,
    /// The change was taken; these are its notes.
    Taken(Vec<Fault>),
    /// The change was refused.
    Refused(FaultyTexts),
    /// A refused change is gone: the folder is again as the texts in use.
    Back,
}

impl<T> Kept<T> {
    /// Reads the texts; without a folder what is built in.
    ///
    /// # Errors
    /// All faults of the folder.
    pub fn load(
        root: Option<PathBuf>,
        build: impl Fn(&Folder, &mut Faults) -> T + Send + Sync + 'static,
    ) -> Result<(Self, Vec<Fault>), FaultyTexts> {
        let folder = root.as_deref().map(Folder::read).unwrap_or_default();
        let mut faults = Faults::default();
        let built = build(&folder, &mut faults);
        let notes = faults.finish()?;
        let looks = Looks { in_use: folder.clone(), last: folder, refused: None };
        let kept = Self {
            root,
            build: Box::new(build),
            current: RwLock::new(Arc::new(built)),
            looks: Mutex::new(looks),
        };
        Ok((kept, notes))
    }

    /// The folder to look at, if there is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// What is in use.
    #[must_use]
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the folder, and takes a change that has come to rest. Reads files: it blocks its thread.
    pub fn check(&self) -> Checked {
        let Some(root) = &self.root else { return Checked::Same };
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = Folder::read(root);
        let is_at_rest = found == looks.last;
        looks.last.clone_from(&found);
        if !is_at_rest || looks.refused.as_ref() == Some(&found) {
            return Checked::Same;
        }
        if found == looks.in_use {
            return if looks.refused.take().is_some() { Checked::Back } else { Checked::Same };
        }
        // Refused until it is built: building could panic, and would do so at every look.
        looks.refused = Some(found.clone());
        let mut faults = Faults::default();
        let built = (self.build)(&found, &mut faults);
        match faults.finish() {
            Ok(notes) => {
                looks.refused = None;
                looks.in_use = found;
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(built);
                Checked::Taken(notes)
            }
            Err(faulty) => Checked::Refused(faulty),
        }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.root.as_deref().unwrap_or(Path::new("built in")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_change_is_taken_when_it_rests_and_a_faulty_one_is_refused_once() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("brand.toml");
        fs::write(&path, "1").unwrap();
        let (kept, _) = Kept::load(Some(root.path().to_owned()), |folder: &Folder, faults: &mut Faults| {
            folder.report(faults);
            let text = folder.text("brand.toml", faults).unwrap_or_default().to_owned();
            assert_ne!(text, "panic", "expected by this test");
            if text.contains('x') {
                faults.add("brand.toml", None, "has x");
            }
            text
        })
        .unwrap();
        let look = |text: &str| {
            fs::write(&path, text).unwrap();
            kept.check()
        };
        assert_eq!((look("1"), kept.now().as_str()), (Checked::Same, "1"));
        assert_eq!((look("2"), kept.now().as_str()), (Checked::Same, "1"), "it may be half written");
        assert_eq!((look("22"), kept.now().as_str()), (Checked::Same, "1"));
        assert_eq!((look("22"), kept.now().as_str()), (Checked::Taken(Vec::new()), "22"));
        assert_eq!(look("x"), Checked::Same);
        assert!(matches!(look("x"), Checked::Refused(_)));
        assert_eq!((look("x"), kept.now().as_str()), (Checked::Same, "22"), "a refusal is said once");
        assert_eq!((look("22"), look("22"), look("22")), (Checked::Same, Checked::Back, Checked::Same));
        look("panic");
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look("panic")));
        assert!(caught.is_err());
        assert_eq!(
            (look("panic"), kept.now().as_str()),
            (Checked::Same, "22"),
            "a panic does not come again"
        );
        assert_eq!((look("3"), look("3")), (Checked::Same, Checked::Taken(Vec::new())));
        fs::remove_dir_all(root.path()).unwrap();
        kept.check();
        assert!(matches!(kept.check(), Checked::Refused(_)), "a folder that is gone");
        assert_eq!(kept.now().as_str(), "3");
    }
}
