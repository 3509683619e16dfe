//! The language that a person reads, as a language tag (BCP 47).

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The languages in which there are mails.
pub const OF_MAILS: [&str; 2] = ["en", "de"];
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

    /// The language for the mails by an `Accept-Language` header (RFC 9110, section 12.5.4):
    /// the most wanted in which there are mails (RFC 4647, section 3.4), otherwise the most
    /// wanted of all. `None` if the header names no tag. Neither tags nor `q` depend on case.
    #[must_use]
    pub fn from_accept_language(header: &str) -> Option<Self> {
        let mut wanted: Vec<(f32, Self)> = header.split(',').filter_map(weighted).collect();
        // A stable sort: of equal weights the first is wanted most.
        wanted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let mailed = wanted.iter().position(|(_, locale)| OF_MAILS.contains(&locale.language().as_str()));
        let at = mailed.unwrap_or(0);
        (at < wanted.len()).then(|| wanted.swap_remove(at).1)
    }

    /// The whole tag.
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

/// One range of an `Accept-Language` header and its weight. `None`
/// for `*`, for a refused range (`q=0`), and for a malformed one.
fn weighted(range: &str) -> Option<(f32, Locale)> {
    let (tag, parameter) = range.split_once(';').unwrap_or((range, "q=1"));
    let (name, weight) = parameter.split_once('=')?;
    let weight: f32 = weight.trim().parse().ok()?;
    let is_wanted = name.trim().eq_ignore_ascii_case("q") && weight > 0.0;
    Locale::parse(tag.trim()).ok().filter(|_| is_wanted).map(|locale| (weight, locale))
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
        assert_eq!(Locale::parse("DE_ch").expect("as in LANG").language(), "de");
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

    #[test]
    fn the_most_wanted_language_of_a_header_is_taken() {
        let wanted = |header| Locale::from_accept_language(header).map(|l| l.as_str().to_owned());
        for (header, language) in [
            ("de-CH, de;q=0.9, en;q=0.8", "de-CH"),
            ("en;Q=0.1, de", "de"),
            ("en ; q=0.1 , DE-at ; q = 0.2", "DE-at"),
            ("de_DE", "de-DE"),
            ("en, de", "en"),
            // There are no French mails, so a reader of French and German gets German.
            ("fr, de;q=0.9, en;q=0.8", "de"),
            ("fr;q=0.9, en;q=0.5, *;q=0.1", "en"),
            ("pt-BR, fr;q=0.9", "pt-BR"),
            ("fr;q=0.2, pt", "pt"),
            ("de;q=0, fr", "fr"),
            ("de;q=nan, de;q=-1, de;level=1, fr", "fr"),
        ] {
            assert_eq!(wanted(header).as_deref(), Some(language), "{header}");
        }
        for header in ["", "*", "de;q=0, *", ";;;,,,q=x", "de;q"] {
            assert_eq!(wanted(header), None, "{header}");
        }
    }
}
