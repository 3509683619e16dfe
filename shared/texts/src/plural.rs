//! The forms that a sentence with a number has (Unicode CLDR, plural rules).

use crate::sentence::Sentence;
use icu_plurals::{PluralCategory, PluralRules};
use std::sync::Arc;

/// The numbers of all sentences lie below: minutes of a day, seconds of a wait, codes to try.
const NUMBERS: std::ops::RangeInclusive<u64> = 0..=1_500;

/// The plural rules of one language.
pub(crate) struct Rules {
    rules: PluralRules,
    needed: Vec<PluralCategory>,
}

/// A sentence for each form of its number.
#[derive(Clone)]
pub(crate) struct Forms {
    rules: Arc<Rules>,
    forms: Vec<(PluralCategory, Sentence)>,
}

impl Rules {
    /// Those of a language; `None` if CLDR has no data for it and its tag is odd.
    pub(crate) fn of(tag: &str) -> Option<Arc<Self>> {
        let locale = icu_locale_core::Locale::try_from_str(tag).ok()?;
        let rules = PluralRules::try_new_cardinal(locale.into()).ok()?;
        let mut needed: Vec<_> = NUMBERS.map(|number| rules.category_for(number)).collect();
        needed.push(PluralCategory::Other);
        needed.sort_unstable();
        needed.dedup();
        Some(Arc::new(Self { rules, needed }))
    }

    /// The forms that a number can have here, by their CLDR names, `other` last.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        ["zero", "one", "two", "few", "many", "other"].into_iter().filter(|name| self.needs(name)).collect()
    }

    fn needs(&self, name: &str) -> bool {
        PluralCategory::get_for_cldr_string(name).is_some_and(|category| self.needed.contains(&category))
    }

    /// Whether any number of this language has the form, also a fraction or a million.
    pub(crate) fn knows(&self, name: &str) -> bool {
        let category = PluralCategory::get_for_cldr_string(name);
        category.is_some_and(|category| self.rules.categories().any(|known| known == category))
    }
}

impl Forms {
    /// Puts forms together.
    ///
    /// # Errors
    /// The names of those that a number can have and that are missing.
    pub(crate) fn new(rules: &Arc<Rules>, forms: Vec<(&str, Sentence)>) -> Result<Self, Vec<&'static str>> {
        let mut missing = rules.names();
        missing.retain(|name| forms.iter().all(|(known, _)| known != name));
        if !missing.is_empty() {
            return Err(missing);
        }
        let forms: Vec<_> = forms
            .into_iter()
            .filter_map(|(name, sentence)| Some((PluralCategory::get_for_cldr_string(name)?, sentence)))
            .collect();
        Ok(Self { rules: Arc::clone(rules), forms })
    }

    /// The sentence for this number.
    pub(crate) fn of(&self, number: u64) -> &Sentence {
        let wanted = self.rules.rules.category_for(number);
        let find = |wanted| self.forms.iter().find(|(category, _)| *category == wanted);
        let form = find(wanted).or_else(|| find(PluralCategory::Other)).or_else(|| self.forms.first());
        form.map_or(const { &Sentence::EMPTY }, |(_, sentence)| sentence)
    }

    /// All sentences.
    #[cfg(test)]
    pub(crate) fn sentences(&self) -> impl Iterator<Item = &Sentence> {
        self.forms.iter().map(|(_, sentence)| sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_those_of_the_language() {
        for (tag, names) in [
            ("en", &["one", "other"][..]),
            ("fr", &["one", "other"]),
            ("pl", &["one", "few", "many"]),
            ("ja", &["other"]),
            ("ar", &["zero", "one", "two", "few", "many", "other"]),
            ("he", &["one", "two", "other"]),
        ] {
            let with_other: Vec<_> =
                names.iter().copied().filter(|name| *name != "other").chain(["other"]).collect();
            assert_eq!(Rules::of(tag).unwrap().names(), with_other, "{tag}");
        }
        assert!(Rules::of("fr").unwrap().knows("many") && !Rules::of("en").unwrap().knows("many"));
    }

    #[test]
    fn a_number_takes_its_form() {
        let forms = ["one", "few", "many", "other"].map(|name| (name, Sentence::parse(name).unwrap()));
        let polish = Forms::new(&Rules::of("pl").unwrap(), forms.into()).unwrap();
        for (number, form) in [(0, "many"), (1, "one"), (2, "few"), (5, "many"), (22, "few"), (112, "many")] {
            assert_eq!(polish.of(number).fill(&[]), form, "{number}");
        }
        let other = vec![("other", Sentence::default())];
        assert_eq!(Forms::new(&Rules::of("pl").unwrap(), other).err(), Some(vec!["one", "few", "many"]));
    }
}
