//! The languages of the emails.

use contract::locale::Locale;

/// Follows from the event's locale; English for all other languages. `contract::locale::OF_MAILS` has the same list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    German,
}

impl Language {
    pub(super) fn of(locale: &Locale) -> Self {
        match locale.language().as_str() {
            "de" => Self::German,
            _ => Self::English,
        }
    }

    /// The tag for the HTML part and for `Content-Language` (BCP 47).
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::locale::OF_MAILS;

    #[test]
    fn what_the_services_agree_on_is_what_there_is() {
        let tags = OF_MAILS.map(|tag| Language::of(&Locale::parse(tag).unwrap()).tag());
        assert_eq!(tags, OF_MAILS);
    }
}
