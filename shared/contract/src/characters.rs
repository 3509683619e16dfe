//! Unicode properties of the characters that people type, and of those that nobody can see.
//!
//! Names, local parts and codes are judged by the same tables. Two texts that look the
//! same must not differ, and nothing may hide in a text: that decides what is refused
//! here. Which characters a name or an address may have is the rule of its own module.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        CanonicalCombiningClass, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup,
        JoiningType, Script,
    },
    script::ScriptWithExtensions,
};
use std::{borrow::Cow, fmt::Write};

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
/// Most nonspacing marks one after the other (UTS 39, section 5.4). Vietnamese in NFC needs 1, Thai and Arabic 2,
/// Hebrew with points 3, Burmese 4.
const MAX_STACKED: usize = 4;
/// Letters and marks without a glyph that are not `Default_Ignorable_Code_Point`.
const BLANKS: [char; 3] = ['\u{13441}', '\u{13442}', '\u{16fe4}'];

/// The general category.
pub(crate) fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

/// Whether it is a letter of this script and of no other.
pub(crate) fn is_letter_of(c: char, script: Script) -> bool {
    is_letter(c) && self::script(c) == script
}

/// Whether it is a mark that this script uses (UAX 24, `Script_Extensions`).
pub(crate) fn is_mark_of(c: char, script: Script) -> bool {
    is_mark(c) && ScriptWithExtensions::new().has_script(c, script)
}

/// The script that it belongs to.
pub(crate) fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

/// Whether it is a letter of any script, or 〇, which Chinese writes as one.
pub(crate) fn is_letter(c: char) -> bool {
    c == '〇' || GeneralCategoryGroup::Letter.contains(category(c))
}

/// Whether it is a mark that belongs to the letter before it.
pub(crate) fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(c))
}

/// Whether it shows nothing of its own: joiners, directions, fillers, variation selectors, soft hyphens.
pub(crate) fn is_invisible(c: char) -> bool {
    !c.is_ascii() && (CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) || BLANKS.contains(&c))
}

/// Whether it is one of the two joiners, which some scripts need and which are invisible elsewhere.
pub(crate) const fn is_joiner(c: char) -> bool {
    matches!(c, ZERO_WIDTH_NON_JOINER | ZERO_WIDTH_JOINER)
}

/// The value of a decimal digit of any script. The ten digits of a script have consecutive code points, from
/// 0 to 9. The digits of several scripts may be adjacent; then tens follow tens (Unicode, section 4.6).
pub(crate) fn digit(c: char) -> Option<u8> {
    let is_digit = |c| category(c) == GeneralCategory::DecimalNumber;
    let before = |distance| u32::from(c).checked_sub(distance).and_then(char::from_u32);
    let run = (1..).map_while(before).take_while(|c| is_digit(*c)).count();
    if is_digit(c) { u8::try_from(run % 10).ok() } else { None }
}

/// Whether all of the text can be seen and each mark belongs to a letter. It has no
/// invisible characters, except joiners where their scripts need them; no enclosing
/// marks; no mark without a letter or digit before it; and no stack of marks.
pub(crate) fn is_legible(text: &str) -> bool {
    if text.is_ascii() {
        return true;
    }
    let (mut last, mut stacked) = (None, 0);
    for (at, c) in text.char_indices() {
        let may_join = || joins(c, &text[..at], &text[at + c.len_utf8()..]);
        if is_invisible(c) && !may_join() {
            return false;
        }
        stacked = match category(c) {
            GeneralCategory::EnclosingMark => return false,
            GeneralCategory::NonspacingMark if stacked == MAX_STACKED || last == Some(c) => return false,
            GeneralCategory::NonspacingMark => stacked + 1,
            _ => 0,
        };
        if is_mark(c) && !last.is_some_and(carries_marks) {
            return false;
        }
        last = Some(c);
    }
    true
}

fn carries_marks(c: char) -> bool {
    is_letter(c) || is_mark(c) || category(c) == GeneralCategory::DecimalNumber
}

/// Whether a joiner may stand between these two texts (RFC 5892, appendices A.1 and
/// A.2): after a virama, or, for the non-joiner, where two letters would be joined.
fn joins(joiner: char, before: &str, after: &str) -> bool {
    let class = |c| CodePointMapData::<CanonicalCombiningClass>::new().get(c);
    let joining = |c| CodePointMapData::<JoiningType>::new().get(c);
    let is_transparent = |c: &char| joining(*c) == JoiningType::Transparent;
    if before.chars().next_back().is_some_and(|c| class(c) == CanonicalCombiningClass::Virama) {
        return is_joiner(joiner);
    }
    let left = before.chars().rev().find(|c| !is_transparent(c)).map(joining);
    let right = after.chars().find(|c| !is_transparent(c)).map(joining);
    joiner == ZERO_WIDTH_NON_JOINER
        && matches!(left, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(right, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

/// Escapes the characters that could steer a terminal, break a line, change the direction of the text or hide: as
/// `\u001b`, which in JSON means the same character. Commands and the log use it for text that came from outside.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_safe = |c: char| {
        matches!(c, ' '..='~') || {
            use GeneralCategory as Is;
            !is_invisible(c)
                && !matches!(
                    category(c),
                    Is::Control | Is::Format | Is::LineSeparator | Is::ParagraphSeparator
                )
        }
    };
    if text.chars().all(is_safe) {
        return text.into();
    }
    let mut printed = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_safe(c) {
            printed.push(c);
        } else {
            // Writing to a string can't fail.
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(printed, "\\u{unit:04x}");
            });
        }
    }
    printed.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_digits_of_all_scripts_have_their_values() {
        for zero in ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{e50}', '\u{ff10}', '\u{1d7ce}', '\u{1d7f6}'] {
            let digits = (0..10).map(|n| char::from_u32(u32::from(zero) + n).unwrap());
            assert_eq!(
                digits.map(digit).collect::<Vec<_>>(),
                (0..10).map(Some).collect::<Vec<_>>(),
                "{zero}"
            );
        }
        for other in ['a', '〇', '²', '①', '½', '/', ':', '一'] {
            assert_eq!(digit(other), None, "{other}");
        }
    }

    #[test]
    fn joiners_are_allowed_where_their_scripts_need_them() {
        // Persian, Sinhala, Hindi, Malayalam; the last with a mark before the joiner.
        for text in ["علی\u{200c}رضا", "ශ්\u{200d}රියානි", "क्\u{200d}ष", "ന്\u{200d}", "عَ\u{200c}لی"]
        {
            assert!(is_legible(text), "{text}");
        }
        for text in [
            "a\u{200c}b",
            "a\u{200d}b",
            "\u{200c}علی",
            "علی\u{200c}",
            "علی\u{200d}رضا",
            "ا\u{200c}ب",
            "क\u{200d}ष",
        ] {
            assert!(!is_legible(text), "{text:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_not_legible() {
        for c in [
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{200b}',
            '\u{200e}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{13441}',
            '\u{16fe4}',
            '\u{e0041}',
            '\u{e0100}',
        ] {
            assert!(!is_legible(&format!("a{c}b")), "{c:?}");
        }
    }

    #[test]
    fn marks_stand_on_letters_and_in_small_stacks() {
        // Vietnamese decomposed, Thai, Hebrew with points, Tibetan, Burmese.
        for text in ["Nguye\u{302}\u{303}n", "ผู้ใช้", "שָּׁלוֹם", "བསྒྲུབས", "လျှို့ဝှက်"]
        {
            assert!(is_legible(text), "{text}");
        }
        for text in [
            "\u{301}a",
            "a \u{301}",
            "a-\u{301}",
            "a\u{301}\u{301}",
            "a\u{300}\u{301}\u{302}\u{303}\u{304}",
            "a\u{20dd}",
            "a\u{489}",
        ] {
            assert!(!is_legible(text), "{text:?}");
        }
    }

    #[test]
    fn what_could_steer_a_terminal_is_written_out() {
        assert_eq!(printable("plain text, ñ, 李, مريم"), "plain text, ñ, 李, مريم");
        assert_eq!(printable("\u{1b}[2J\u{9b}31m\u{7f}\n"), "\\u001b[2J\\u009b31m\\u007f\\u000a");
        assert_eq!(printable("a\u{202e}b\u{2066}\u{2028}"), "a\\u202eb\\u2066\\u2028");
        assert_eq!(printable("\u{e0041}"), "\\udb40\\udc41");
    }

    proptest! {
        #[test]
        fn printed_json_means_what_it_meant(text in ".{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let printed = printable(&json);
            prop_assert!(!printed.chars().any(char::is_control), "{}", printed);
            prop_assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), text);
        }
    }
}
