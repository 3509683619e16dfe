//! A person's first or last name, as a mail may show it.
//!
//! Names that become links are the best known abuse of signup mails. So a period is allowed only where an
//! abbreviation has it, and digits, slashes and colons are not allowed at all. Otherwise a name is written
//! as its script writes names, with the script's own punctuation. Invisible characters are refused.

use crate::characters::{is_joiner, is_legible, is_letter, is_mark};
use compact_str::CompactString;
use icu_properties::props::GeneralCategory;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

mod greeting;

/// Most characters (Unicode scalar values) of a name.
pub const MAX_CHARACTERS: usize = 100;
/// The factor by which NFC can shorten a text, in octets (UAX 15, section 12).
const MOST_COMPOSED: usize = 3;

/// A valid name, in NFC and with plain spaces and hyphens; `Debug` hides it. Millions
/// of these are kept, so a name of up to 24 octets takes no memory on the heap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PersonName(CompactString);

/// Why a text is not accepted as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonNameError {
    /// Not between 1 and [`MAX_CHARACTERS`] characters.
    #[error("must have between 1 and 100 characters")]
    Length,
    /// A character other than letters, marks, spaces, `'`, `’`, `-`, `.`, `,` and the punctuation of single scripts.
    #[error(
        "must have only letters, spaces, ' ’ -, periods after abbreviations, commas before a space, and the marks that its script has between letters"
    )]
    Character,
    /// An invisible character, or more marks on a letter than any script has.
    #[error("must not have invisible characters, nor many marks on one letter")]
    Illegible,
    /// `example.com` and the like.
    #[error("must have a period only before a space or at the end")]
    Period,
    /// Spaces and punctuation alone.
    #[error("must have at least one letter")]
    NoLetter,
}

impl PersonName {
    /// Parses a name as a person types it. All kinds of spaces become a space, the short dashes a hyphen-minus, and
    /// letters are composed with their marks (NFC); all else stays as it is.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, PersonNameError> {
        // The octets are compared first, because composing and counting a huge text costs time.
        if text.is_empty() || text.len() > 4 * MOST_COMPOSED * MAX_CHARACTERS {
            return Err(PersonNameError::Length);
        }
        let name: CompactString =
            if text.is_ascii() { text.into() } else { text.chars().map(plain).nfc().collect() };
        if name.chars().count() > MAX_CHARACTERS {
            return Err(PersonNameError::Length);
        }
        if !is_legible(&name) {
            return Err(PersonNameError::Illegible);
        }
        check_punctuation(&name)?;
        if name.chars().any(is_letter) { Ok(Self(name)) } else { Err(PersonNameError::NoLetter) }
    }

    /// The name as it may be shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Many code points look like a space or a hyphen, and keyboards and word processors choose one of them.
fn plain(c: char) -> char {
    match c {
        // HYPHEN, NON-BREAKING HYPHEN, FIGURE DASH, EN DASH, FULLWIDTH HYPHEN-MINUS
        '\u{2010}'..='\u{2013}' | '\u{ff0d}' => '-',
        c if crate::characters::category(c) == GeneralCategory::SpaceSeparator => ' ',
        c => c,
    }
}

fn check_punctuation(name: &str) -> Result<(), PersonNameError> {
    let (mut last, mut characters) = (None, name.chars().peekable());
    while let Some(c) = characters.next() {
        let next = characters.peek().copied();
        let after_letter = || last.is_some_and(|last| is_letter(last) || is_mark(last));
        let is_right = match c {
            'a'..='z' | 'A'..='Z' | ' ' | '-' | '\'' | '’' | '‘' | '`' | '´' => true,
            '.' if next.is_none_or(|next| next == ' ') => true,
            '.' => return Err(PersonNameError::Period),
            ',' => next == Some(' '),
            c if joins_names(c) => after_letter() && next.is_some_and(is_letter),
            c if follows_letters(c) => after_letter(),
            c => is_letter(c) || is_mark(c) || is_joiner(c),
        };
        if !is_right {
            return Err(PersonNameError::Character);
        }
        last = Some(c);
    }
    Ok(())
}

/// Punctuation that some scripts write between the parts of a name.
const fn joins_names(c: char) -> bool {
    matches!(
        c,
        '\u{b7}' | '\u{2027}' | '\u{30fb}' | '\u{ff65}' // interpuncts: Catalan, Chinese, Japanese
        | '\u{30a0}' // Japanese double hyphen
        | '\u{5be}' // Hebrew maqaf
        | '\u{58a}' // Armenian hyphen
        | '\u{1361}' // Ethiopic word space
        | '\u{1400}' // Canadian syllabics hyphen
        | '\u{1806}' // Mongolian hyphen
    )
}

/// Punctuation that some scripts write after a letter, in a name or at its end.
const fn follows_letters(c: char) -> bool {
    matches!(
        c,
        '\u{5f3}' | '\u{5f4}' // Hebrew geresh and gershayim
        | '\u{f0b}' | '\u{f0c}' // Tibetan tsheg
        | '\u{55a}' // Armenian apostrophe
    )
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(***)")
    }
}

impl TryFrom<String> for PersonName {
    type Error = PersonNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_many_scripts_are_kept_as_given() {
        for text in [
            "Ada",
            "J. R. R.",
            "Mary-Jane O’Neil",
            "d'Arc",
            "O`Brien",
            "O´Brien",
            "Lana‘i",
            "ʻAnaʻi",
            "King, Jr.",
            "José",
            "Владимир",
            "अनिल",
            "李",
            "李〇",
            "佐々木",
            "محمد",
            "علی\u{200c}رضا",
            "ශ්\u{200d}රියානි",
            "レオナルド・ディカプリオ",
            "サン゠サーンス",
            "Col·lell",
            "卡尔·马克思",
            "ג׳ורג׳",
            "צה״ל",
            "בן־גוריון",
            "བསྟན་འཛིན་",
            "Նուռ֊Արա",
            "လျှို့ဝှက်",
            " Ada ",
        ] {
            assert_eq!(PersonName::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn what_looks_the_same_becomes_the_same() {
        for (text, name) in [
            ("Jose\u{301}", "José"),
            ("\u{212a}arl \u{212b}ngström", "Karl Ångström"),
            ("Jean\u{2010}Luc", "Jean-Luc"),
            ("Jean\u{2011}Luc", "Jean-Luc"),
            ("Jean–Luc", "Jean-Luc"),
            ("Anne\u{a0}Marie", "Anne Marie"),
            ("山田\u{3000}太郎", "山田 太郎"),
            ("J.\u{202f}R.", "J. R."),
        ] {
            assert_eq!(PersonName::parse(text).expect(text).as_str(), name);
        }
    }

    #[test]
    fn each_refusal_names_its_rule() {
        use PersonNameError as E;
        let refused = |text: &str| PersonName::parse(text).expect_err(text);
        assert_eq!(refused(""), E::Length);
        assert_eq!(refused(&"a".repeat(101)), E::Length);
        assert_eq!(refused(&"李".repeat(500)), E::Length);
        for text in ["evil.com", "Win.now", "a..b", "J.R.", "St.John", "M.ª José"] {
            assert_eq!(refused(text), E::Period, "{text}");
        }
        for text in [
            "http://x",
            "Ada\r\nBcc: x",
            "<b>",
            "4da",
            "Ada😀",
            "a\tb",
            "Ada\0",
            "evil。com",
            "evil．com",
            "a,b",
            "King,",
            "·a",
            "a·",
            "a··b",
            "־a",
            "׳",
            "་a",
            "a\u{2028}b",
            "٣",
            "\u{2800}",
            "a\u{fffd}b",
            "Ⅳ",
            "a\u{e000}b",
        ] {
            assert_eq!(refused(text), E::Character, "{text:?}");
        }
        for text in [
            "\u{202e}ada",
            "a\u{200b}b",
            "a\u{200c}b",
            "evil.\u{200c}com",
            "علی\u{200d}رضا",
            "\u{3164}",
            "a\u{115f}b",
            "Ada\u{fe0f}",
            "\u{301}",
            "a\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}",
            "a\u{20dd}",
        ] {
            assert_eq!(refused(text), E::Illegible, "{text:?}");
        }
        for text in [" ", "-", "'. "] {
            assert_eq!(refused(text), E::NoLetter, "{text:?}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_composed_name() {
        assert!(PersonName::parse(&"e\u{302}\u{301}".repeat(MAX_CHARACTERS)).is_ok());
        assert!(PersonName::parse(&"e\u{302}\u{301}".repeat(MAX_CHARACTERS + 1)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_parses_into_something_unprintable(text in ".{0,120}|[\\PC\u{200c}\u{200d} .,'·׳་-]{0,20}") {
            if let Ok(name) = PersonName::parse(&text) {
                let name = name.as_str();
                prop_assert!(!name.chars().any(|c| c.is_control() || "<>&\"/:@".contains(c)));
                prop_assert!(name.chars().count() <= MAX_CHARACTERS);
                let again = PersonName::parse(name).expect("again");
                prop_assert_eq!(again.as_str(), name);
            }
        }
    }
}
