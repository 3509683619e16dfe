//! A TOML file of the folder, with the lines of its keys.

use crate::fault::Faults;
use toml::de::{DeTable, DeValue};

/// The longest value, in octets: no sentence and no footer comes near it.
const LONGEST: usize = 4_000;

/// A value that can't be misread: where it stands, and what it is.
pub(crate) struct Entry<'a> {
    pub(crate) key: &'a str,
    pub(crate) line: usize,
    pub(crate) value: &'a DeValue<'a>,
}

/// A parsed file.
pub(crate) struct TomlFile<'a> {
    pub(crate) name: &'a str,
    /// Where each line but the first begins.
    breaks: Vec<usize>,
    table: DeTable<'a>,
}

impl<'a> TomlFile<'a> {
    /// Parses a file. What is no TOML is a fault, and the result is `None`.
    pub(crate) fn parse(name: &'a str, text: &'a str, faults: &mut Faults) -> Option<Self> {
        let breaks: Vec<_> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        match DeTable::parse(text) {
            Ok(table) => Some(Self { name, breaks, table: table.into_inner() }),
            Err(error) => {
                let line = error.span().map(|span| line(&breaks, span.start));
                faults.add(name, line, format!("is no valid TOML: {}", error.message().replace('\n', "; ")));
                None
            }
        }
    }

    /// The entries of the file.
    pub(crate) fn entries(&'a self) -> impl Iterator<Item = Entry<'a>> {
        self.of(&self.table)
    }

    /// The entries of one of its tables.
    pub(crate) fn of(&'a self, table: &'a DeTable<'a>) -> impl Iterator<Item = Entry<'a>> {
        table.iter().map(|(key, value)| Entry {
            key: key.get_ref(),
            line: line(&self.breaks, key.span().start),
            value: value.get_ref(),
        })
    }

    /// A line of text: neither empty nor too long, and without characters that can't be seen.
    pub(crate) fn line(&self, entry: &Entry<'a>, faults: &mut Faults) -> Option<&'a str> {
        let text = self.lines(entry, faults)?;
        if text.contains('\n') {
            faults.add(self.name, Some(entry.line), format!("{}: expected one line", entry.key));
            return None;
        }
        Some(text)
    }

    /// The same, of one or more lines.
    pub(crate) fn lines(&self, entry: &Entry<'a>, faults: &mut Faults) -> Option<&'a str> {
        let mut refuse =
            |what: String| faults.add(self.name, Some(entry.line), format!("{}: {what}", entry.key));
        let Some(text) = entry.value.as_str() else {
            refuse(format!("expected a text in quotes, got {}", entry.value.type_str()));
            return None;
        };
        let text = text.trim();
        if text.is_empty() {
            refuse("is empty; delete the line for the text that is built in".to_owned());
            return None;
        }
        if !text.chars().any(is_seen) {
            refuse("has nothing that can be seen".to_owned());
            return None;
        }
        if text.len() > LONGEST {
            refuse(format!("has {} octets; expected at most {LONGEST}", text.len()));
            return None;
        }
        if let Some(bad) = text.chars().find(|c| is_unseen(*c)) {
            refuse(format!("has the invisible or private character U+{:04X}; delete it", u32::from(bad)));
            return None;
        }
        Some(text)
    }

    /// A yes or no.
    pub(crate) fn flag(&self, entry: &Entry<'a>, faults: &mut Faults) -> Option<bool> {
        let flag = entry.value.as_bool();
        if flag.is_none() {
            faults.add(self.name, Some(entry.line), format!("{}: expected true or false", entry.key));
        }
        flag
    }
}

/// The line of an octet, from 1.
fn line(breaks: &[usize], at: usize) -> usize {
    breaks.partition_point(|begin| *begin <= at) + 1
}

fn is_seen(c: char) -> bool {
    !c.is_whitespace()
        && !matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}')
}

/// The first character of a text that can't be seen and could turn or break what stands around it, and its line.
#[must_use]
pub fn unseen(text: &str) -> Option<(usize, char)> {
    text.lines()
        .zip(1..)
        .find_map(|(words, line)| words.chars().find(|c| *c != '\t' && is_unseen(*c)).map(|c| (line, c)))
}

/// Characters that can't be seen and could turn or break what stands around them. Private ones mark the places of mails.
fn is_unseen(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c,
            '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}
