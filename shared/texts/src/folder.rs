//! The files of a folder of texts, read whole into memory.
//!
//! Reading is bounded, whatever somebody puts there: regular files alone, of bounded number and size, with the names that
//! the folder may have. Links that lead out of it are refused: what is read here is mailed to everybody. Names that begin
//! with a dot are left alone: Kubernetes and editors keep their own files so.

use crate::fault::Faults;
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The largest file, in octets.
const LARGEST_FILE: u64 = 64 * 1024;
/// The most files in the folder and in each folder below it, and the most octets of all of them.
const MOST_FILES: usize = 100;
const MOST_OCTETS: usize = 1024 * 1024;
const KNOWN: &str = "expected brand.toml, languages/TAG.toml, mails/*.html, mails/*.txt or page/page.css";

/// The content of a folder of texts at one moment. Two are equal if their files are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    files: BTreeMap<String, Vec<u8>>,
    /// What could not be read, and why.
    refused: Vec<(String, String)>,
    is_there: bool,
}

impl Folder {
    /// Reads the folder. Whatever can't be read is a fault of its [`Folder::report`].
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let mut folder = Self { is_there: true, ..Self::default() };
        match fs::canonicalize(root) {
            Ok(root) => folder.read_level(&root, &root, ""),
            Err(error) => folder.refuse("the folder", format!("can't be read: {error}")),
        }
        folder
    }

    /// Adds what could not be read to the faults.
    pub fn report(&self, faults: &mut Faults) {
        if self.is_there && self.files.is_empty() && self.refused.is_empty() {
            faults.note("the folder", None, "is empty; what is built in is in use");
        }
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

    /// The rules that the folder adds to the page's style.
    pub fn page_style(&self, faults: &mut Faults) -> Option<&str> {
        self.text("page/page.css", faults)
    }

    /// The names of the files below this folder, which ends with `/`.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.keys().filter_map(move |name| name.strip_prefix(prefix))
    }

    fn read_level(&mut self, root: &Path, at: &Path, prefix: &str) {
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
                match inside(root, &path) {
                    Ok(path) => self.read_level(root, &path, &format!("{full}/")),
                    Err(what) => self.refuse(&full, what),
                }
            } else if is_known(&full) {
                match inside(root, &path).and_then(|path| read_file(&path)) {
                    Ok(octets) if self.octets() + octets.len() > MOST_OCTETS => {
                        let most = MOST_OCTETS / 1024;
                        return self.refuse(
                            &full,
                            format!("is too much: a folder of texts may have {most} KiB in all"),
                        );
                    }
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

    fn octets(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }

    fn refuse(&mut self, name: &str, what: String) {
        self.refused.push((name.to_owned(), what));
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

/// The path without links, if these stay in the folder.
fn inside(root: &Path, path: &Path) -> Result<PathBuf, String> {
    let path = fs::canonicalize(path).map_err(cannot)?;
    if path.starts_with(root) {
        Ok(path)
    } else {
        Err("is a link that leads out of the folder; put the file itself there".to_owned())
    }
}

/// The file, with the line ends of Unix.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    // Without waiting: to open a named pipe would wait for its writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(cannot)?;
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err("expected a regular file".to_owned());
    }
    let mut octets = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut octets).map_err(cannot)?;
    if octets.len() as u64 > LARGEST_FILE {
        return Err(format!(
            "is larger than {} KiB, the largest that a file of texts may be",
            LARGEST_FILE / 1024
        ));
    }
    let mut last = 0;
    octets.retain_mut(|octet| {
        let before = std::mem::replace(&mut last, *octet);
        if *octet == b'\r' {
            *octet = b'\n';
        }
        !(before == b'\r' && last == b'\n')
    });
    Ok(octets)
}

fn cannot(error: io::Error) -> String {
    format!("can't be read: {error}")
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
        write("languages/nl.toml", b"a\r\nb\rc\n\rd\r\r\ne");
        write("mails/x.txt", b"");
        fs::create_dir(root.path().join("languages/it.toml")).unwrap();
        for (link, target) in [("page", "/etc"), ("mails/y.txt", "/etc/passwd"), ("mails/z.txt", "x.txt")] {
            std::os::unix::fs::symlink(target, root.path().join(link)).unwrap();
        }
        let folder = Folder::read(root.path());
        assert_eq!(
            faults(&folder),
            [
                "brand.tml: is not known; expected brand.toml, languages/TAG.toml, mails/*.html, mails/*.txt or page/page.css",
                "languages/de.toml:3: is not UTF-8; save the file in UTF-8",
                "languages/fr.toml: is larger than 64 KiB, the largest that a file of texts may be",
                "languages/it.toml: expected a regular file",
                "mails/layout.htm: is not known; expected brand.toml, languages/TAG.toml, mails/*.html, mails/*.txt or page/page.css",
                "mails/y.txt: is a link that leads out of the folder; put the file itself there",
                "page: is a link that leads out of the folder; put the file itself there",
            ]
        );
        assert_eq!(folder.text("languages/nl.toml", &mut Faults::default()), Some("a\nb\nc\n\nd\n\ne"));
        assert_eq!(folder.text("brand.toml", &mut Faults::default()), Some("name = \"Acme\""));
        assert_eq!(folder.below("languages/").collect::<Vec<_>>(), ["de.toml", "nl.toml"]);
        assert_eq!(folder.below("mails/").collect::<Vec<_>>(), ["x.txt", "z.txt"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_fault() {
        let folder = Folder::read(Path::new("/nowhere"));
        assert_eq!(faults(&folder), ["the folder: can't be read: No such file or directory (os error 2)"]);
    }
}
