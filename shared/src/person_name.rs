//! A person's first or last name, as it may stand in a mail.
//!
//! Names that become links are the best known abuse of signup mails, so a period is allowed only where an
//! abbreviation has it, and digits, slashes, colons and invisible characters are not allowed at all.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Most characters (Unicode scalar values) of a name.
pub const MAX_CHARACTERS: usize = 100;

/// A valid name, exactly as it was given; `Debug` hides it. Up to 24 octets take no memory beside the value's own:
/// millions of these are kept.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PersonName(CompactString);

/// Why a text is not accepted as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonNameError {
    /// Not between 1 and [`MAX_CHARACTERS`] characters.
    #[error("must have between 1 and 100 characters")]
    Length,
    /// Something other than letters, marks, spaces, `'`, `’`, `-` and `.`.
    #[error("must have only letters, spaces, ' ’ - and periods after abbreviations")]
    Character,
    /// `example.com` and the like.
    #[error("must have a period only before a space or at the end")]
    Period,
    /// Spaces and punctuation alone.
    #[error("must have at least one letter")]
    NoLetter,
}

impl PersonName {
    /// Parses a name without changing it.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, PersonNameError> {
        // The octets are compared first: counting the characters of a huge text is work for nothing.
        if text.is_empty() || text.len() > 4 * MAX_CHARACTERS || text.chars().count() > MAX_CHARACTERS {
            return Err(PersonNameError::Length);
        }
        let mut has_letter = false;
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                'a'..='z' | 'A'..='Z' => has_letter = true,
                ' ' | '\'' | '’' | '-' => {}
                '.' => {
                    if characters.peek().is_some_and(|next| *next != ' ') {
                        return Err(PersonNameError::Period);
                    }
                }
                _ => match c.general_category_group() {
                    GeneralCategoryGroup::Letter => has_letter = true,
                    GeneralCategoryGroup::Mark => {}
                    _ => return Err(PersonNameError::Character),
                },
            }
        }
        if has_letter { Ok(Self(text.into())) } else { Err(PersonNameError::NoLetter) }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
            "José",
            "Jose\u{301}",
            "Владимир",
            "अनिल",
            "李",
            "محمد",
            " Ada ",
        ] {
            assert_eq!(PersonName::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn each_refusal_names_its_rule() {
        use PersonNameError as E;
        let refused = |text: &str| PersonName::parse(text).expect_err(text);
        assert_eq!(refused(""), E::Length);
        assert_eq!(refused(&"a".repeat(101)), E::Length);
        for text in ["evil.com", "Win.now", "a..b"] {
            assert_eq!(refused(text), E::Period, "{text}");
        }
        for text in
            ["http://x", "Ada\r\nBcc: x", "<b>", "4da", "\u{202e}ada", "Ada😀", "a\u{200b}b", "a\tb", "Ada\0"]
        {
            assert_eq!(refused(text), E::Character, "{text:?}");
        }
        for text in [" ", "-", "'. ", "\u{301}"] {
            assert_eq!(refused(text), E::NoLetter, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_parses_into_something_unprintable(text in ".{0,120}") {
            if let Ok(name) = PersonName::parse(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(!text.chars().any(|c| c.is_control() || "<>&\"/:@".contains(c)));
            }
        }
    }
}
