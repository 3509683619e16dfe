//! Records of every version ever written decode, and what is written today is version 1 to the letter.

use crate::golden;
use rdkafka::message::Headers;
use shared::event::{DecodeError, Event, EventKind};

fn decode(kind: EventKind, payload: &[u8]) -> Result<Event, DecodeError> {
    Event::decode(Some(kind.name().as_bytes()), payload)
}

fn changed(kind: EventKind, change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut value = serde_json::from_slice(&golden("v1", kind)).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn every_golden_event_decodes_and_is_written_back_to_the_letter() {
    for kind in EventKind::ALL {
        let text = golden("v1", kind);
        let event = decode(kind, &text).unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
        assert_eq!(event.kind(), kind);
        let encoded = event.encode().unwrap();
        assert_eq!(String::from_utf8(encoded.payload).unwrap(), String::from_utf8(text).unwrap().trim_end());
        assert_eq!(encoded.topic, kind.topic());
        assert_eq!(encoded.key, "11111111-1111-8111-9111-111111111111");
    }
}

#[test]
fn headers_are_cloud_events_in_binary_mode() {
    let event = decode(EventKind::Created, &golden("v1", EventKind::Created)).unwrap();
    let encoded = event.encode().unwrap();
    let headers: Vec<_> = encoded
        .headers
        .iter()
        .map(|header| (header.key, std::str::from_utf8(header.value.unwrap()).unwrap()))
        .collect();
    assert_eq!(
        headers,
        [
            ("ce_specversion", "1.0"),
            ("ce_id", "5f5a43c7-0a52-8f3e-9d7c-2a1b3c4d5e6f"),
            ("ce_source", "/user-service"),
            ("ce_type", "user_account_created"),
            ("ce_time", "2026-11-21T10:00:00.123Z"),
            ("content-type", "application/json"),
        ]
    );
}

#[test]
fn unknown_fields_are_ignored() {
    for kind in EventKind::ALL {
        let payload = changed(kind, |value| value["added_later"] = serde_json::json!({"deep": [1, 2]}));
        assert_eq!(decode(kind, &payload), decode(kind, &golden("v1", kind)));
    }
}

#[test]
fn a_newer_version_is_told_apart_from_a_broken_record() {
    for kind in EventKind::ALL {
        let newer = changed(kind, |value| value["version"] = 2.into());
        assert_eq!(decode(kind, &newer), Err(DecodeError::UnknownVersion(2)));
        let newer_shape = changed(kind, |value| *value = serde_json::json!({"version": 3, "who": "ada"}));
        assert_eq!(decode(kind, &newer_shape), Err(DecodeError::UnknownVersion(3)));
        let incomplete = changed(kind, |value| *value = serde_json::json!({"version": 1}));
        assert!(matches!(decode(kind, &incomplete), Err(DecodeError::Malformed { .. })));
    }
    for payload in [&b""[..], b"null", b"[]", b"\xff\xfe", b"{", br#"{"version":-1}"#] {
        assert!(
            matches!(decode(EventKind::Created, payload), Err(DecodeError::Malformed { .. })),
            "{payload:?}"
        );
    }
}

#[test]
fn an_event_needs_a_known_type() {
    let payload = golden("v1", EventKind::Created);
    for name in [None, Some(&b"somebody_elses"[..]), Some(b"\xff")] {
        assert_eq!(Event::decode(name, &payload), Err(DecodeError::UnknownType));
    }
}

#[test]
fn errors_do_not_repeat_what_the_record_held() {
    let payload = changed(EventKind::Created, |value| value["email"] = "secret person@example.com".into());
    let error = decode(EventKind::Created, &payload).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}
