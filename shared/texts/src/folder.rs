//! The files of a folder of texts, read whole into memory.
//!
//! Reading is bounded, whatever somebody puts there: regular files alone, of at most [`LARGEST_FILE`], with the names
//! that the folder may have. Names that begin with a dot are left alone: Kubernetes and editors keep their own files so.

use crate::fault::Faults;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The largest file, in octets.
const LARGEST_FILE: u64 = 64 * 1024;
/// The most files in the folder and in each folder below it.
const MOST_FILES: usize = 300;
const KNOWN: &str = "expected brand.toml, languages/TAG.toml, mails/*.html, mails/*.txt or page/page.css";

/// The content of a folder of texts at one moment. Two are equal if their files are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    files: BTreeMap<String, Vec<u8>>,
    /// What could not be read, and why.
    refused: Vec<(String, String)>,
}

impl Folder {
    /// Reads the folder. Whatever can't be read is a fault of its [`Folder::report`].
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let mut folder = Self::default();
        folder.read_level(root, "");
        folder
    }

    /// Adds what could not be read to the faults.
    pub fn report(&self, faults: &mut Faults) {
        for (file, what) in &self.refused {
            faults.add(file, None, what);
        }
    }

    /// The text of a file; `None` if it is not there or is no UTF-8, which is then a fault.
    pub fn text(&self, name: &str, faults: &mut Faults) -> Option<&str> {
        let text = str::from_utf8(self.files.get(name)?);
        match text {
            Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(error) => {
                let octets = self.files.get(name).map_or(&[][..], |octets| &octets[..error.valid_up_to()]);
                let line = octets.iter().filter(|octet| **octet == b'\n').count() + 1;
                faults.add(name, Some(line), "is not UTF-8; save the file in UTF-8");
                None
            }
        }
    }

    /// The names of the files below this folder, which ends with `/`.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.keys().filter_map(move |name| name.strip_prefix(prefix))
    }

    fn read_level(&mut self, at: &Path, prefix: &str) {
        let shown = if prefix.is_empty() { "the folder" } else { prefix };
        let entries = match fs::read_dir(at) {
            Ok(entries) => entries,
            Err(error) => return self.refuse(shown, format!("can't be read: {error}")),
        };
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in entries.take(MOST_FILES + 1) {
            match entry {
                Ok(entry) => paths.push(entry.path()),
                Err(error) => return self.refuse(shown, format!("can't be read: {error}")),
            }
        }
        if paths.len() > MOST_FILES {
            return self
                .refuse(shown, format!("has more than {MOST_FILES} files; is this a folder of texts?"));
        }
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is_ignored(&name) {
                continue;
            }
            let full = format!("{prefix}{name}");
            if ["languages", "mails", "page"].contains(&full.as_str()) {
                self.read_level(&path, &format!("{full}/"));
            } else if is_known(&full) {
                match read_file(&path) {
                    Ok(octets) => {
                        self.files.insert(full, octets);
                    }
                    Err(what) => self.refuse(&full, what),
                }
            } else {
                self.refuse(&full, format!("is not known; {KNOWN}"));
            }
        }
    }

    fn refuse(&mut self, name: &str, what: String) {
        self.refused.push((name.escape_debug().to_string(), what));
    }
}

/// Files of the system, of editors, and about the folder.
fn is_ignored(name: &str) -> bool {
    name.starts_with('.')
        || name.starts_with('#')
        || name.ends_with('~')
        || name.ends_with(".md")
        || name == "lost+found"
}

fn is_known(name: &str) -> bool {
    match name.split_once('/') {
        None => name == "brand.toml",
        Some(("languages", file)) => file.ends_with(".toml"),
        Some(("mails", file)) => file.ends_with(".html") || file.ends_with(".txt"),
        Some((_, file)) => file == "page.css",
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let refused = |error: io::Error| format!("can't be read: {error}");
    // Looked at before it is opened: to open a named pipe would wait for its writer.
    if !fs::metadata(path).map_err(refused)?.is_file() {
        return Err("expected a regular file".to_owned());
    }
    let mut octets = Vec::new();
    let file = File::open(path).map_err(refused)?;
    file.take(LARGEST_FILE + 1).read_to_end(&mut octets).map_err(refused)?;
    if octets.len() as u64 > LARGEST_FILE {
        return Err(format!(
            "is larger than {} KiB, the largest that a file of texts may be",
            LARGEST_FILE / 1024
        ));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(folder: &Folder) -> Vec<String> {
        let mut faults = Faults::default();
        folder.report(&mut faults);
        for name in folder.files.keys() {
            folder.text(name, &mut faults);
        }
        faults
            .finish()
            .map_or_else(|faulty| faulty.faults().iter().map(ToString::to_string).collect(), |_| Vec::new())
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_name_and_other_files_are_read() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        write("brand.toml", b"\xef\xbb\xbfname = \"Acme\"");
        write("languages/de.toml", b"a\nb\n\xff");
        write("languages/fr.toml", &vec![b'#'; 64 * 1024 + 1]);
        write("mails/layout.htm", b"");
        write("brand.tml", b"");
        write(".git/config", b"");
        write("README.md", b"");
        fs::create_dir(root.path().join("languages/it.toml")).unwrap();
        let folder = Folder::read(root.path());
        assert_eq!(
            faults(&folder),
            [
                "brand.tml: is not known; expected brand.toml, languages/TAG.toml, mails/*.html, mails/*.txt or page/page.css",
                "languages/de.toml:3: is not UTF-8; save the file in UTF-8",
                "languages/fr.toml: is larger than 64 KiB, the largest that a file of texts may be",
                "languages/it.toml: expected a regular file",
                "mails/layout.htm: is not known; expected brand.toml, languages/TAG.toml, mails/*.html, mails/*.txt or page/page.css",
            ]
        );
        assert_eq!(folder.text("brand.toml", &mut Faults::default()), Some("name = \"Acme\""));
        assert_eq!(folder.below("languages/").collect::<Vec<_>>(), ["de.toml"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_fault() {
        let folder = Folder::read(Path::new("/nowhere"));
        assert_eq!(faults(&folder), ["the folder: can't be read: No such file or directory (os error 2)"]);
    }
}
