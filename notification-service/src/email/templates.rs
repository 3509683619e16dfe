//! The templates of the mails: those built in, and those of the folder in their place.

use super::kind::{Format, Kind};
use std::collections::BTreeMap;
use texts::{Engine, Faults, Folder};

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

/// All templates, compiled.
pub(super) struct Templates {
    pub(super) engine: Engine,
    sources: BTreeMap<String, Source>,
}

struct Source {
    text: String,
    file: String,
}

impl Templates {
    /// Compiles all. Faults are those of the folder's templates alone.
    pub(super) fn read(folder: &Folder, faults: &mut Faults) -> Self {
        let mut sources: BTreeMap<String, Source> = BUILT_IN
            .map(|(name, text)| {
                (name.to_owned(), Source { text: text.to_owned(), file: format!("mails/{name} (built in)") })
            })
            .into();
        let names: Vec<_> = folder.below("mails/").map(str::to_owned).collect();
        for name in names {
            let file = format!("mails/{name}");
            let Some(text) = folder.text(&file, faults) else { continue };
            if let Some(unseen) = text.chars().find(|c| matches!(c, '\u{e000}'..='\u{f8ff}')) {
                faults.add(
                    &file,
                    None,
                    format!("has the private character U+{:04X}; delete it", u32::from(unseen)),
                );
            }
            // As editors of other systems end a line.
            let text = text.replace("\r\n", "\n");
            sources.insert(name, Source { text, file });
        }
        let mut templates = Self { engine: Engine::default(), sources };
        for (name, source) in &templates.sources {
            templates.engine.add(name, &source.file, &source.text, faults);
        }
        templates.look_for_strangers(faults);
        templates
    }

    /// Where the faults of a template are.
    pub(super) fn file(&self, name: &str) -> &str {
        self.sources.get(name).map_or("mails", |source| &source.file)
    }

    /// The templates of a mail: its own, and those that it extends.
    pub(super) fn of(&self, kind: Kind, format: Format) -> impl Iterator<Item = (&str, &str)> {
        let mut next = self.sources.get_key_value(kind.template(format).as_str());
        let mut left = self.sources.len();
        std::iter::from_fn(move || {
            let (_, source) = next.take()?;
            left = left.checked_sub(1)?;
            next = extended(&source.text).and_then(|name| self.sources.get_key_value(name));
            Some((source.file.as_str(), source.text.as_str()))
        })
    }

    /// A file that no mail is made of has a wrong name.
    fn look_for_strangers(&self, faults: &mut Faults) {
        for (name, source) in &self.sources {
            let is_known = BUILT_IN.iter().any(|(known, _)| known == name);
            if !is_known && !self.sources.values().any(|other| extended(&other.text) == Some(name)) {
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

/// The file that a template extends.
fn extended(text: &str) -> Option<&str> {
    let behind =
        text.split_once("{%")?.1.trim_start_matches('-').trim_start().strip_prefix("extends")?.trim_start();
    let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    behind[1..].split(quote).next()
}
