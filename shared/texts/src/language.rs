//! All sentences of one language.
//!
//! English decides which sentences there are and which places each may have. Every other language is checked against it,
//! and takes from it what it lacks.

use crate::{brand::Brand, plural::Forms, sentence::Sentence};
use std::{collections::BTreeMap, sync::Arc};

mod read;

pub(crate) use read::read;

/// Which way a language is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From left to right.
    LeftToRight,
    /// From right to left.
    RightToLeft,
}

/// What stands behind a key.
#[derive(Clone)]
pub(crate) enum Words {
    One(Sentence),
    Counted(Forms),
}

/// What a file says of a language. It may be a part of what there is.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) name: Option<String>,
    pub(crate) direction: Option<Direction>,
    pub(crate) family_name_first: Option<bool>,
    pub(crate) sentences: BTreeMap<String, Words>,
}

/// A language with all its sentences, and the brand as it is called in it.
#[derive(Clone)]
pub struct Language {
    pub(crate) tag: String,
    pub(crate) name: String,
    pub(crate) direction: Direction,
    pub(crate) family_name_first: bool,
    pub(crate) sentences: Arc<BTreeMap<String, Words>>,
    pub(crate) brand: Brand,
}

impl Direction {
    /// The value of HTML's `dir`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeftToRight => "ltr",
            Self::RightToLeft => "rtl",
        }
    }
}

impl Language {
    /// The language tag (BCP 47).
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Its name in itself: `Deutsch`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which way it is written.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether a form asks for the family name first.
    #[must_use]
    pub fn family_name_first(&self) -> bool {
        self.family_name_first
    }

    /// The brand in this language.
    #[must_use]
    pub fn brand(&self) -> &Brand {
        &self.brand
    }

    /// The sentence behind a key such as `page.confirm`. Without one it is empty: tests hold the keys that the code has.
    #[must_use]
    pub fn sentence(&self, key: &str) -> &Sentence {
        match self.sentences.get(key) {
            Some(Words::One(sentence)) => sentence,
            Some(Words::Counted(forms)) => forms.of(0),
            None => const { &Sentence::EMPTY },
        }
    }

    /// The form of a sentence for this number.
    #[must_use]
    pub fn counted(&self, key: &str, number: u64) -> &Sentence {
        match self.sentences.get(key) {
            Some(Words::Counted(forms)) => forms.of(number),
            _ => self.sentence(key),
        }
    }

    /// The words of a sentence that has no places.
    #[must_use]
    pub fn words(&self, key: &str) -> String {
        self.sentence(key).fill(&[])
    }

    /// All keys that begin with this prefix, without it.
    pub fn keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.sentences.keys().filter_map(move |key| key.strip_prefix(prefix))
    }
}

#[cfg(test)]
impl Words {
    /// Its sentences.
    pub(crate) fn sentences(&self) -> Vec<&Sentence> {
        match self {
            Self::One(sentence) => vec![sentence],
            Self::Counted(forms) => forms.sentences().collect(),
        }
    }
}
