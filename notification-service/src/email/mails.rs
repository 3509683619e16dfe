//! All mails in all languages, made of texts and templates when these are loaded.

use super::{
    Parts,
    body::{Body, Place},
    kind::{Format, Kind},
    places::{greeting, places, subject},
    templates::Templates,
};
use contract::locale::Locale;
use std::{collections::BTreeMap, sync::Arc};
use texts::{Faults, Folder, LARGEST, Language, Texts, escape};

/// The mails of an installation.
pub struct Mails {
    texts: Texts,
    /// By the tags of the languages.
    written: BTreeMap<String, Written>,
    /// The host of `@host #code`, by which Apple's Mail and Safari offer the code to its page alone; with HTTPS only.
    code_is_for: Option<String>,
}

/// The mails of one language.
struct Written {
    language: Arc<Language>,
    /// By [`Kind::ALL`].
    mails: Vec<Mail>,
}

struct Mail {
    subject: String,
    text: Body,
    html: Body,
}

/// What a mail is filled with.
pub(super) struct Values<'a> {
    pub(super) first_name: Option<&'a str>,
    pub(super) code: &'a str,
    pub(super) link: &'a str,
    pub(super) minutes: u64,
}

/// How long the code works.
const LASTS: &str = "mail.verify_account.lasts";
/// The longest first name that is greeted: twenty characters, one of which HTML escapes.
const LONGEST_NAME: &str = "कककककककक'ककककककककककक";
const LONGEST_LINK: usize = 400;
/// The longest subject, in characters: mail programs cut off longer ones, and its line in the header has a limit.
const LONGEST_SUBJECT: usize = 200;
/// The minutes that a mail can say.
const MINUTES: std::ops::RangeInclusive<u64> = 1..=1440;

impl Mails {
    /// Makes all mails. What is wrong with the folder's templates, or with the mails that they become, goes to `faults`.
    pub(crate) fn build(texts: &Texts, folder: &Folder, public_url: &str, faults: &mut Faults) -> Self {
        let before = faults.count();
        let templates = Templates::read(folder, faults);
        check_names(&templates, texts, public_url, faults);
        let mut written = BTreeMap::new();
        for language in texts.languages() {
            // Each language would repeat the faults of the templates.
            if faults.count() > before {
                break;
            }
            let mails = Kind::ALL
                .iter()
                .filter_map(|kind| mail(*kind, language, texts, &templates, public_url, faults));
            let mails = mails.collect();
            written.insert(language.tag().to_owned(), Written { language: Arc::clone(language), mails });
        }
        let host = public_url.strip_prefix("https://").and_then(|rest| rest.split(['/', ':']).next());
        let mails = Self { texts: texts.clone(), written, code_is_for: host.map(str::to_owned) };
        if faults.count() == before {
            mails.try_out(&templates, faults);
        }
        mails
    }

    /// What is built in.
    #[cfg(test)]
    pub(crate) fn built_in(public_url: &str) -> Arc<texts::Kept<Self>> {
        let (settings, url) = (texts::Settings { mail_has_link: true }, public_url.to_owned());
        let kept = texts::Kept::load(None, move |folder, faults| {
            Self::build(&Texts::read(folder, settings, faults), folder, &url, faults)
        });
        Arc::new(kept.unwrap().0)
    }

    /// The languages, by their tags.
    pub(crate) fn languages(&self) -> impl Iterator<Item = &Language> {
        self.written.values().map(|written| &*written.language)
    }

    /// The language of a mail for this locale.
    pub(crate) fn language(&self, locale: &Locale) -> &Language {
        self.texts.choose([locale.as_str()])
    }

    pub(super) fn has_link(&self) -> bool {
        self.texts.mail_has_link()
    }

    /// Fills a mail; `None` is a fault of this program.
    pub(super) fn fill(&self, kind: Kind, locale: &Locale, values: &Values<'_>) -> Option<Parts> {
        let written = self.written.get(self.language(locale).tag())?;
        let at = Kind::ALL.iter().position(|known| *known == kind)?;
        let (mail, language) = (written.mails.get(at)?, &written.language);
        let lasts = match kind {
            Kind::VerifyAccount => {
                let minutes = values.minutes.to_string();
                language.counted(LASTS, values.minutes).fill(&[("minutes", &minutes)])
            }
            Kind::AccountVerified | Kind::AccountExists => String::new(),
        };
        let [greeting, in_html] = Format::ALL.map(|format| greeting(language, values.first_name, format));
        let [link, lasts_in_html] = [values.link, &lasts].map(escape);
        let mut text = mail.text.fill(|place| match place {
            Place::Code => values.code,
            Place::Link => values.link,
            Place::Greeting => &greeting,
            Place::Lasts => &lasts,
        });
        if let (Kind::VerifyAccount, Some(host)) = (kind, &self.code_is_for) {
            text.extend(["\n\n@", host, " #", values.code]);
        }
        let html = mail.html.fill(|place| match place {
            Place::Code => values.code,
            Place::Link => &link,
            Place::Greeting => &in_html,
            Place::Lasts => &lasts_in_html,
        });
        Some(Parts { subject: mail.subject.clone(), text, html })
    }

    /// The number of minutes whose sentence is longest.
    fn longest_minutes(&self, tag: &str) -> u64 {
        let Some(Written { language, .. }) = self.written.get(tag) else { return 1 };
        let length = |minutes: &u64| {
            let number = minutes.to_string();
            language.counted(LASTS, *minutes).fill(&[("minutes", &number)]).len()
        };
        MINUTES.max_by_key(length).unwrap_or(1)
    }

    /// Fills every mail with the longest values that there are.
    fn try_out(&self, templates: &Templates, faults: &mut Faults) {
        let link = "&".repeat(LONGEST_LINK);
        for (tag, kind) in self.written.keys().flat_map(|tag| Kind::ALL.map(|kind| (tag, kind))) {
            let Ok(locale) = Locale::parse(tag) else { continue };
            let first_name = (kind != Kind::AccountExists).then_some(LONGEST_NAME);
            let minutes = if kind == Kind::VerifyAccount { self.longest_minutes(tag) } else { 0 };
            let values = Values { first_name, code: "123456", link: &link, minutes };
            let Some(parts) = self.fill(kind, &locale, &values) else { continue };
            for (format, text) in Format::ALL.into_iter().zip([parts.text, parts.html]) {
                if text.len() > LARGEST {
                    let file = templates.file(kind, format);
                    let what = format!(
                        "becomes larger than {LARGEST} octets in {tag}; mail programs would cut it off"
                    );
                    faults.add(&file, None, what);
                }
            }
        }
    }
}

/// Checks the names in each template against the places of the mails that are made of it.
fn check_names(templates: &Templates, texts: &Texts, public_url: &str, faults: &mut Faults) {
    for (kind, format) in Kind::ALL.into_iter().flat_map(|kind| Format::ALL.map(|format| (kind, format))) {
        let places = places(kind, format, texts.english(), texts, public_url);
        let names = places.names().collect::<Vec<_>>().join(", ");
        for (file, source) in templates.of(kind, format) {
            // What is no template has no placeholders; and a layout is part of several mails.
            if !faults.concern(file) {
                texts::Engine::check(file, source, |name| places.has(name), &names, faults);
            }
        }
    }
}

/// A mail of one language.
fn mail(
    kind: Kind,
    language: &Language,
    texts: &Texts,
    templates: &Templates,
    public_url: &str,
    faults: &mut Faults,
) -> Option<Mail> {
    let mut body = |format| {
        let places = places(kind, format, language, texts, public_url);
        let name = kind.template(format);
        let file = templates.file(kind, format);
        let text = templates.engine.render(&name, &file, &places, faults)?;
        let body = Body::new(text.trim());
        if body.is_empty() {
            faults.add(&file, None, format!("becomes an empty mail in {}", language.tag()));
        } else if kind == Kind::VerifyAccount {
            check_code(&body, format, texts.mail_has_link(), (&file, language.tag()), faults);
        }
        Some(body)
    };
    let (text, html) = (body(Format::Text)?, body(Format::Html)?);
    let subject = subject(kind, language);
    let length = subject.chars().count();
    if length > LONGEST_SUBJECT {
        let file = format!("languages/{}.toml", language.tag());
        let what = format!(
            "mail.subject_with_brand: the subject of {} becomes {length} characters long; expected {LONGEST_SUBJECT} at most",
            kind.name()
        );
        faults.add(&file, None, what);
    }
    Some(Mail { subject, text, html })
}

fn check_code(body: &Body, format: Format, has_link: bool, (file, tag): (&str, &str), faults: &mut Faults) {
    let (has_code, shows_link) = match format {
        Format::Text => (body.has(Place::Code), body.has_a_whole_link()),
        Format::Html => (body.shows_in_html(Place::Code, false), body.shows_in_html(Place::Link, true)),
    };
    if !has_code {
        faults.add(file, None, format!("the mail in {tag} shows no {{{{ code }}}}; it is there for it"));
    } else if format == Format::Text && !body.begins_with_the_code() {
        faults.add(
            file,
            None,
            "expected {{ code }} first and alone in its line: previews show the beginning",
        );
    }
    if has_link && !shows_link {
        let place = if format == Format::Text { " between spaces or line ends" } else { "" };
        let why = "it works when the code's guesses are used up; MAIL_LINK=off sends codes alone";
        faults.add(file, None, format!("the mail in {tag} shows no {{{{ link }}}}{place}: {why}"));
    }
}

#[cfg(test)]
mod tests;
