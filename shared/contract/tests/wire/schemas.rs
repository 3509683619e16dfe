//! The JSON Schemas and the codec agree on every field, and on what they refuse.

use crate::{document, golden, names, schema::problems, texts};
use contract::{
    event::{Event, EventKind, MAX_RESENDS, MAX_SEND},
    trace_context::{MAX_STATE_MEMBERS, MAX_STATE_OCTETS, TRACEPARENT, TRACESTATE, TraceContext},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// The schemas that are not those of an event: what all events share, the headers, and the record without a value.
const OTHERS: [&str; 6] = [
    "cloud_events_headers",
    "dead_letter_headers",
    "dead_letter_resolved_headers",
    "fields",
    "mail_retry_headers",
    "user_account_forgotten",
];

fn schema(name: &str) -> Value {
    document(&format!("schemas/{name}.json"))
}

/// The event as it is written today, as JSON.
fn written(kind: EventKind) -> Value {
    let event = Event::decode(Some(kind.name().as_bytes()), &golden("v2", kind)).unwrap();
    serde_json::from_slice(&event.encode().unwrap().payload).unwrap()
}

fn is_read(kind: EventKind, value: &Value) -> bool {
    Event::decode(Some(kind.name().as_bytes()), value.to_string().as_bytes()).is_ok()
}

/// The names of a schema's properties; all of an event's are required.
fn properties(name: &str) -> Vec<String> {
    names(&schema(name)["properties"]).into_iter().map(str::to_owned).collect()
}

#[test]
fn there_is_one_schema_for_each_event_and_no_other_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut expected: Vec<_> = EventKind::ALL.map(EventKind::name).into_iter().chain(OTHERS).collect();
    expected.sort_unstable();
    assert_eq!(files, expected.iter().map(|name| format!("{name}.json")).collect::<Vec<_>>());
}

#[test]
fn every_schema_is_one_of_json_schema_2020_12() {
    for name in EventKind::ALL.map(EventKind::name).into_iter().chain(OTHERS) {
        let schema = schema(name);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        // The validator knows every keyword, and every reference leads to something.
        problems(&schema, &json!({}));
        let properties = schema["properties"].as_object().into_iter().chain(schema["$defs"].as_object());
        for property in properties.flat_map(|properties| properties.values()) {
            problems(property, &json!("text"));
        }
    }
}

#[test]
fn every_golden_event_is_valid() {
    for kind in EventKind::ALL {
        let value: Value = serde_json::from_slice(&golden("v2", kind)).unwrap();
        assert_eq!(problems(&schema(kind.name()), &value), [""; 0], "{}", kind.name());
    }
}

#[test]
fn a_schema_has_the_fields_that_are_written_and_no_others() {
    for kind in EventKind::ALL {
        let (written, schema) = (written(kind), schema(kind.name()));
        assert_eq!(names(&written), properties(kind.name()), "{}", kind.name());
        assert_eq!(names(&written), texts(&schema["required"]), "{}", kind.name());
        for name in names(&written) {
            let shared = format!("fields.json#/$defs/{name}");
            assert_eq!(schema["properties"][name], json!({ "$ref": shared }), "{}", kind.name());
        }
    }
}

#[test]
fn the_codec_and_the_schema_refuse_the_same() {
    for kind in EventKind::ALL {
        let (written, schema) = (written(kind), schema(kind.name()));
        for name in names(&written) {
            let mut wrong = [json!({}), json!(null), json!(""), json!(-1), json!("x".repeat(300))]
                .map(|value| {
                    let mut changed = written.clone();
                    changed[name] = value;
                    changed
                })
                .to_vec();
            let mut missing = written.clone();
            missing.as_object_mut().unwrap().remove(name);
            wrong.push(missing);
            for value in wrong {
                assert!(!is_read(kind, &value), "{} {name}: {}", kind.name(), value[name]);
                assert!(!problems(&schema, &value).is_empty(), "{} {name}: {}", kind.name(), value[name]);
            }
        }
    }
}

#[test]
fn the_codec_and_the_schema_have_the_same_greatest_numbers() {
    for kind in EventKind::ALL {
        let (written, schema) = (written(kind), schema(kind.name()));
        for (name, greatest) in [("resends", MAX_RESENDS), ("send", MAX_SEND)] {
            if written.get(name).is_none() {
                continue;
            }
            for (number, valid) in [(greatest, true), (greatest + 1, false)] {
                let mut value = written.clone();
                value[name] = number.into();
                assert_eq!(is_read(kind, &value), valid, "{} {name} {number}", kind.name());
                assert_eq!(problems(&schema, &value).is_empty(), valid, "{} {name} {number}", kind.name());
            }
        }
    }
}

#[test]
fn an_attempt_has_one_window_or_two_for_the_schema_too() {
    let (kind, schema) = (EventKind::Attempt, schema("attempt"));
    for (windows, valid) in [
        (json!([7]), true),
        (json!([7, 8]), true),
        (json!([]), false),
        (json!([7, 8, 9]), false),
        (json!(["7"]), false),
        (json!([-1]), false),
        (json!([0.5]), false),
    ] {
        let mut value = written(kind);
        value["windows"] = windows;
        assert_eq!(is_read(kind, &value), valid, "{value}");
        assert_eq!(problems(&schema, &value).is_empty(), valid, "{value}");
    }
}

#[test]
fn the_longest_values_are_valid() {
    let longest = [
        ("first_name", "é".repeat(100)),
        ("email", format!("{}@{}.example", "ü".repeat(32), "a.".repeat(89) + &"b".repeat(2))),
        ("locale", "zh-Hant-TW-x-private".to_owned()),
        ("request_id", "r".repeat(64)),
    ];
    let mut value = written(EventKind::Verified);
    for (name, text) in longest {
        value[name] = text.into();
    }
    assert!(is_read(EventKind::Verified, &value), "{value}");
    assert_eq!(problems(&schema("user_account_verified"), &value), [""; 0]);
}

#[test]
fn schemas_are_open_for_additions() {
    for kind in EventKind::ALL {
        let mut value = written(kind);
        value["added_later"] = json!({"deep": [1, 2]});
        assert_eq!(problems(&schema(kind.name()), &value), [""; 0], "{}", kind.name());
    }
    for name in OTHERS {
        assert_eq!(schema(name).get("additionalProperties"), None, "{name}");
    }
}

#[test]
fn headers_have_a_schema_too() {
    let schema_of_headers = schema("cloud_events_headers");
    for kind in EventKind::ALL {
        let event = Event::decode(Some(kind.name().as_bytes()), &golden("v2", kind)).unwrap();
        let headers: Value = event
            .encode()
            .unwrap()
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        assert_eq!(problems(&schema_of_headers, &headers), [""; 0]);
        assert_eq!(names(&headers), texts(&schema_of_headers["required"]));
        let of_trace = [TRACEPARENT, TRACESTATE];
        let mut all: Vec<_> = names(&headers).into_iter().chain(of_trace).collect();
        all.sort_unstable();
        assert_eq!(all, properties("cloud_events_headers"));
    }
    let mut kinds = EventKind::ALL.map(EventKind::name);
    kinds.sort_unstable();
    assert_eq!(texts(&schema("cloud_events_headers")["properties"]["ce_type"]["enum"]), kinds);
}

#[test]
fn the_headers_of_a_trace_are_as_their_schema_says() {
    let schema = &schema("cloud_events_headers")["properties"];
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let is_read = |parent: &str, state: &str| {
        let read = TraceContext::parse([parent.as_bytes()], [state.as_bytes()]);
        read.map(|trace| trace.headers().any(|(name, value)| name == TRACESTATE && value == state))
    };
    for (value, valid) in [
        (parent, true),
        (&parent.replace('a', "A"), false),
        (&parent.replace("00-", "ff-"), false),
        (&format!("{parent}-"), false),
        ("", false),
    ] {
        assert_eq!(is_read(value, "a=1").is_some(), valid, "{value}");
        assert_eq!(problems(&schema[TRACEPARENT], &json!(value)).is_empty(), valid, "{value}");
    }
    assert_eq!(problems(&schema[TRACEPARENT], &json!(TraceContext::random().traceparent())), [""; 0]);
    let many =
        |members: usize| (0..members).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
    let long = |octets: usize| format!("{},z={}", many(32 - 1), "x".repeat(octets - many(31).len() - 3));
    for (value, valid) in [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true),
        ("0t@s/*_-=!+-<>~ x:;", true),
        (&many(MAX_STATE_MEMBERS), true),
        (&many(MAX_STATE_MEMBERS + 1), false),
        (&long(MAX_STATE_OCTETS - 200), true),
        (&long(MAX_STATE_OCTETS + 1), false),
        ("A=1", false),
        ("a=1,", false),
        ("a", false),
        ("a=\u{e9}", false),
        ("", false),
    ] {
        assert_eq!(is_read(parent, value), Some(valid), "{value}");
        assert_eq!(problems(&schema[TRACESTATE], &json!(value)).is_empty(), valid, "{value}");
    }
}
