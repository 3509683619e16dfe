//! The language that a person reads, as a language tag (BCP 47).

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest tag that is accepted, in characters (RFC 5646, section 4.4.1).
pub const MAX_CHARACTERS: usize = 35;

/// A well-formed language tag such as `en` or `pt-BR`, in any case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Locale(CompactString);

/// The text is not a language tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a language tag such as en or pt-BR")]
pub struct LocaleError;

impl Locale {
    /// Parses a tag: a language of two or three letters, then subtags of up to eight letters or digits. An underscore,
    /// as operating systems write it, becomes a hyphen.
    ///
    /// # Errors
    /// [`LocaleError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, LocaleError> {
        let text = text.replace('_', "-");
        let mut subtags = text.split('-');
        let language = subtags.next().unwrap_or_default();
        let well_formed = text.len() <= MAX_CHARACTERS
            && matches!(language.len(), 2 | 3)
            && language.bytes().all(|b| b.is_ascii_alphabetic())
            && subtags.all(|s| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric()));
        if well_formed { Ok(Self(text.into())) } else { Err(LocaleError) }
    }

    /// The whole tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self("en".into())
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Locale {
    type Error = LocaleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_accepted_and_everything_else_is_not() {
        for text in ["en", "pt-BR", "zh-Hant-TW", "gsw", "de-1996", "DE-at"] {
            assert_eq!(Locale::parse(text).expect(text).as_str(), text);
        }
        assert_eq!(Locale::parse("de_DE").expect("as in LANG").as_str(), "de-DE");
        for text in [
            "",
            "e",
            "english",
            "en-",
            "en_",
            "en--us",
            "_de",
            "../etc",
            "en-überlang",
            "en\r\n",
            "de_DE.UTF-8",
        ] {
            assert!(Locale::parse(text).is_err(), "{text:?}");
        }
    }
}
