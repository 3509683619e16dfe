//! Reads the file of a language, and checks each sentence against the English one.

use super::{Direction, Words, Written};
use crate::{
    fault::Faults,
    file::{Entry, TomlFile},
    plural::{Forms, Rules},
    sentence::Sentence,
};
use std::{collections::BTreeMap, sync::Arc};
use toml::de::DeTable;

/// The longest subject of a mail, in characters: longer ones are cut off everywhere.
const LONGEST_SUBJECT: usize = 100;

/// Reads a file of a language. `english` is what it is checked against; without it the file is English itself.
pub(crate) fn read(
    file: &TomlFile<'_>,
    tag: &str,
    english: Option<&BTreeMap<String, Words>>,
    faults: &mut Faults,
) -> Written {
    let mut written = Written::default();
    let Some(rules) = Rules::of(tag) else {
        faults.add(file.name, None, format!("{tag} is no language tag; expected one such as de or pt-BR"));
        return written;
    };
    let reader = Reader { file, rules, english };
    for entry in file.entries() {
        match entry.key {
            "name" => written.name = file.line(&entry, faults).map(str::to_owned),
            "direction" => written.direction = reader.direction(&entry, faults),
            "family_name_first" => written.family_name_first = file.flag(&entry, faults),
            key => reader.entry(key.to_owned(), &entry, &mut written.sentences, faults),
        }
    }
    written
}

struct Reader<'a> {
    file: &'a TomlFile<'a>,
    rules: Arc<Rules>,
    english: Option<&'a BTreeMap<String, Words>>,
}

impl Reader<'_> {
    fn direction(&self, entry: &Entry<'_>, faults: &mut Faults) -> Option<Direction> {
        match entry.value.as_str() {
            Some("ltr") => Some(Direction::LeftToRight),
            Some("rtl") => Some(Direction::RightToLeft),
            _ => {
                faults.add(self.file.name, Some(entry.line), "direction: expected \"ltr\" or \"rtl\"");
                None
            }
        }
    }

    fn entry(&self, key: String, entry: &Entry<'_>, into: &mut BTreeMap<String, Words>, faults: &mut Faults) {
        let known = self.english.map(|english| english.get(&key));
        let Some(table) = entry.value.as_table() else {
            return self.sentence(key, entry, known, into, faults);
        };
        let is_counted = match known {
            Some(known) => matches!(known, Some(Words::Counted(_))),
            None => table.keys().any(|form| form.get_ref() == "other"),
        };
        if is_counted {
            return self.forms(key, entry, table, into, faults);
        }
        if matches!(known, Some(Some(_))) {
            return faults.add(self.file.name, Some(entry.line), format!("{key}: expected a text in quotes"));
        }
        for inner in self.file.of(table) {
            self.entry(format!("{key}.{}", inner.key), &inner, into, faults);
        }
    }

    fn sentence(
        &self,
        key: String,
        entry: &Entry<'_>,
        known: Option<Option<&Words>>,
        into: &mut BTreeMap<String, Words>,
        faults: &mut Faults,
    ) {
        match known {
            Some(None) => return self.unknown(&key, entry.line, faults),
            Some(Some(Words::Counted(_))) => {
                let forms: Vec<_> = self.rules.names().iter().map(|name| format!("{name} = \"…\"")).collect();
                let what = format!("{key}: expected a form for each number: {{ {} }}", forms.join(", "));
                return faults.add(self.file.name, Some(entry.line), what);
            }
            _ => {}
        }
        let allowed = match known {
            Some(Some(Words::One(sentence))) => Some(sentence),
            _ => None,
        };
        if let Some(sentence) = self.parse(&key, entry, allowed, true, faults) {
            if key.ends_with(".subject") && sentence.fill(&[]).chars().count() > LONGEST_SUBJECT {
                let what = format!(
                    "{key}: expected at most {LONGEST_SUBJECT} characters: longer subjects are cut off"
                );
                faults.add(self.file.name, Some(entry.line), what);
            }
            into.insert(key, Words::One(sentence));
        }
    }

    fn forms(
        &self,
        key: String,
        entry: &Entry<'_>,
        table: &DeTable<'_>,
        into: &mut BTreeMap<String, Words>,
        faults: &mut Faults,
    ) {
        let allowed = match self.english.and_then(|english| english.get(&key)) {
            Some(Words::Counted(forms)) => Some(forms.of(0)),
            _ => None,
        };
        let (mut forms, before) = (Vec::new(), faults.count());
        for form in self.file.of(table) {
            if !self.rules.knows(form.key) {
                let names = self.rules.names().join(", ");
                let what = format!("{key}: this language has no form {:?}; expected {names}", form.key);
                faults.add(self.file.name, Some(form.line), what);
                continue;
            }
            let of_form = format!("{key}.{}", form.key);
            if let Some(sentence) = self.parse(&of_form, &form, allowed, form.key == "other", faults) {
                forms.push((form.key, sentence));
            }
        }
        if faults.count() > before {
            return;
        }
        match Forms::new(&self.rules, forms) {
            Ok(forms) => {
                into.insert(key, Words::Counted(forms));
            }
            Err(missing) => {
                let what = format!("{key}: this language needs also {}", missing.join(", "));
                faults.add(self.file.name, Some(entry.line), what);
            }
        }
    }

    /// Parses a sentence that may have no other places than `allowed`, the English one. A place that a `whole` sentence
    /// lacks is worth a note.
    fn parse(
        &self,
        key: &str,
        entry: &Entry<'_>,
        allowed: Option<&Sentence>,
        whole: bool,
        faults: &mut Faults,
    ) -> Option<Sentence> {
        let text = self.file.line(entry, faults)?;
        let mut refuse =
            |what: String| faults.add(self.file.name, Some(entry.line), format!("{key}: {what}"));
        let sentence = match Sentence::parse(text) {
            Ok(sentence) => sentence,
            Err(what) => {
                let places = allowed.map(|allowed| braces(&mut allowed.places().iter())).unwrap_or_default();
                refuse(if places.is_empty() { what } else { format!("{what}; expected {places}") });
                return None;
            }
        };
        let Some(allowed) = allowed else { return Some(sentence) };
        let (places, allowed) = (sentence.places(), allowed.places());
        let foreign = braces(&mut places.difference(&allowed));
        if !foreign.is_empty() {
            let expected = if allowed.is_empty() {
                "this sentence has no places".to_owned()
            } else {
                format!("expected {}", braces(&mut allowed.iter()))
            };
            refuse(format!("has {foreign}; {expected}"));
            return None;
        }
        let lacking = braces(&mut allowed.difference(&places));
        if whole && !lacking.is_empty() {
            faults.note(self.file.name, Some(entry.line), format!("{key}: {lacking} is not said"));
        }
        Some(sentence)
    }

    fn unknown(&self, key: &str, line: usize, faults: &mut Faults) {
        // Beyond the limit a fault is counted, and nobody reads what it says.
        let Some(english) = self.english.filter(|_| !faults.is_full()) else {
            return faults.add(self.file.name, Some(line), String::new());
        };
        let section = key.rfind('.').map_or("", |dot| &key[..=dot]);
        let siblings = english.keys().filter_map(|known| known.strip_prefix(section));
        let siblings: Vec<_> = siblings.filter(|name| !name.contains('.')).collect();
        let what = if english
            .keys()
            .any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
        {
            format!("{key}: expected a section, [{key}], with sentences below it")
        } else if section.is_empty() || siblings.is_empty() {
            let mut sections: Vec<_> = english
                .keys()
                .filter_map(|known| known.rsplit_once('.'))
                .map(|(section, _)| section)
                .collect();
            sections.dedup();
            let sections = sections.join("], [");
            format!(
                "{key}: there is no such sentence; expected name, direction, family_name_first, full_name, or one below [{sections}]"
            )
        } else {
            let (section, siblings) = (section.trim_end_matches('.'), siblings.join(", "));
            format!("{key}: there is no such sentence; [{section}] has {siblings}")
        };
        faults.add(self.file.name, Some(line), what);
    }
}

/// Places as they are written.
fn braces(places: &mut dyn Iterator<Item = &&str>) -> String {
    places.map(|place| format!("{{{place}}}")).collect::<Vec<_>>().join(", ")
}
