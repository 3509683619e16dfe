//! Records of every version ever written decode, and what is written today is version 1 to the letter.

use crate::golden;
use jiff::{SignedDuration, Timestamp};
use rdkafka::message::Headers;
use shared::{
    event::{DecodeError, Event, EventKind, MAX_GENERATION, MAX_SEND, MAX_VALUE_OCTETS, Origin},
    topic::Topic,
};

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

/// The golden event as it is read from a topic, with this many hours between it and its record.
fn read(kind: EventKind, topic: Topic, hours: i64) -> Result<Event, DecodeError> {
    let payload = golden("v1", kind);
    let occurred_at = decode(kind, &payload).unwrap().occurred_at();
    let written_at = occurred_at + SignedDuration::from_hours(hours);
    let origin = Origin::new(topic, Some(written_at.as_millisecond()), Timestamp::MAX);
    Event::read(origin, Some(kind.name().as_bytes()), &payload)
}

#[test]
fn a_type_belongs_to_its_topic_and_what_is_mailed_to_the_retry_topic_too() {
    for kind in EventKind::ALL {
        let mailed = !matches!(kind, EventKind::RegistrationRepeated | EventKind::Attempt);
        for topic in Topic::ALL {
            let event = read(kind, topic, 0);
            let belongs = topic == kind.topic() || (mailed && topic == Topic::MailRetry);
            assert_eq!(event.is_ok(), belongs, "{} in {}: {event:?}", kind.name(), topic.name());
            assert!(belongs || event == Err(DecodeError::WrongTopic));
        }
    }
}

#[test]
fn an_event_and_its_record_are_a_day_apart_at_most() {
    for kind in EventKind::ALL {
        let taken = |topic, hours| read(kind, topic, hours).is_ok();
        assert!(taken(kind.topic(), 23) && taken(kind.topic(), -23), "{}", kind.name());
        assert_eq!(read(kind, kind.topic(), -25), Err(DecodeError::OutOfRange), "{}", kind.name());
        // A backup of verified accounts is restored whenever it is needed.
        assert_eq!(taken(kind.topic(), 25), kind == EventKind::Verified, "{}", kind.name());
        if Topic::MailRetry.takes(kind) {
            assert!(taken(Topic::MailRetry, 1_000) && !taken(Topic::MailRetry, -25), "{}", kind.name());
        }
    }
}

#[test]
fn the_times_of_an_event_are_a_day_apart_at_most() {
    for kind in [EventKind::Created, EventKind::RegistrationRepeated, EventKind::AccountExists] {
        for name in ["window_started_at", "expires_at"] {
            for time in ["9999-12-30T22:00:00.000Z", "0000-01-01T00:00:00.000Z"] {
                let written_at = decode(kind, &golden("v1", kind)).unwrap().occurred_at();
                let payload = changed(kind, |value| value[name] = time.into());
                let origin = Origin::new(kind.topic(), Some(written_at.as_millisecond()), Timestamp::MAX);
                let event = Event::read(origin, Some(kind.name().as_bytes()), &payload);
                let ignored = kind == EventKind::AccountExists && name == "expires_at";
                assert!(ignored || event == Err(DecodeError::OutOfRange), "{} {name} {time}", kind.name());
            }
        }
    }
}

#[test]
fn a_record_that_says_to_be_of_tomorrow_was_written_now() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    for (timestamp, written_at) in [
        (Some(1_799_999_999_000), Timestamp::from_second(1_799_999_999).unwrap()),
        (Some(1_800_000_001_000), now),
        (Some(i64::MAX), now),
        (None, now),
    ] {
        assert_eq!(Origin::new(Topic::Created, timestamp, now).written_at, written_at);
    }
}

#[test]
fn numbers_that_no_user_service_writes_are_refused() {
    let is_read = |name: &str, number: u32| {
        let kind = EventKind::Created;
        let event = decode(kind, &changed(kind, |value| value[name] = number.into()));
        assert!(event.is_ok() || event == Err(DecodeError::OutOfRange));
        event.is_ok()
    };
    assert!(is_read("send", MAX_SEND) && !is_read("send", MAX_SEND + 1) && !is_read("send", 0));
    assert!(is_read("generation", MAX_GENERATION) && !is_read("generation", MAX_GENERATION + 1));
    assert!(!is_read("send", u32::MAX) && !is_read("generation", u32::MAX));
}

#[test]
fn a_value_has_64_kib_at_most() {
    let kind = EventKind::Created;
    let sized = |octets: usize| {
        let mut payload = golden("v1", kind);
        payload.resize(octets, b' ');
        let written_at = decode(kind, &payload).unwrap().occurred_at();
        let origin = Origin::new(kind.topic(), Some(written_at.as_millisecond()), Timestamp::MAX);
        Event::read(origin, Some(kind.name().as_bytes()), &payload).map(|_| ())
    };
    assert_eq!(sized(MAX_VALUE_OCTETS), Ok(()));
    assert_eq!(sized(MAX_VALUE_OCTETS + 1), Err(DecodeError::TooLarge));
}
