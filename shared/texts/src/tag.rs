//! Language tags (BCP 47): their usual spelling, and the way of a look-up (RFC 4647, section 3.4).

/// A tag in its usual spelling, `pt-BR` for `PT_br`; `None` if it is no tag.
pub(crate) fn normal_tag(text: &str) -> Option<String> {
    let tag = icu_locale_core::LanguageIdentifier::try_from_str(&text.replace('_', "-")).ok()?;
    (tag.language.as_str() != "und").then(|| tag.to_string())
}

/// A tag, and what remains when subtags are taken from its end. A single letter goes with what stood behind it.
pub(crate) fn truncations(tag: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(tag), |tag| {
        let shorter = &tag[..tag.rfind('-')?];
        let last = shorter.rsplit('-').next().unwrap_or_default();
        Some(if last.len() == 1 { &shorter[..shorter.rfind('-')?] } else { shorter })
    })
}
