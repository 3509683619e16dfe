use super::*;
use crate::pages::{Pages, return_urls};
use std::{collections::BTreeSet, fs};
use texts::{Folder, Settings};

fn texts(folder: &Folder, mail_has_link: bool) -> Texts {
    let mut faults = Faults::default();
    let texts = Texts::read(folder, Settings { mail_has_link }, &mut faults);
    assert_eq!(faults.finish().map(|_| ()), Ok(()));
    texts
}

/// The page and the form of each language.
fn filled(texts: &Texts, setting: &Setting) -> Vec<(String, String, String)> {
    let mut faults = Faults::default();
    let templates = Templates::built_in(&mut faults).unwrap();
    let filled = texts.languages().iter().map(|language| {
        let (document, form) = templates.fill(language, texts, setting, &mut faults).unwrap();
        (language.tag().to_owned(), document, form)
    });
    filled.collect()
}

fn in_english(texts: &Texts, setting: &Setting) -> String {
    filled(texts, setting).into_iter().find(|(tag, ..)| tag == "en").unwrap().1
}

fn branded(brand: &str) -> Texts {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("brand.toml"), brand).unwrap();
    texts(&Folder::read(root.path()), true)
}

#[test]
fn every_sentence_of_the_page_stands_in_its_templates_and_every_place_is_filled() {
    let sources: String = SOURCES.map(|(_, source)| source).concat();
    let texts = texts(&Folder::default(), true);
    let keys: BTreeSet<_> =
        texts.english().keys("page.").filter(|key| !key.ends_with("_without_link")).collect();
    // The names' labels and the steps are filled in under other names.
    let elsewhere = ["first_name", "last_name", "step", "resend_in"];
    for key in &keys {
        assert_eq!(sources.contains(&format!("{{{{ page.{key} }}}}")), !elsewhere.contains(key), "{key}");
    }
    let places = places(texts.english(), &texts, &Setting::default());
    for (name, source) in SOURCES {
        let mut faults = Faults::default();
        let made = ["names", "other_names", "form", "languages"];
        let has = |place: &str| {
            places.has(place)
                || made.contains(&place)
                || place.starts_with("field.")
                || place.starts_with("language.")
        };
        Engine::check(name, source, has, "those that are set", &mut faults);
        assert_eq!(faults.finish().map(|_| ()), Ok(()));
    }
}

#[test]
fn each_page_is_in_its_language_and_lists_all_of_them() {
    let texts = texts(&Folder::default(), true);
    let pages = filled(&texts, &Setting::default());
    assert_eq!(pages.len(), 14);
    for (tag, document, form) in pages {
        let language = texts.exactly(&tag).unwrap();
        let direction = language.direction().as_str();
        assert!(document.contains(&format!("<html lang=\"{tag}\" dir=\"{direction}\">")), "{document}");
        assert!(
            form.contains(&format!("lang=\"{tag}\" dir=\"{direction}\"")) && document.contains(form.trim())
        );
        assert!(document.contains(&format!("<title>{}</title>", language.words("page.title_register"))));
        assert_eq!(document.matches("href=\"?lang=").count(), 14);
        assert_eq!(document.matches("aria-current=\"true\"").count(), 1);
        assert!(document.contains(&format!(
            "lang=\"{tag}\" dir=\"{direction}\" aria-current=\"true\">{}</a>",
            language.name()
        )));
        let at = |id: &str| form.find(&format!("id=\"{id}\"")).unwrap();
        let is_family_name_first = ["ja", "zh-Hans"].contains(&&*tag);
        assert_eq!(at("last_name") < at("first_name"), is_family_name_first, "{tag}");
        assert_eq!(at("other_last_name") < at("other_first_name"), is_family_name_first, "{tag}");
        assert!(form.contains("dir=\"ltr\" inputmode=\"numeric\" autocomplete=\"one-time-code\""));
        assert!(!document.contains("{{") && !document.contains("{%") && !document.contains("style=\""));
    }
}

#[test]
fn a_brand_is_in_header_title_and_footer_and_without_one_there_is_none() {
    let page = in_english(
        &branded(
            "name = 'A & B'\nurl = 'https://app.example.com'\nlogo = 'https://cdn.example.com/l.png'\n\
             help = 'help@example.com'\nfooter = \"\"\"\nOne <b>\nTwo\n\"\"\"",
        ),
        &Setting::default(),
    );
    for expected in [
        "<title>Sign up – A &amp; B</title>",
        "<meta name=\"application-name\" content=\"A &amp; B\">",
        "<img class=\"logo\" src=\"https://cdn.example.com/l.png\" alt=\"A &amp; B\">",
        "<p class=\"brand\"><bdi>A &amp; B</bdi></p>",
        "<p class=\"lines\">One &lt;b&gt;\nTwo</p>",
        "<p>Need help? <a href=\"mailto:help@example.com\"><bdi>help@example.com</bdi></a></p>",
        "data-home=\"https://app.example.com/\"",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let plain = in_english(&texts(&Folder::default(), true), &Setting::default());
    for unexpected in ["class=\"logo\"", "class=\"brand\"", "<footer>", "application-name"] {
        assert!(!plain.contains(unexpected), "{unexpected}");
    }
    let without_logo = in_english(&branded("name = 'Acme'"), &Setting::default());
    assert_eq!(without_logo.matches("<p class=\"brand\"><bdi>Acme</bdi></p>").count(), 2);
}

#[test]
fn where_people_may_go_on_is_in_the_form_and_without_a_link_in_the_mail_nothing_speaks_of_one() {
    let return_urls = return_urls("https://a.example, https://b.example/app").unwrap();
    let setting = Setting { return_urls, is_embeddable: false };
    let with_link = in_english(&texts(&Folder::default(), true), &setting);
    let listed = "data-return-urls=\"https://a.example/ https://b.example/app\"";
    assert!(with_link.contains(listed), "{with_link}");
    assert!(with_link.contains("Did a link in our email lead you here?"));
    let without = in_english(&texts(&Folder::default(), false), &setting);
    assert!(!without.contains("Did a link in our email lead you here?"));
}

#[test]
fn a_sentence_that_makes_the_page_too_large_is_a_fault_of_its_file() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("languages")).unwrap();
    let long: String = texts(&Folder::default(), true)
        .english()
        .keys("page.")
        .filter(|key| !["step", "resend_in"].contains(key))
        .map(|key| format!("{key} = '{}'\n", "&".repeat(600)))
        .collect();
    fs::write(root.path().join("languages/fr.toml"), format!("[page]\n{long}")).unwrap();
    let folder = Folder::read(root.path());
    let mut faults = Faults::default();
    Pages::build(&texts(&folder, true), &folder, &Setting::default(), &mut faults);
    let faulty = faults.finish().unwrap_err();
    assert_eq!(faulty.faults()[0].file, "languages/fr.toml");
    assert!(faulty.faults()[0].what.contains("becomes larger than"), "{faulty}");
}
