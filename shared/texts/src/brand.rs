//! `brand.toml`: whose mails and page these are.

use crate::{
    colour::{Colour, DARK_GROUND, LIGHT_GROUND},
    fault::Faults,
    file::{Entry, TomlFile},
    tag::{normal_tag, truncations},
};
use contract::email_address::EmailAddress;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use toml::de::DeTable;
use url::{Host, Url};

/// The longest name, in characters: it stands in subjects.
const LONGEST_NAME: usize = 60;
/// What `mailto:` takes as it is (RFC 6068, section 2).
const MAILTO: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b'@');
const KEYS: &str = "name, url, logo, help, footer, accent, accent_dark, [language.TAG]";

/// The brand as one language has it. Without a file everything is missing but the colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// Its name, in subjects, header and footer.
    pub name: Option<String>,
    /// The address of the application, where people go on after the signup.
    pub url: Option<String>,
    /// The address of a picture.
    pub logo: Option<String>,
    /// Whom to ask for help: what is shown, and where it leads.
    pub help: Option<(String, String)>,
    /// Lines at the end of mails and page.
    pub footer: Option<String>,
    /// The colour of buttons and links, as `#rrggbb`.
    pub accent: String,
    /// The same on a dark ground.
    pub accent_dark: String,
}

impl Default for Brand {
    fn default() -> Self {
        let [accent, accent_dark] = ["#1a56db", "#8ab0ff"].map(str::to_owned);
        Self { name: None, url: None, logo: None, help: None, footer: None, accent, accent_dark }
    }
}

impl Brand {
    /// The colour of text on [`Brand::accent`] and on [`Brand::accent_dark`].
    #[must_use]
    pub fn on_accent(&self) -> [String; 2] {
        [&self.accent, &self.accent_dark].map(|colour| {
            Colour::parse(colour).map_or_else(String::new, |colour| colour.text_on_it().to_string())
        })
    }

    /// The origin of the logo, for a content security policy.
    #[must_use]
    pub fn logo_origin(&self) -> Option<String> {
        Some(Url::parse(self.logo.as_deref()?).ok()?.origin().ascii_serialization())
    }
}

/// The brand of each language that has a section of its own, by its tag, and that of all others.
#[derive(Debug, Default)]
pub(crate) struct Brands {
    pub(crate) common: Brand,
    pub(crate) own: BTreeMap<String, Brand>,
}

/// Reads the file.
pub(crate) fn read(file: &TomlFile<'_>, faults: &mut Faults) -> Brands {
    let mut brands = Brands::default();
    let mut sections = None;
    for entry in file.entries() {
        match (entry.key, entry.value.as_table()) {
            ("language", Some(table)) => sections = Some(table),
            _ => take(file, &entry, &mut brands.common, faults),
        }
    }
    if let Some(sections) = sections {
        languages(file, sections, &mut brands, faults);
    }
    brands
}

fn languages(file: &TomlFile<'_>, sections: &DeTable<'_>, brands: &mut Brands, faults: &mut Faults) {
    for section in file.of(sections) {
        let (Some(tag), Some(table)) = (normal_tag(section.key), section.value.as_table()) else {
            let what = format!(
                "language.{}: expected a section [language.TAG] with a tag such as de or pt-BR",
                section.key
            );
            faults.add(file.name, Some(section.line), what);
            continue;
        };
        if brands.own.contains_key(&tag) {
            faults.add(
                file.name,
                Some(section.line),
                format!("language.{}: {tag} has a section already", section.key),
            );
            continue;
        }
        // As sentences do: what a variant does not say, its language says.
        let shorter = truncations(&tag).find_map(|shorter| brands.own.get(shorter));
        let mut brand = shorter.unwrap_or(&brands.common).clone();
        for entry in file.of(table) {
            take(file, &entry, &mut brand, faults);
        }
        brands.own.insert(tag, brand);
    }
}

fn take(file: &TomlFile<'_>, entry: &Entry<'_>, brand: &mut Brand, faults: &mut Faults) {
    let refuse = |what: String, faults: &mut Faults| {
        faults.add(file.name, Some(entry.line), format!("{}: {what}", entry.key))
    };
    if entry.key == "footer" {
        brand.footer = file.lines(entry, faults).map(str::to_owned);
        return;
    }
    if !["name", "url", "logo", "help", "accent", "accent_dark"].contains(&entry.key) {
        return refuse(format!("is not known; expected {KEYS}"), faults);
    }
    let Some(text) = file.line(entry, faults) else { return };
    let text = text.to_owned();
    match entry.key {
        "name" if text.chars().count() > LONGEST_NAME => {
            refuse(format!("expected at most {LONGEST_NAME} characters: it stands in subjects"), faults);
        }
        "name" => brand.name = Some(text),
        "url" => match web_address(&text, false) {
            Some(url) => brand.url = Some(url),
            None => refuse("expected the application's address, such as https://app.example.com/".to_owned(), faults),
        },
        "logo" => match web_address(&text, true) {
            Some(url) => brand.logo = Some(url),
            None => refuse(
                "expected the address of a picture that mail programs can load, such as https://www.example.com/logo.png".to_owned(),
                faults,
            ),
        },
        "help" => match help(&text) {
            Some(help) => brand.help = Some(help),
            None => refuse("expected an email address or a web address".to_owned(), faults),
        },
        key => colour(key == "accent_dark", &text, brand, |what| refuse(what, faults)),
    }
}

fn colour(is_dark: bool, text: &str, brand: &mut Brand, refuse: impl FnOnce(String)) {
    let Some(colour) = Colour::parse(text) else {
        return refuse(format!("expected a colour such as #1a56db, got {text:?}"));
    };
    let (ground, name) = if is_dark { (DARK_GROUND, "dark") } else { (LIGHT_GROUND, "white") };
    if !colour.reads_on(ground) {
        return refuse(format!(
            "has a contrast of {:.1} to the {name} ground; text needs 4.5, as {} has",
            colour.contrast(ground),
            colour.made_readable_on(ground)
        ));
    }
    if is_dark {
        brand.accent_dark = colour.to_string();
    } else {
        // One in `accent_dark` comes later: keys are read in the order of the alphabet.
        brand.accent_dark = colour.made_readable_on(DARK_GROUND).to_string();
        brand.accent = colour.to_string();
    }
}

/// A web address as a browser writes it. One that others load, a mail program or a visitor's browser, is not plain HTTP,
/// except on this machine.
fn web_address(text: &str, is_loaded: bool) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_local = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    // A host may have characters that mean something in a content security policy.
    let host_is_plain = url.host_str()?.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_[]:".contains(&b));
    let scheme_fits = url.scheme() == "https" || (url.scheme() == "http" && (!is_loaded || is_local));
    let is_plain = url.username().is_empty() && url.password().is_none() && host_is_plain;
    (scheme_fits && is_plain && !text.contains(char::is_whitespace)).then(|| url.into())
}

/// What is shown, and where it leads.
fn help(text: &str) -> Option<(String, String)> {
    if text.contains("://") {
        return web_address(text, false).map(|url| (text.to_owned(), url));
    }
    let address = EmailAddress::parse(text).ok()?;
    let link = format!("mailto:{}", utf8_percent_encode(address.as_str(), MAILTO));
    Some((address.as_str().to_owned(), link))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brand(text: &str) -> Result<Brands, Vec<String>> {
        let mut faults = Faults::default();
        let brands = TomlFile::parse("brand.toml", text, &mut faults).map(|file| read(&file, &mut faults));
        match faults.finish() {
            Ok(_) => Ok(brands.unwrap()),
            Err(faulty) => Err(faulty.faults().iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn a_brand_has_what_its_file_says_and_languages_differ_where_they_say_so() {
        let brands = brand(
            "name = 'Acme'\nurl = 'https://app.acme.example'\nhelp = 'a%b?c@acme.example'\naccent = '#7a1f5c'\n\
             footer = \"\"\"\nAcme Inc.\n1 Main St\n\"\"\"\n[language.de]\nname = 'Acme DE'\nhelp = 'https://acme.example/hilfe'",
        )
        .unwrap();
        let common = brands.common;
        assert_eq!(common.url.as_deref(), Some("https://app.acme.example/"));
        assert_eq!(common.help.as_ref().unwrap().1, "mailto:a%25b%3Fc@acme.example");
        assert_eq!(common.footer.as_deref(), Some("Acme Inc.\n1 Main St"));
        assert_eq!((common.accent.as_str(), common.accent_dark.as_str()), ("#7a1f5c", "#aa7097"));
        let german = &brands.own["de"];
        assert_eq!(
            (german.name.as_deref(), german.url.as_deref()),
            (Some("Acme DE"), Some("https://app.acme.example/"))
        );
        assert_eq!(german.help.as_ref().unwrap().1, "https://acme.example/hilfe");
    }

    #[test]
    fn what_could_not_be_used_is_refused_with_its_line() {
        for (line, expected) in [
            ("name = ''", "is empty; delete the line"),
            ("name = 'a\\u202Eb'", ""),
            ("name = \"a\\u202Eb\"", "has the invisible or private character U+202E"),
            ("name = \"a\\nb\"", "expected one line"),
            ("name = 3", "expected a text in quotes, got integer"),
            ("url = 'javascript:alert(1)'", "expected the application's address"),
            ("url = 'https://user@acme.example'", "expected the application's address"),
            ("logo = 'http://acme.example/logo.png'", "expected the address of a picture"),
            ("logo = 'https://a;b.example/logo.png'", "expected the address of a picture"),
            ("help = 'nobody'", "expected an email address or a web address"),
            ("accent = 'red'", "expected a colour such as #1a56db, got \"red\""),
            ("accent = '#ffcc00'", "has a contrast of 1.5 to the white ground; text needs 4.5, as #8"),
            ("colour = '#000000'", "is not known; expected name, url, logo"),
            ("[language.de_AT]\nname = 'x'", ""),
            (
                "[language.de_AT]\nname = 'x'\n[language.de-AT]\nname = 'y'",
                "language.de_AT: de-AT has a section already",
            ),
            ("name = \"\\u200e\\u3164\"", "has nothing that can be seen"),
            ("[language.x]\nname = 'x'", "language.x: expected a section [language.TAG]"),
        ] {
            match brand(&format!("\n{line}")) {
                Ok(_) => assert_eq!(expected, "", "{line}"),
                Err(faults) => {
                    assert!(
                        faults[0].starts_with("brand.toml:2: ") && faults[0].contains(expected),
                        "{line}: {faults:?}"
                    );
                    assert_ne!(expected, "", "{faults:?}");
                }
            }
        }
    }
}
