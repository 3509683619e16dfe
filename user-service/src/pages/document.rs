//! The page and its form in one language: built-in templates, filled with texts and brand.

use super::Setting;
use texts::{Engine, Faults, Language, Places, Texts};

/// The built-in templates, by their names.
const SOURCES: [(&str, &str); 4] = [
    ("index.html", include_str!("templates/index.html")),
    ("form.html", include_str!("templates/form.html")),
    ("field.html", include_str!("templates/field.html")),
    ("language.html", include_str!("templates/language.html")),
];

/// The templates, ready to be filled.
pub(super) struct Templates(Engine);

impl Templates {
    /// The built-in ones. `None` is a fault of this program.
    pub(super) fn built_in(faults: &mut Faults) -> Option<Self> {
        let (before, mut engine) = (faults.count(), Engine::default());
        for (name, source) in SOURCES {
            engine.add(name, name, source, faults);
        }
        (faults.count() == before).then_some(Self(engine))
    }

    /// The page, and its form alone, in a language; `None` if one can't be filled.
    pub(super) fn fill(
        &self,
        language: &Language,
        texts: &Texts,
        setting: &Setting,
        faults: &mut Faults,
    ) -> Option<(String, String)> {
        let mut places = places(language, texts, setting);
        places.set_html("names", self.names("", language, faults)?);
        places.set_html("other_names", self.names("other_", language, faults)?);
        let form = self.0.render("form.html", &file(language), &places, faults)?;
        places.set_html("form", form.clone());
        places.set_html("languages", self.languages(language, texts, faults)?);
        let document = self.0.render("index.html", &file(language), &places, faults)?;
        Some((document, form))
    }

    /// The fields of both names, in the order of the language. `prefix` makes their ids different from those of another form.
    fn names(&self, prefix: &str, language: &Language, faults: &mut Faults) -> Option<String> {
        let mut fields = [("first_name", "given-name"), ("last_name", "family-name")];
        if language.family_name_first() {
            fields.reverse();
        }
        let fields = fields.map(|(name, autocomplete)| {
            let mut places = Places::default();
            places.set("field.id", format!("{prefix}{name}"));
            places.set("field.name", name);
            places.set("field.label", language.words(&format!("page.{name}")));
            places.set("field.autocomplete", autocomplete);
            self.0.render("field.html", &file(language), &places, faults)
        });
        let [first, second] = fields;
        Some(first? + &second?)
    }

    /// The list of all languages; `shown` is the page's own.
    fn languages(&self, shown: &Language, texts: &Texts, faults: &mut Faults) -> Option<String> {
        let items = texts.languages().iter().map(|language| {
            let mut places = Places::default();
            places.set("language.tag", language.tag());
            places.set("language.name", language.name());
            places.set("language.direction", language.direction().as_str());
            places.set("language.is_shown", if language.tag() == shown.tag() { "yes" } else { "" });
            self.0.render("language.html", &file(shown), &places, faults)
        });
        items.collect()
    }
}

/// Where a fault of a filled template is: nobody but the language's sentences can be the cause.
fn file(language: &Language) -> String {
    format!("languages/{}.toml", language.tag())
}

/// Everything that stands at the places but what is made of other templates.
fn places(language: &Language, texts: &Texts, setting: &Setting) -> Places {
    let mut places = Places::default();
    places.set("tag", language.tag());
    places.set("name", language.name());
    places.set("direction", language.direction().as_str());
    for key in language.keys("page.") {
        places.set(&format!("page.{key}"), language.words(&format!("page.{key}")));
    }
    let step = |number| language.sentence("page.step").fill(&[("step", number)]);
    places.set("step_one", step("1"));
    places.set("step_two", step("2"));
    // These the script fills.
    places.set("resend_in", language.sentence("page.resend_in").fill(&[("clock", "{clock}")]));
    let names = [("first_name", "{first_name}"), ("last_name", "{last_name}")];
    places.set("full_name", language.sentence("full_name").fill(&names));
    places.set("mail_has_link", if texts.mail_has_link() { "yes" } else { "" });
    let urls: Vec<_> = setting.return_urls.iter().map(ToString::to_string).collect();
    places.set("return_urls", urls.join(" "));
    let brand = language.brand();
    let (help, help_link) = brand.help.clone().unwrap_or_default();
    places.set("help", language.words("mail.help"));
    places.set("brand.help", help);
    places.set("brand.help_link", help_link);
    for (name, value) in
        [("name", &brand.name), ("url", &brand.url), ("logo", &brand.logo), ("footer", &brand.footer)]
    {
        places.set(&format!("brand.{name}"), value.clone().unwrap_or_default());
    }
    places
}

#[cfg(test)]
mod tests;
