//! All languages with their brand, and which of them a reader gets.

use crate::{
    brand::{self, Brands},
    fault::Faults,
    file::TomlFile,
    folder::Folder,
    language::{self, Direction, Language, Words, Written},
    tag::{normal_tag, truncations},
};
use std::{collections::BTreeMap, sync::Arc};

/// The language of those who want none of the others.
const ENGLISH: &str = "en";

/// Declares what is built in.
macro_rules! built_in {
    ($($tag:literal)*) => {
        [$(($tag, include_str!(concat!("../languages/", $tag, ".toml")))),*]
    };
}

const BUILT_IN: [(&str, &str); 14] =
    built_in!["en" "de" "fr" "es" "it" "pt-BR" "nl" "pl" "tr" "ja" "zh-Hans" "ar" "he" "hi"];

/// What an installation does that its sentences have to fit.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether the mail with the code has a link (`MAIL_LINK`).
    pub mail_has_link: bool,
}

/// All languages, each with all its sentences and the brand.
#[derive(Clone)]
pub struct Texts {
    languages: Vec<Arc<Language>>,
    settings: Settings,
}

impl Texts {
    /// What is built in, with what the folder replaces. What is wrong with the folder goes to `faults`.
    pub fn read(folder: &Folder, settings: Settings, faults: &mut Faults) -> Self {
        folder.report(faults);
        let english = english(faults);
        let mut written: BTreeMap<String, Written> = BTreeMap::new();
        for (tag, text) in &BUILT_IN[1..] {
            if let Some(file) = TomlFile::parse(tag, text, faults) {
                written
                    .insert((*tag).to_owned(), language::read(&file, tag, Some(&english.sentences), faults));
            }
        }
        let all = Arc::new(english.sentences.clone());
        written.insert(ENGLISH.to_owned(), english);
        // A language comes before its variants: `sv` before `sv-FI`.
        let mut files: Vec<_> = folder.below("languages/").collect();
        files.sort_by_key(|file| file.strip_suffix(".toml"));
        for file in files {
            take_file(folder, file, &all, &mut written, faults);
        }
        let brands = brands(folder, &written, faults);
        let languages =
            written.keys().map(|tag| Arc::new(resolve(tag, &written, &brands, settings))).collect();
        Self { languages, settings }
    }

    /// Whether the mail with the code has a link.
    #[must_use]
    pub fn mail_has_link(&self) -> bool {
        self.settings.mail_has_link
    }

    /// All languages, by their tags.
    #[must_use]
    pub fn languages(&self) -> &[Arc<Language>] {
        &self.languages
    }

    /// English.
    #[must_use]
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "`read` puts it there")]
    pub fn english(&self) -> &Arc<Language> {
        self.exactly(ENGLISH).expect("English is built in")
    }

    /// The language with exactly this tag, in any case.
    #[must_use]
    pub fn exactly(&self, tag: &str) -> Option<&Arc<Language>> {
        self.languages.iter().find(|language| language.tag.eq_ignore_ascii_case(tag))
    }

    /// The language for a tag: it, or what remains of it when subtags are taken from its end (RFC 4647, section 3.4).
    /// After that, the first one of the same language: `pt-BR` for `pt-PT`.
    #[must_use]
    pub fn lookup(&self, tag: &str) -> Option<&Arc<Language>> {
        let find = |tag: &str| self.exactly(tag);
        let primary = tag.split('-').next().unwrap_or_default();
        let relative = || {
            let is_relative = |language: &&Arc<Language>| {
                language.tag.split('-').next().is_some_and(|own| own.eq_ignore_ascii_case(primary))
            };
            self.languages.iter().find(is_relative)
        };
        truncations(tag).find_map(find).or_else(relative)
    }

    /// The language for a list of tags, most wanted first; English if there is none of them.
    pub fn choose<'a>(&self, wanted: impl IntoIterator<Item = &'a str>) -> &Arc<Language> {
        wanted.into_iter().find_map(|tag| self.lookup(tag)).unwrap_or_else(|| self.english())
    }
}

fn english(faults: &mut Faults) -> Written {
    let (tag, text) = BUILT_IN[0];
    let file = TomlFile::parse(tag, text, faults);
    file.map(|file| language::read(&file, tag, None, faults)).unwrap_or_default()
}

/// Takes a file of a language over what is there of it.
fn take_file(
    folder: &Folder,
    file: &str,
    english: &BTreeMap<String, Words>,
    written: &mut BTreeMap<String, Written>,
    faults: &mut Faults,
) {
    let name = format!("languages/{file}");
    let stem = file.strip_suffix(".toml").unwrap_or(file);
    let Some(tag) = normal_tag(stem).filter(|tag| tag == stem) else {
        let usual = normal_tag(stem)
            .map_or_else(|| "one such as de or pt-BR".to_owned(), |tag| format!("{tag}.toml"));
        return faults.add(
            &name,
            None,
            format!("{stem} is no language tag in its usual spelling; expected {usual}"),
        );
    };
    let Some(text) = folder.text(&name, faults) else { return };
    let Some(parsed) = TomlFile::parse(&name, text, faults) else { return };
    let is_variant = truncations(&tag).skip(1).any(|shorter| written.contains_key(shorter));
    let is_new = !written.contains_key(&tag);
    let read = language::read(&parsed, &tag, Some(english), faults);
    let own = written.entry(tag.clone()).or_default();
    own.name = read.name.or(own.name.take());
    own.direction = read.direction.or(own.direction);
    own.family_name_first = read.family_name_first.or(own.family_name_first);
    own.sentences.extend(read.sentences);
    if is_new && !is_variant {
        if own.name.is_none() && !faults.concern(&name) {
            faults.add(
                &name,
                None,
                "name is missing; expected the language's own name, such as name = \"Deutsch\"",
            );
        }
        if own.direction.is_none() && !faults.concern(&name) {
            faults.add(&name, None, "direction is missing; expected direction = \"ltr\" or \"rtl\"");
        }
        let lacking = english.keys().filter(|key| !own.sentences.contains_key(*key)).count();
        if lacking > 0 {
            let what = format!(
                "{lacking} of {} sentences are missing; they are taken from a related language or from English",
                english.len()
            );
            faults.note(&name, None, what);
        }
    }
}

fn brands(folder: &Folder, written: &BTreeMap<String, Written>, faults: &mut Faults) -> Brands {
    let name = "brand.toml";
    let Some(text) = folder.text(name, faults) else { return Brands::default() };
    let Some(file) = TomlFile::parse(name, text, faults) else { return Brands::default() };
    let brands = brand::read(&file, faults);
    for tag in brands.own.keys().filter(|tag| !written.contains_key(*tag)) {
        faults.add(
            name,
            None,
            format!(
                "language.{tag}: there is no such language; add languages/{tag}.toml, or delete the section"
            ),
        );
    }
    brands
}

/// A language with what it lacks: from what its tag begins with, then from a relative, then from English.
fn resolve(tag: &str, written: &BTreeMap<String, Written>, brands: &Brands, settings: Settings) -> Language {
    let primary = tag.split('-').next().unwrap_or_default();
    let relatives =
        written.keys().map(String::as_str).filter(|other| other.split('-').next() == Some(primary));
    let chain: Vec<&str> = truncations(tag).chain(relatives).collect();
    let sources: Vec<&Written> = chain.iter().chain([&ENGLISH]).filter_map(|tag| written.get(*tag)).collect();
    let mut sentences = BTreeMap::new();
    for source in sources.iter().rev() {
        sentences.extend(source.sentences.iter().map(|(key, words)| (key.clone(), words.clone())));
    }
    if !settings.mail_has_link {
        leave_links_out(&mut sentences);
    }
    Language {
        tag: tag.to_owned(),
        name: sources.iter().find_map(|source| source.name.clone()).unwrap_or_else(|| tag.to_owned()),
        direction: sources.iter().find_map(|source| source.direction).unwrap_or(Direction::LeftToRight),
        family_name_first: sources.iter().find_map(|source| source.family_name_first).unwrap_or(false),
        sentences: Arc::new(sentences),
        brand: chain.iter().find_map(|tag| brands.own.get(*tag)).unwrap_or(&brands.common).clone(),
    }
}

/// Puts the sentences that speak of no link in the place of those that do.
fn leave_links_out(sentences: &mut BTreeMap<String, Words>) {
    const SUFFIX: &str = "_without_link";
    let without: Vec<_> = sentences.keys().filter(|key| key.ends_with(SUFFIX)).cloned().collect();
    for key in without {
        if let Some(words) = sentences.get(&key).cloned() {
            sentences.insert(key.trim_end_matches(SUFFIX).to_owned(), words);
        }
    }
}

#[cfg(test)]
mod tests;
