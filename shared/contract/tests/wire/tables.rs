//! The tables of `docs/events.md` match the topics and the schemas, those of `docs/configuration.md`
//! match `.env.example`, and those of `docs/security.md` name tests that exist.

use crate::{document, names, read, texts};
use contract::{event::EventKind, topic::Topic};
use std::collections::BTreeMap;

/// The rows of the table under a heading of a page, each as its cells; code marks are removed.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(page);
    let section = text.split(&format!("\n## {heading}\n")).nth(1);
    let rows: Vec<Vec<String>> = section
        .unwrap_or_else(|| panic!("no section {heading}"))
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .map(|row| {
            row.trim_matches('|').split('|').map(|cell| cell.replace('`', "").trim().to_owned()).collect()
        })
        .collect();
    assert!(rows.len() > 2, "no table under {heading}");
    rows
}

/// The body of a table of `docs/events.md` by its first column.
fn body(heading: &str) -> BTreeMap<String, Vec<String>> {
    table("docs/events.md", heading).into_iter().skip(2).map(|mut row| (row.remove(0), row)).collect()
}

fn properties(schema: &str) -> Vec<String> {
    let schema = document(&format!("schemas/{schema}.json"));
    names(&schema["properties"]).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_table_of_topics_has_their_records_and_how_long_they_are_kept() {
    let rows = body("Topics");
    let mut topics = Topic::ALL.map(Topic::name);
    topics.sort_unstable();
    assert_eq!(rows.keys().collect::<Vec<_>>(), topics);
    for topic in Topic::ALL {
        let row = &rows[topic.name()];
        let kept = match topic.retention().map(|kept| kept.as_secs() / (24 * 60 * 60)) {
            Some(1) => "delete, 1 day".to_owned(),
            Some(days) => format!("delete, {days} days"),
            None => "compact".to_owned(),
        };
        assert_eq!(row[1], kept, "{}", topic.name());
        let settings: BTreeMap<_, _> = topic.settings(3).into_iter().collect();
        let largest = settings.get("max.message.bytes").map_or("Kafka's default", String::as_str);
        assert_eq!(row[3], largest, "{}", topic.name());
        assert_eq!(settings["min.insync.replicas"], "2");
        for (setting, value) in &settings {
            let in_the_table = ["cleanup.policy", "retention.ms", "max.message.bytes", "min.insync.replicas"];
            let page = read("docs/events.md").replace('`', "");
            assert!(
                in_the_table.contains(setting) || page.contains(&format!("{setting} {value}")),
                "{setting} {value}"
            );
        }
        for kind in EventKind::ALL.into_iter().filter(|kind| kind.topic() == topic) {
            assert!(row[0].split(", ").any(|name| name == kind.name()), "{}: {}", topic.name(), kind.name());
        }
    }
}

#[test]
fn the_table_of_types_has_every_type() {
    let mut kinds = EventKind::ALL.map(EventKind::name);
    kinds.sort_unstable();
    assert_eq!(body("Types").into_keys().collect::<Vec<_>>(), kinds);
}

#[test]
fn the_table_of_fields_has_the_fields_of_every_event() {
    let rows = table("docs/events.md", "Fields");
    let mut fields: Vec<_> = rows.iter().skip(2).map(|row| row[0].as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, names(&document("schemas/fields.json")["$defs"]));
    for kind in EventKind::ALL {
        let column = rows[0].iter().position(|title| title.split(", ").any(|name| name == kind.name()));
        let column = column.unwrap_or_else(|| panic!("no column {}", kind.name()));
        let mut described: Vec<_> =
            rows.iter().skip(2).filter(|row| row[column] == "yes").map(|row| row[0].clone()).collect();
        described.sort_unstable();
        assert_eq!(described, properties(kind.name()), "{}", kind.name());
    }
}

#[test]
fn the_tables_of_headers_have_the_headers_of_the_schemas() {
    for (heading, schema) in [
        ("Headers", "cloud_events_headers"),
        ("Records to be mailed again", "mail_retry_headers"),
        ("Dead letters", "dead_letter_headers"),
        ("Resolved dead letters", "dead_letter_resolved_headers"),
    ] {
        assert_eq!(body(heading).into_keys().collect::<Vec<_>>(), properties(schema), "{heading}");
    }
}

#[test]
fn the_reasons_of_dead_letters_are_listed() {
    let schema = document("schemas/dead_letter_headers.json");
    let row = &body("Dead letters")["dead_letter_reason"];
    for reason in texts(&schema["properties"]["dead_letter_reason"]["examples"]) {
        assert!(row[0].split([' ', ',']).any(|word| word == reason), "{reason}");
    }
}

#[test]
fn the_tables_of_configuration_have_the_variables_and_defaults_of_the_example() {
    let example = read(".env.example");
    let mut expected: BTreeMap<_, _> = example
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"')))
        .collect();
    for heading in ["Both services", "User service", "Notification service"] {
        let rows = table("docs/configuration.md", heading);
        for row in rows.iter().skip(2) {
            let names: Vec<_> = row[0].split(", ").collect();
            let defaults: Vec<_> = row[1].split(", ").collect();
            assert!(defaults.len() == names.len() || row[1] == "empty", "{row:?}");
            for (name, default) in names.iter().zip(defaults.iter().cycle()) {
                let value = expected.remove(*name).unwrap_or_else(|| panic!("{name} is not in the example"));
                let is_it = match *default {
                    "empty" => value.is_empty(),
                    "required" => name.ends_with("_SECRET") || name.ends_with("_SECRETS"),
                    default => value == default,
                };
                assert!(is_it, "{name}: {default}, not {value}");
            }
        }
    }
    assert!(expected.is_empty(), "not in docs/configuration.md: {expected:?}");
}

/// The parts of a text between pairs of this mark.
fn between(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.split(mark).skip(1).step_by(2)
}

#[test]
fn every_promise_of_security_names_a_test_that_exists() {
    let text = read("docs/security.md");
    let (promises, _) = text.split_once("\n## What is not promised\n").unwrap();
    let rows: Vec<&str> = promises
        .lines()
        .filter(|line| line.starts_with('|') && !line.ends_with("held by |") && !line.ends_with("---|"))
        .collect();
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let (_, tests) = row.trim_end_matches([' ', '|']).rsplit_once(" | ").unwrap();
        for place in tests.split("; ") {
            let (names, path) = place.rsplit_once(" in `").unwrap_or_else(|| panic!("no test in {row}"));
            let path = path.trim_end_matches('`');
            let file = read(path);
            let functions = between(names, '`').map(|name| (name, is_test(&file, name)));
            let sentences = between(names, '"').map(|sentence| (sentence, file.contains(sentence)));
            let found: Vec<_> = functions.chain(sentences).collect();
            assert!(!found.is_empty(), "no test in {place}");
            for (name, exists) in found {
                assert!(exists, "{name} in {path}");
            }
        }
    }
}

/// Whether the file has this function, directly behind an attribute that makes it a test.
fn is_test(file: &str, name: &str) -> bool {
    file.split_once(&format!("fn {name}("))
        .and_then(|(before, _)| before.rsplit_once("#["))
        .and_then(|(_, attribute)| attribute.split_once(']'))
        .is_some_and(|(attribute, rest)| attribute.contains("test") && ["", "async"].contains(&rest.trim()))
}
