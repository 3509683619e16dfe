//! The templates of the mails: those built in, and those of the folder in their place.

use super::kind::{Format, Kind};
use std::collections::{BTreeMap, BTreeSet};
use texts::{Engine, Faults, Folder, unseen};

const BUILT_IN: [(&str, &str); 8] = [
    ("layout.html", include_str!("../../templates/layout.html")),
    ("layout.txt", include_str!("../../templates/layout.txt")),
    ("verify_account.html", include_str!("../../templates/verify_account.html")),
    ("verify_account.txt", include_str!("../../templates/verify_account.txt")),
    ("account_verified.html", include_str!("../../templates/account_verified.html")),
    ("account_verified.txt", include_str!("../../templates/account_verified.txt")),
    ("account_exists.html", include_str!("../../templates/account_exists.html")),
    ("account_exists.txt", include_str!("../../templates/account_exists.txt")),
];

/// The most files that extend one another.
const DEEPEST: usize = 6;

/// All templates, compiled.
pub(super) struct Templates {
    pub(super) engine: Engine,
    sources: BTreeMap<String, Source>,
}

struct Source {
    text: String,
    file: String,
    is_own: bool,
    extends: Option<String>,
}

impl Templates {
    /// Compiles all. Faults are those of the folder's templates alone.
    pub(super) fn read(folder: &Folder, faults: &mut Faults) -> Self {
        let built_in = BUILT_IN.map(|(name, text)| {
            let file = format!("mails/{name} (built in)");
            (name.to_owned(), Source { text: text.to_owned(), file, is_own: false, extends: None })
        });
        let mut templates = Self { engine: Engine::default(), sources: built_in.into() };
        for name in folder.below("mails/") {
            let file = format!("mails/{name}");
            let Some(text) = folder.text(&file, faults) else { continue };
            if let Some((line, c)) = unseen(text) {
                let what =
                    format!("has the invisible or private character U+{:04X}; delete it", u32::from(c));
                faults.add(&file, Some(line), what);
            }
            let source = Source { text: text.to_owned(), file, is_own: true, extends: None };
            templates.sources.insert(name.to_owned(), source);
        }
        let mut lines = BTreeMap::new();
        for (name, source) in &mut templates.sources {
            if let Some((extends, line)) = templates.engine.add(name, &source.file, &source.text, faults) {
                lines.insert(name.clone(), line);
                source.extends = Some(extends);
            }
        }
        for (name, line) in lines {
            templates.check_extended(&name, line, faults);
        }
        templates.look_for_strangers(faults);
        templates
    }

    /// Where the faults of a mail's template are: its own file or, if that is built in, one of the folder that it extends.
    pub(super) fn file(&self, kind: Kind, format: Format) -> String {
        let own = self.chain(&kind.template(format)).find(|source| source.is_own);
        let source = own.or_else(|| self.sources.get(&kind.template(format)));
        source.map_or_else(|| "mails".to_owned(), |source| source.file.clone())
    }

    /// The templates of a mail: its own, and those that it extends.
    pub(super) fn of(&self, kind: Kind, format: Format) -> impl Iterator<Item = (&str, &str)> {
        let name = kind.template(format);
        self.chain(&name)
            .map(|source| (source.file.as_str(), source.text.as_str()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn chain(&self, name: &str) -> impl Iterator<Item = &Source> {
        let next = |source: &&Source| self.sources.get(source.extends.as_ref()?);
        std::iter::successors(self.sources.get(name), next).take(DEEPEST)
    }

    fn check_extended(&self, name: &str, line: usize, faults: &mut Faults) {
        let Some(source) = self.sources.get(name) else { return };
        let Some(extended) = source.extends.as_ref() else { return };
        // What could not be read has a fault of its own.
        if !self.sources.contains_key(extended) && !faults.concern(&format!("mails/{extended}")) {
            let what = format!("there is no file mails/{extended} to extend");
            faults.add(&source.file, Some(line), what);
        } else if self.chain(name).count() == DEEPEST {
            let what =
                format!("extends itself, or too many files in a row; expected {} at most", DEEPEST - 1);
            faults.add(&source.file, Some(line), what);
        }
    }

    /// A file that no mail is made of has a wrong name.
    fn look_for_strangers(&self, faults: &mut Faults) {
        let extended: BTreeSet<_> =
            self.sources.values().filter_map(|source| source.extends.as_ref()).collect();
        for (name, source) in &self.sources {
            let is_known = BUILT_IN.iter().any(|(known, _)| known == name);
            // One whose extending file has a fault may be no stranger.
            if !is_known && faults.count() == 0 && !extended.contains(name) {
                let known = BUILT_IN.map(|(known, _)| known).join(", ");
                faults.add(
                    &source.file,
                    None,
                    format!(
                        "no mail is made of this; expected one of {known}, or a file that one of them extends"
                    ),
                );
            }
        }
    }
}
