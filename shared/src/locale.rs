//! The language a person reads, as a language tag (BCP 47).

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest tag that is accepted, in characters (RFC 5646, section 4.4.1).
pub const MAX_CHARACTERS: usize = 35;

/// A well-formed language tag such as `en` or `pt-BR`. Which languages there are mails in is not its business.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Locale(CompactString);

/// The text is not a language tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a language tag such as en or pt-BR")]
pub struct LocaleError;

impl Locale {
    /// Parses a tag: a language of two or three letters, then subtags of up to eight letters or digits.
    ///
    /// # Errors
    /// [`LocaleError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, LocaleError> {
        let mut subtags = text.split('-');
        let language = subtags.next().unwrap_or_default();
        let well_formed = text.len() <= MAX_CHARACTERS
            && matches!(language.len(), 2 | 3)
            && language.bytes().all(|b| b.is_ascii_alphabetic())
            && subtags.all(|s| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric()));
        if well_formed { Ok(Self(text.into())) } else { Err(LocaleError) }
    }

    /// The most wanted language of an `Accept-Language` header (RFC 9110, section 12.5.4), if it names any.
    #[must_use]
    pub fn from_accept_language(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for range in header.split(',') {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse::<f32>().ok());
            let (Some(weight), Ok(locale)) = (weight, Self::parse(tag.trim())) else { continue };
            if weight > 0.0 && best.as_ref().is_none_or(|(most, _)| weight > *most) {
                best = Some((weight, locale));
            }
        }
        best.map(|(_, locale)| locale)
    }

    /// The whole tag, as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language alone, in lower case: `pt` for `pt-BR`.
    #[must_use]
    pub fn language(&self) -> String {
        self.0.split('-').next().unwrap_or_default().to_ascii_lowercase()
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
        for text in ["en", "pt-BR", "zh-Hant-TW", "gsw", "de-1996"] {
            assert!(Locale::parse(text).is_ok(), "{text}");
        }
        for text in ["", "e", "english", "en_US", "en-", "en--us", "../etc", "en-überlang", "en\r\n"] {
            assert!(Locale::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_most_wanted_language_of_a_header_is_taken() {
        let wanted = |header| Locale::from_accept_language(header).map(|l| l.as_str().to_owned());
        assert_eq!(wanted("de-CH, de;q=0.9, en;q=0.8").as_deref(), Some("de-CH"));
        assert_eq!(wanted("en;q=0.5, fr;q=0.9, *;q=0.1").as_deref(), Some("fr"));
        assert_eq!(wanted("de;q=0, *").as_deref(), None);
        assert_eq!(wanted(";;;,,,q=x"), None);
    }
}
