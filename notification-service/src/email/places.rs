//! What stands at the places of a mail's template: the words of a language, the brand, and a mark for each [`Place`] that
//! every mail fills by itself.

use super::{
    body::Place,
    kind::{Format, Kind},
};
use texts::{Brand, Language, Part, Places, Texts, escape};

/// The subject, with the brand's name if there is one.
pub(super) fn subject(kind: Kind, language: &Language) -> String {
    let subject = language.words(&format!("mail.{}.subject", kind.name()));
    match &language.brand().name {
        Some(brand) => {
            language.sentence("mail.subject_with_brand").fill(&[("brand", brand), ("subject", &subject)])
        }
        None => subject,
    }
}

/// The greeting. In HTML the name keeps its direction to itself.
pub(super) fn greeting(language: &Language, first_name: Option<&str>, format: Format) -> String {
    let words = |text: &str| if format == Format::Html { escape(text) } else { text.to_owned() };
    let Some(name) = first_name else { return words(&language.words("mail.greeting_without_name")) };
    let part = |part: &Part| match (part, format) {
        (Part::Words(text), _) => words(text),
        (Part::Place(_), Format::Text) => name.to_owned(),
        (Part::Place(_), Format::Html) => format!("<bdi>{}</bdi>", escape(name)),
    };
    language.sentence("mail.greeting").parts().iter().map(part).collect()
}

/// What stands at the places of a mail's template. Those of the code's mail differ from mail to mail; so does the greeting
/// of all mails but the notice, which has nothing that the person who registered has entered.
pub(super) fn places(
    kind: Kind,
    format: Format,
    language: &Language,
    texts: &Texts,
    public_url: &str,
) -> Places {
    let mut places = Places::default();
    let greeting = match kind {
        Kind::AccountExists => language.words("mail.greeting_without_name"),
        Kind::VerifyAccount | Kind::AccountVerified => Place::Greeting.mark(),
    };
    places.set("language", language.tag());
    places.set("direction", language.direction().as_str());
    places.set("subject", subject(kind, language));
    places.set("greeting", greeting);
    places.set("help", language.words("mail.help"));
    let prefix = format!("mail.{}.", kind.name());
    for key in language
        .keys(&prefix)
        .filter(|key| !["subject", "lasts"].contains(key) && !key.ends_with("_without_link"))
    {
        places.set(&format!("text.{key}"), language.words(&format!("{prefix}{key}")));
    }
    match kind {
        Kind::VerifyAccount => {
            places.set("code", Place::Code.mark());
            places.set("lasts", Place::Lasts.mark());
            places.set("link", if texts.mail_has_link() { Place::Link.mark() } else { String::new() });
        }
        Kind::AccountVerified => {
            places.set("go_on", language.brand().url.clone().unwrap_or_else(|| format!("{public_url}/")));
        }
        Kind::AccountExists => {}
    }
    set_brand(&mut places, language.brand(), format);
    places
}

fn set_brand(places: &mut Places, brand: &Brand, format: Format) {
    let (help, help_link) = brand.help.clone().unwrap_or_default();
    let [on_accent, on_accent_dark] = brand.on_accent();
    for (name, value) in [
        ("name", brand.name.clone().unwrap_or_default()),
        ("url", brand.url.clone().unwrap_or_default()),
        ("logo", brand.logo.clone().unwrap_or_default()),
        ("help", help),
        ("help_link", help_link),
        ("accent", brand.accent.clone()),
        ("accent_dark", brand.accent_dark.clone()),
        ("on_accent", on_accent),
        ("on_accent_dark", on_accent_dark),
    ] {
        places.set(&format!("brand.{name}"), value);
    }
    let footer = brand.footer.clone().unwrap_or_default();
    match format {
        Format::Text => places.set("brand.footer", footer),
        Format::Html => places.set_html("brand.footer", escape(&footer).replace('\n', "<br>")),
    }
}
