//! `docs/texts.md` says which languages and placeholders there are.

use super::*;
use std::collections::BTreeSet;
use texts::Settings;

const PAGE: &str = include_str!("../../../../docs/texts.md");

fn built_in() -> Texts {
    let mut faults = Faults::default();
    let texts = Texts::read(&Folder::default(), Settings { mail_has_link: true }, &mut faults);
    faults.finish().unwrap();
    texts
}

/// The cells of the table's rows, without code marks; the first row has the titles.
fn table(first_title: &str) -> Vec<Vec<String>> {
    let rows = PAGE.lines().skip_while(|line| !line.starts_with(&format!("| {first_title} | ")));
    rows.take_while(|line| line.starts_with('|'))
        .map(|row| {
            row.trim_matches('|').split(" |").map(|cell| cell.replace('`', "").trim().to_owned()).collect()
        })
        .collect()
}

#[test]
fn the_table_of_placeholders_has_those_of_every_template_and_no_others() {
    let (texts, rows) = (built_in(), table("placeholder"));
    for kind in Kind::ALL {
        let column = rows[0].iter().position(|title| title == kind.name()).unwrap();
        let documented: BTreeSet<_> =
            rows.iter().skip(2).filter(|row| row[column] == "yes").map(|row| row[0].as_str()).collect();
        for format in Format::ALL {
            let places = places(kind, format, texts.english(), &texts, "https://signup.example.com");
            assert_eq!(documented, places.names().collect(), "{}", kind.template(format));
        }
    }
    let nowhere: Vec<_> = rows.iter().skip(2).filter(|row| !row.contains(&"yes".to_owned())).collect();
    assert!(nowhere.is_empty(), "{nowhere:?}");
}

#[test]
fn the_built_in_languages_are_listed() {
    let line = PAGE.lines().find_map(|line| line.strip_prefix("Built in: ")).unwrap();
    let documented: BTreeSet<_> =
        line.trim_end_matches('.').split(' ').map(|tag| tag.trim_matches('`')).collect();
    assert_eq!(documented, built_in().languages().iter().map(|language| language.tag()).collect());
}
