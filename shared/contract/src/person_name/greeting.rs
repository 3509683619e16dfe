//! The name by which a mail may greet a person who has confirmed nothing yet.
//!
//! Anybody can enter anybody's address with any name, so a name in the mail is a stranger's text
//! in somebody's mailbox. A mail shows at most one word of it, and only in scripts that put
//! spaces between words: in other scripts one word has room for a whole advertisement. Pure.

use super::PersonName;
use crate::characters::{is_letter, is_letter_of, is_mark_of, script};
use icu_properties::props::Script;
use unicode_normalization::is_nfkc;

/// Most characters (Unicode scalar values) of the word, marks included.
const MAX_CHARACTERS: usize = 20;
const SCRIPTS: [Script; 6] =
    [Script::Latin, Script::Greek, Script::Cyrillic, Script::Arabic, Script::Hebrew, Script::Devanagari];
const HYPHEN_OR_APOSTROPHE: [char; 3] = ['-', '\'', '’'];

impl PersonName {
    /// The name, if it is one word of at most 20 characters: letters of one script (Latin, Greek, Cyrillic, Arabic, Hebrew
    /// or Devanagari) with their marks, and at most one hyphen or apostrophe between them. Spaces around it don't count.
    #[must_use]
    pub fn greeting(&self) -> Option<&str> {
        let word = self.as_str().trim_matches(' ');
        let own = script(word.chars().next()?);
        let belongs = |c| is_letter_of(c, own) || is_mark_of(c, own);
        let mut parts = word.split(HYPHEN_OR_APOSTROPHE);
        let fits = SCRIPTS.contains(&own)
            && word.chars().count() <= MAX_CHARACTERS
            && parts.clone().count() <= 2
            && parts.all(|part| part.starts_with(is_letter) && part.chars().all(belongs))
            // Some Arabic letters are whole phrases.
            && is_nfkc(word);
        fits.then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::characters::is_mark;
    use proptest::prelude::*;

    fn name(text: &str) -> PersonName {
        PersonName::parse(text).expect(text)
    }

    #[test]
    fn a_first_name_of_one_word_is_greeted() {
        for text in [
            "Ada",
            "O'Brien",
            "O’Brien",
            "Anne-Marie",
            "Zoë",
            "Ẹ\u{300}yọ\u{300}",
            "Nguyễn",
            "Łucja",
            "Елена",
            "Ἑλένη",
            "مريم",
            "مُحَمَّد",
            "שָׂרָה",
            "בן-גוריון",
            "अनिल",
            "कृष्ण",
            "ज़ोया",
            "Wolfeschlegelsteinha",
        ] {
            assert_eq!(name(text).greeting(), Some(text));
        }
        assert_eq!(name(" Ada ").greeting(), Some("Ada"), "as keyboards on phones leave it");
        assert_eq!(name("Nguye\u{302}\u{303}n").greeting(), Some("Nguyễn"));
    }

    #[test]
    fn what_could_be_a_strangers_message_is_not_greeted() {
        for text in [
            "Visit evil example now",
            "buy-now-cheap",
            "d'Arc-Marie",
            "Ada Lovelace",
            "J. R. R.",
            "J.",
            "King, Jr",
            "Wolfeschlegelsteinhau",
            "-Ada",
            "Ada-",
            "O''Brien",
            // Letters of two scripts that look like one.
            "Аda",
            "Ada-Мария",
            "مريمAda",
            // A letter that is a phrase, ligatures, wide and raised letters.
            "\u{fdfa}",
            "ﬁona",
            "Ａｄａ",
            "ᴬᵈᵃ",
            "Maª",
            // Marks of other scripts and of music.
            "A\u{651}da",
            "Ada\u{3099}",
            "A\u{1d17b}da",
            // Scripts whose words have no spaces between them, and others.
            "李",
            "免费领取请访问网址",
            "さくら",
            "サン゠サーンス",
            "สมชาย",
            "ကျော်",
            "សុខា",
            "བསྟན་འཛིན་",
            "민준",
            "Նուռ",
            "ליזה׳",
            "علی\u{200c}رضا",
            "क्\u{200d}ष",
            "مـريم",
            "Lana‘i",
        ] {
            assert_eq!(name(text).greeting(), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_word_of_the_name_whatever_the_name_is(
            text in "\\PC{1,30}|[\\p{Latin}\\p{Greek}\\p{Cyrillic}\\p{Arabic}\\p{Hebrew}\\p{Devanagari}\\p{Han}\\p{Mn} '’-]{1,30}",
        ) {
            let Ok(name) = PersonName::parse(&text) else { return Ok(()) };
            let Some(word) = name.greeting() else { return Ok(()) };
            prop_assert_eq!(word, name.as_str().trim());
            prop_assert!(word.chars().count() <= MAX_CHARACTERS);
            prop_assert!(word.chars().all(|c| is_letter(c) || is_mark(c) || HYPHEN_OR_APOSTROPHE.contains(&c)));
            let mut scripts = word.chars().filter(|c| is_letter(*c)).map(script);
            let first = scripts.next().expect("it begins with a letter");
            prop_assert!(scripts.all(|script| script == first));
            prop_assert!(word.split(HYPHEN_OR_APOSTROPHE).count() <= 2);
        }
    }
}
