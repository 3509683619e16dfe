use super::*;
use crate::sentence::Sentence;
use std::{collections::BTreeSet, fs};

const WITH_LINK: Settings = Settings { mail_has_link: true };

fn read(files: &[(&str, &str)], settings: Settings) -> Result<(Texts, Vec<String>), Vec<String>> {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut faults = Faults::default();
    let folder = if files.is_empty() { Folder::default() } else { Folder::read(root.path()) };
    let texts = Texts::read(&folder, settings, &mut faults);
    let lines = |list: &[crate::fault::Fault]| list.iter().map(ToString::to_string).collect();
    match faults.finish() {
        Ok(notes) => Ok((texts, lines(&notes))),
        Err(faulty) => Err(lines(faulty.faults())),
    }
}

fn built_in() -> Texts {
    read(&[], WITH_LINK).unwrap().0
}

#[test]
fn every_built_in_language_has_every_sentence_with_all_its_places() {
    let (texts, notes) = read(&[], WITH_LINK).unwrap();
    assert_eq!(notes, [""; 0]);
    let tags: Vec<_> = texts.languages().iter().map(|language| language.tag()).collect();
    assert_eq!(
        tags,
        ["ar", "de", "en", "es", "fr", "he", "hi", "it", "ja", "nl", "pl", "pt-BR", "tr", "zh-Hans"]
    );
    let mut faults = Faults::default();
    let english = english(&mut faults);
    for (tag, text) in &BUILT_IN[1..] {
        let file = TomlFile::parse(tag, text, &mut faults).unwrap();
        let written = language::read(&file, tag, Some(&english.sentences), &mut faults);
        let missing: Vec<_> =
            english.sentences.keys().filter(|key| !written.sentences.contains_key(*key)).collect();
        assert!(missing.is_empty(), "{tag}: {missing:?}");
        assert!(written.name.is_some() && written.direction.is_some(), "{tag}");
    }
    assert_eq!(faults.finish().unwrap(), []);
}

#[test]
fn only_the_greeting_and_the_full_name_have_a_place_for_what_a_person_entered() {
    let texts = built_in();
    for language in texts.languages() {
        for (key, words) in language.sentences.iter() {
            let places: BTreeSet<_> = words.sentences().into_iter().flat_map(Sentence::places).collect();
            let has_name = places.contains("first_name") || places.contains("last_name");
            assert_eq!(
                has_name,
                ["mail.greeting", "full_name"].contains(&key.as_str()),
                "{} {key}",
                language.tag()
            );
        }
    }
}

#[test]
fn a_reader_gets_the_language_of_rfc_4647() {
    let texts = built_in();
    for (wanted, tag) in [
        ("de", "de"),
        ("DE-at", "de"),
        ("de-Latn-DE-1996", "de"),
        ("de-x-private", "de"),
        ("fr-CA", "fr"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("zh-CN", "zh-Hans"),
        ("zh-Hant-TW", "zh-Hans"),
        ("sv", "en"),
        ("gsw", "en"),
    ] {
        assert_eq!(texts.choose([wanted]).tag(), tag, "{wanted}");
    }
    assert_eq!(texts.choose(["sv", "nb", "pl-PL", "de"]).tag(), "pl");
    assert_eq!(texts.choose([]).tag(), "en");
}

#[test]
fn a_folder_replaces_single_sentences_and_adds_languages() {
    let (texts, notes) = read(
        &[
            ("languages/de.toml", "[page]\nconfirm = 'Weiter'"),
            ("languages/de-AT.toml", "name = 'Deutsch (Österreich)'\n[page]\nstart_again = 'Nochmal'"),
            (
                "languages/hu.toml",
                "name = 'Magyar'\ndirection = 'ltr'\nfamily_name_first = true\n[page]\nconfirm = 'Tovább'",
            ),
            ("brand.toml", "name = 'Acme'\n[language.de]\nname = 'Acme DE'\n[language.en]\nname = 'Acme EN'"),
        ],
        WITH_LINK,
    )
    .unwrap();
    let words = |tag: &str, key| texts.exactly(tag).unwrap().words(key);
    assert_eq!(words("de", "page.confirm"), "Weiter");
    assert_eq!([words("de-AT", "page.confirm"), words("de-AT", "page.start_again")], ["Weiter", "Nochmal"]);
    assert_eq!(words("de-AT", "page.code"), words("de", "page.code"));
    assert_eq!([words("hu", "page.confirm"), words("hu", "page.code")], ["Tovább", "Code"]);
    // What Hungarian takes from English follows the rules of English.
    let attempts =
        texts.exactly("hu").unwrap().counted("problem.detail.wrong_code", 1).fill(&[("count", "1")]);
    assert!(attempts.contains("1 attempt left"), "{attempts}");
    let brand = |tag: &str| texts.exactly(tag).unwrap().brand().name.clone().unwrap();
    assert_eq!(
        ["de", "de-AT", "en", "fr", "hu"].map(brand),
        ["Acme DE", "Acme DE", "Acme EN", "Acme", "Acme"]
    );
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].starts_with("languages/hu.toml: ") && notes[0].contains("sentences are missing"),
        "{notes:?}"
    );
}

#[test]
fn faults_name_file_line_and_what_was_expected() {
    for (file, text, expected) in [
        (
            "languages/de.toml",
            "[page]\nconfirm = 'Los {name}'",
            "languages/de.toml:2: page.confirm: has {name}; this sentence has no places",
        ),
        (
            "languages/de.toml",
            "[mail]\ngreeting = 'Hallo {email}'",
            "languages/de.toml:2: mail.greeting: has {email}; expected {first_name}",
        ),
        (
            "languages/de.toml",
            "[mail]\ngreeting = 'Hallo {first_name'",
            "languages/de.toml:2: mail.greeting: has { without a } behind it",
        ),
        (
            "languages/de.toml",
            "[mail]\nx = 'y'",
            "languages/de.toml:2: mail.x: there is no such sentence; [mail] has greeting, greeting_without_name, help, subject_with_brand",
        ),
        ("languages/de.toml", "[mial]\nx = 'y'", "languages/de.toml:2: mial.x: there is no such sentence"),
        ("languages/de.toml", "[page]\nconfirm = ", "languages/de.toml:2: is no valid TOML: "),
        (
            "languages/de.toml",
            "[page]\nconfirm = { other = 'x' }",
            "languages/de.toml:2: page.confirm: expected a text in quotes",
        ),
        (
            "languages/de.toml",
            "[wait]\nseconds = 'x'",
            "languages/de.toml:2: wait.seconds: expected a form for each number: { one = \"…\", other = \"…\" }",
        ),
        (
            "languages/pl.toml",
            "[wait]\nseconds = { one = 'x', other = 'y' }",
            "languages/pl.toml:2: wait.seconds: this language needs also few, many",
        ),
        (
            "languages/ja.toml",
            "[wait]\nseconds = { one = 'x', other = 'y' }",
            "languages/ja.toml:2: wait.seconds: this language has no form \"one\"; expected other",
        ),
        (
            "languages/de_AT.toml",
            "",
            "languages/de_AT.toml: de_AT is no language tag in its usual spelling; expected de-AT.toml",
        ),
        ("languages/deutsch-x.toml", "", "languages/deutsch-x.toml: deutsch-x is no language tag"),
        (
            "languages/hu.toml",
            "direction = 'ltr'",
            "languages/hu.toml: name is missing; expected the language's own name",
        ),
        (
            "languages/hu.toml",
            "name = 'x'\ndirection = 'up'",
            "languages/hu.toml:2: direction: expected \"ltr\" or \"rtl\"",
        ),
        (
            "brand.toml",
            "[language.hu]\nname = 'x'",
            "brand.toml: language.hu: there is no such language; add languages/hu.toml",
        ),
    ] {
        let faults = read(&[(file, text)], WITH_LINK).map(|_| ()).unwrap_err();
        assert!(faults[0].starts_with(expected), "{text}: {faults:?}");
    }
    let subject = format!("[mail.account_exists]\nsubject = '{}'", "ü".repeat(101));
    let faults = read(&[("languages/de.toml", &subject)], WITH_LINK).map(|_| ()).unwrap_err();
    assert!(faults[0].contains("expected at most 100 characters"), "{faults:?}");
}

#[test]
fn a_variant_needs_no_name_and_a_relative_of_another_script_does() {
    let swedish = ("languages/sv.toml", "name = 'svenska'\ndirection = 'ltr'");
    let (texts, _) =
        read(&[("languages/sv-FI.toml", "family_name_first = true"), swedish], WITH_LINK).unwrap();
    assert_eq!(texts.exactly("sv-FI").unwrap().name(), "svenska");
    for (file, text) in [("languages/zh-Hant.toml", ""), ("languages/sv.toml", "")] {
        let faults =
            read(&[(file, text), ("languages/sv-FI.toml", swedish.1)], WITH_LINK).map(|_| ()).unwrap_err();
        assert!(faults[0].starts_with(&format!("{file}: name is missing")), "{faults:?}");
    }
    let chinese =
        ("languages/zh-Hant.toml", "name = '繁體中文'\ndirection = 'ltr'\n[page]\nconfirm = '確認'");
    let (_, notes) = read(&[chinese], WITH_LINK).unwrap();
    assert!(notes[0].contains("143 of 144 sentences are missing"), "{notes:?}");
}

#[test]
fn a_file_of_the_wrong_kind_is_refused_at_once() {
    let many: String = (0..5000).map(|n| format!("k{n} = 'v'\n")).collect();
    let began = std::time::Instant::now();
    let faults = read(&[("languages/de.toml", &many)], WITH_LINK).map(|_| ()).unwrap_err();
    assert_eq!(faults.len(), 101);
    assert_eq!(faults[100], "the folder: and 4900 more faults, which are not listed");
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[test]
fn without_a_link_no_sentence_speaks_of_one() {
    let settings = Settings { mail_has_link: false };
    let (texts, _) = read(&[], settings).unwrap();
    for language in texts.languages() {
        let shown = [
            "mail.verify_account.ignore",
            "problem.detail.last_wrong_code",
            "problem.detail.guesses_used_up",
        ];
        for key in shown {
            assert_eq!(
                language.words(key),
                built_in().exactly(language.tag()).unwrap().words(&format!("{key}_without_link"))
            );
        }
    }
}
