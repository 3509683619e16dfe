//! A sentence with named places: `Hello {first_name},`.

use std::collections::BTreeSet;

/// A piece of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Words.
    Words(Box<str>),
    /// The name of a place.
    Place(Box<str>),
}

/// A sentence and its places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sentence(Vec<Part>);

impl Sentence {
    /// No words.
    pub(crate) const EMPTY: Self = Self(Vec::new());

    /// Parses a sentence. A place is a name in braces. There are no other braces.
    ///
    /// # Errors
    /// What is wrong with a brace, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            if !rest[at..].starts_with('{') {
                return Err("has } without a { before it".to_owned());
            }
            let Some(end) = rest[at..].find('}').map(|end| at + end) else {
                return Err("has { without a } behind it".to_owned());
            };
            let name = &rest[at + 1..end];
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                return Err(format!("has {{{name}}}; a place has a name of small letters, without spaces"));
            }
            if at > 0 {
                parts.push(Part::Words(rest[..at].into()));
            }
            parts.push(Part::Place(name.into()));
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Words(rest.into()));
        }
        Ok(Self(parts))
    }

    /// Its pieces, in their order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The names of its places.
    pub(crate) fn places(&self) -> BTreeSet<&str> {
        let mut places = BTreeSet::new();
        for part in &self.0 {
            if let Part::Place(name) = part {
                places.insert(name.as_ref());
            }
        }
        places
    }

    /// The sentence with its places filled. One without a value becomes nothing.
    #[must_use]
    pub fn fill(&self, values: &[(&str, &str)]) -> String {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(match part {
                Part::Words(words) => words,
                Part::Place(name) => {
                    values.iter().find(|(key, _)| **key == **name).map_or("", |(_, value)| value)
                }
            });
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once_and_what_fills_them_is_no_sentence() {
        let sentence = Sentence::parse("Hello {first_name}, {brand}.").unwrap();
        assert_eq!(sentence.fill(&[("first_name", "{brand}"), ("brand", "Acme")]), "Hello {brand}, Acme.");
        assert_eq!(sentence.fill(&[]), "Hello , .");
        assert_eq!(sentence.places().into_iter().collect::<Vec<_>>(), ["brand", "first_name"]);
    }

    #[test]
    fn a_brace_that_is_no_place_is_refused() {
        for (text, expected) in [
            ("a { b", "has { without a } behind it"),
            ("a } b", "has } without a { before it"),
            ("{}", "has {}; a place has a name of small letters, without spaces"),
            ("{ name }", "has { name }; a place has a name of small letters, without spaces"),
            ("{a{b}}", "has {a{b}; a place has a name of small letters, without spaces"),
        ] {
            assert_eq!(Sentence::parse(text), Err(expected.to_owned()), "{text}");
        }
    }
}
