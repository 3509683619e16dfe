//! Today's events are exactly those of version 2. Records of version 1 are recognised and never half-understood.

use crate::golden;
use contract::{
    event::{
        Attempt, DecodeError, Event, EventKind, MAX_RESENDS, MAX_SEND, MAX_VALUE_OCTETS, Origin, Place,
        Registered, Verified,
    },
    person::Person,
    topic::Topic,
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The default `MAX_CLOCK_SKEW` + `PUBLISH_TIMEOUT`.
const TOLERANCE: Duration = Duration::from_secs(125);
/// The tolerance of a reader that does not check clocks.
const ANY: Duration = Duration::MAX;
const MAILED: [EventKind; 3] = [EventKind::Created, EventKind::CodeResent, EventKind::AccountExists];
const REGISTERED: [EventKind; 4] =
    [EventKind::Created, EventKind::CodeResent, EventKind::RegistrationRepeated, EventKind::AccountExists];

fn decode(kind: EventKind, payload: &[u8]) -> Result<Event, DecodeError> {
    Event::decode(Some(kind.name().as_bytes()), payload)
}

fn changed(kind: EventKind, change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut value = serde_json::from_slice(&golden("v2", kind)).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

/// The golden event as read from a topic, with this time between the event and its record.
fn read(
    kind: EventKind,
    topic: Topic,
    later: SignedDuration,
    tolerance: Duration,
) -> Result<Event, DecodeError> {
    let payload = golden("v2", kind);
    let written_at = decode(kind, &payload).unwrap().occurred_at() + later;
    let origin = Origin::new(topic, Some(written_at.as_millisecond()), Timestamp::MAX, tolerance);
    Event::read(origin, Some(kind.name().as_bytes()), &payload)
}

#[test]
fn every_golden_event_decodes_and_is_written_back_to_the_letter() {
    for kind in EventKind::ALL {
        let text = golden("v2", kind);
        let event = decode(kind, &text).unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
        assert_eq!(event.kind(), kind);
        let encoded = event.encode().unwrap();
        assert_eq!(String::from_utf8(encoded.payload).unwrap(), String::from_utf8(text).unwrap().trim_end());
        assert_eq!(encoded.topic, kind.topic());
        assert_eq!(encoded.key, "11111111-1111-8111-9111-111111111111");
    }
}

#[test]
fn each_golden_event_is_what_its_constructor_makes() {
    for kind in EventKind::ALL {
        let event = decode(kind, &golden("v2", kind)).unwrap();
        let (id, request_id, at) = (event.account_id(), event.request_id().clone(), event.occurred_at());
        let made = match &event {
            Event::Registered(mailing, it) => {
                let (window, send, expires_at) = (it.window, it.send, it.expires_at);
                let place = Place { window, send, expires_at, key: it.key.clone() };
                let new = Registered::new(*mailing, id, it.registration, it.person(), place, request_id, at);
                Event::Registered(*mailing, Registered { resends: it.resends, ..new })
            }
            Event::Attempt(it) => {
                let windows = it.windows.clone();
                Event::Attempt(Attempt::new(it.event_id, id, it.registration, windows, request_id, at))
            }
            Event::Verified(it) => {
                let (first_name, last_name) = (it.first_name.clone(), it.last_name.clone());
                let person =
                    Person { first_name, last_name, email: it.email.clone(), locale: it.locale.clone() };
                Event::Verified(Verified::new(id, it.registration, person, request_id, at))
            }
        };
        assert_eq!(made, event);
    }
}

#[test]
fn records_of_version_1_are_recognised_and_never_half_understood() {
    for kind in EventKind::ALL {
        let text = golden("v1", kind);
        assert_eq!(decode(kind, &text), Err(DecodeError::UnknownVersion(1)), "{}", kind.name());
        // Even a record that says 1 and has all fields of version 2.
        let mixed = changed(kind, |value| value["version"] = 1.into());
        assert_eq!(decode(kind, &mixed), Err(DecodeError::UnknownVersion(1)), "{}", kind.name());
    }
}

#[test]
fn headers_are_cloud_events_in_binary_mode() {
    let event = decode(EventKind::Created, &golden("v2", EventKind::Created)).unwrap();
    let encoded = event.encode().unwrap();
    assert_eq!(
        encoded.headers.each_ref().map(|(name, value)| (*name, value.as_str())),
        [
            ("ce_specversion", "1.0"),
            ("ce_id", "dc2d504d-8145-8b0e-9286-4533bf2ddb3c"),
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
        assert_eq!(decode(kind, &payload), decode(kind, &golden("v2", kind)));
    }
}

#[test]
fn a_newer_version_and_a_broken_record_are_different_errors() {
    for kind in EventKind::ALL {
        let newer = changed(kind, |value| value["version"] = 3.into());
        assert_eq!(decode(kind, &newer), Err(DecodeError::UnknownVersion(3)));
        let newer_shape = changed(kind, |value| *value = serde_json::json!({"version": 4, "who": "ada"}));
        assert_eq!(decode(kind, &newer_shape), Err(DecodeError::UnknownVersion(4)));
        let incomplete = changed(kind, |value| *value = serde_json::json!({"version": 2}));
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
    let payload = golden("v2", EventKind::Created);
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

#[test]
fn all_that_register_and_resend_write_goes_to_one_topic() {
    assert_eq!(REGISTERED.map(EventKind::topic), [Topic::Created; 4]);
}

#[test]
fn a_type_belongs_to_its_topic_and_what_is_mailed_to_the_retry_topic_too() {
    for kind in EventKind::ALL {
        let mailed = MAILED.contains(&kind) || kind == EventKind::Verified;
        for topic in Topic::ALL {
            let event = read(kind, topic, SignedDuration::ZERO, TOLERANCE);
            let belongs = topic == kind.topic() || (mailed && topic == Topic::MailRetry);
            assert_eq!(event.is_ok(), belongs, "{} in {}: {event:?}", kind.name(), topic.name());
            assert!(belongs || event == Err(DecodeError::WrongTopic));
        }
    }
}

#[test]
fn an_event_and_its_record_are_a_day_apart_at_most() {
    for kind in EventKind::ALL {
        let taken = |topic, hours| read(kind, topic, SignedDuration::from_hours(hours), ANY);
        assert!(taken(kind.topic(), 23).is_ok() && taken(kind.topic(), -23).is_ok(), "{}", kind.name());
        assert_eq!(taken(kind.topic(), -25), Err(DecodeError::OutOfRange), "{}", kind.name());
        // A backup of verified accounts may be restored at any time.
        assert_eq!(taken(kind.topic(), 25).is_ok(), kind == EventKind::Verified, "{}", kind.name());
        if Topic::MailRetry.takes(kind) {
            assert!(taken(Topic::MailRetry, 1_000).is_ok(), "{}", kind.name());
            assert!(taken(Topic::MailRetry, -25).is_err(), "{}", kind.name());
        }
    }
}

#[test]
fn the_clock_of_a_writer_is_near_the_brokers() {
    let tolerance = SignedDuration::try_from(TOLERANCE).unwrap();
    let beyond = tolerance + SignedDuration::from_millis(1);
    for kind in EventKind::ALL {
        let taken = |later| read(kind, kind.topic(), later, TOLERANCE);
        assert!(taken(tolerance).is_ok() && taken(-tolerance).is_ok(), "{}", kind.name());
        assert_eq!(taken(-beyond), Err(DecodeError::WrongClock), "{}", kind.name());
        // A verification may be written long after it happened, but not before.
        let late = (kind != EventKind::Verified).then_some(DecodeError::WrongClock);
        assert_eq!(taken(beyond).err(), late, "{}", kind.name());
        // The time stamp of a retry is its writer's, and may be a time that is still to come.
        if Topic::MailRetry.takes(kind) {
            for later in [beyond, -beyond] {
                assert!(read(kind, Topic::MailRetry, later, TOLERANCE).is_ok(), "{}", kind.name());
            }
        }
    }
}

#[test]
fn a_readers_own_clock_does_not_hide_a_writers_wrong_one() {
    let (kind, payload) = (EventKind::Created, golden("v2", EventKind::Created));
    let occurred_at = decode(kind, &payload).unwrap().occurred_at();
    let origin = |stamped_at: Timestamp, now| {
        Origin::new(Topic::Created, Some(stamped_at.as_millisecond()), now, TOLERANCE)
    };
    let hour = SignedDuration::from_hours(1);
    let read = |origin| Event::read(origin, Some(kind.name().as_bytes()), &payload).map(|_| ());
    assert_eq!(read(origin(occurred_at + hour, occurred_at)), Err(DecodeError::WrongClock));
    assert_eq!(read(origin(occurred_at, occurred_at - hour)), Ok(()));
}

#[test]
fn the_times_of_an_event_are_a_day_apart_at_most() {
    for kind in REGISTERED {
        let occurred_at = decode(kind, &golden("v2", kind)).unwrap().occurred_at();
        let day = SignedDuration::from_hours(24);
        let millisecond = SignedDuration::from_millis(1);
        let read = |expires_at: Timestamp| {
            let payload = changed(kind, |value| value["expires_at"] = expires_at.to_string().into());
            let origin =
                Origin::new(kind.topic(), Some(occurred_at.as_millisecond()), Timestamp::MAX, TOLERANCE);
            Event::read(origin, Some(kind.name().as_bytes()), &payload).map(|_| ())
        };
        for expires_at in [occurred_at + day, occurred_at - day] {
            assert_eq!(read(expires_at), Ok(()), "{} {expires_at}", kind.name());
        }
        for expires_at in
            [occurred_at + day + millisecond, occurred_at - day - millisecond, Timestamp::MAX, Timestamp::MIN]
        {
            assert_eq!(read(expires_at), Err(DecodeError::OutOfRange), "{} {expires_at}", kind.name());
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
        assert_eq!(Origin::new(Topic::Created, timestamp, now, TOLERANCE).written_at, written_at);
    }
}

#[test]
fn times_at_either_end_of_what_can_be_written_stop_no_reader() {
    for kind in EventKind::ALL {
        for time in [Timestamp::MIN, Timestamp::MAX] {
            let payload = changed(kind, |value| {
                value["occurred_at"] = time.to_string().into();
                if REGISTERED.contains(&kind) {
                    value["expires_at"] = time.to_string().into();
                }
            });
            for (stamped, now) in
                [(Timestamp::MIN, Timestamp::MAX), (Timestamp::MAX, Timestamp::MIN), (time, time)]
            {
                for tolerance in [Duration::ZERO, TOLERANCE, ANY] {
                    let origin = Origin::new(kind.topic(), Some(stamped.as_millisecond()), now, tolerance);
                    // An event or an error, and no panic.
                    let _ = Event::read(origin, Some(kind.name().as_bytes()), &payload);
                }
            }
        }
    }
}

#[test]
fn numbers_that_no_user_service_writes_are_refused() {
    for kind in REGISTERED {
        let is_read = |name: &str, number: u64| {
            let event = decode(kind, &changed(kind, |value| value[name] = number.into()));
            event.is_ok()
        };
        for (name, greatest) in [("send", MAX_SEND), ("resends", MAX_RESENDS)] {
            assert!(is_read(name, 0) && is_read(name, greatest.into()), "{name}");
            assert!(!is_read(name, u64::from(greatest) + 1) && !is_read(name, u32::MAX.into()), "{name}");
        }
        assert!(is_read("window", 0) && is_read("window", u64::MAX));
    }
    assert_eq!((MAX_SEND, MAX_RESENDS), (100, 32));
}

#[test]
fn an_attempt_names_one_window_or_two_in_a_row() {
    let kind = EventKind::Attempt;
    let read = |windows: &[u64]| decode(kind, &changed(kind, |value| value["windows"] = windows.into()));
    for windows in [&[0][..], &[7], &[u64::MAX], &[7, 8], &[u64::MAX - 1, u64::MAX]] {
        assert!(read(windows).is_ok(), "{windows:?}");
    }
    for windows in [&[][..], &[7, 7], &[8, 7], &[7, 9], &[u64::MAX, 0], &[u64::MAX, u64::MAX], &[7, 8, 9]] {
        assert_eq!(read(windows), Err(DecodeError::OutOfRange), "{windows:?}");
    }
}

#[test]
fn a_value_has_64_kib_at_most() {
    let kind = EventKind::Created;
    let sized = |octets: usize| {
        let mut payload = golden("v2", kind);
        payload.resize(octets, b' ');
        let written_at = decode(kind, &payload).unwrap().occurred_at();
        let origin = Origin::new(kind.topic(), Some(written_at.as_millisecond()), Timestamp::MAX, TOLERANCE);
        Event::read(origin, Some(kind.name().as_bytes()), &payload).map(|_| ())
    };
    assert_eq!(sized(MAX_VALUE_OCTETS), Ok(()));
    assert_eq!(sized(MAX_VALUE_OCTETS + 1), Err(DecodeError::TooLarge));
}

#[test]
fn one_place_of_a_window_is_one_mail_whoever_took_it() {
    let mail_of = |kind, change: &dyn Fn(&mut serde_json::Value)| {
        decode(kind, &changed(kind, |value| change(value))).unwrap().mail_id()
    };
    for kind in REGISTERED {
        let mail = mail_of(kind, &|_| ());
        let other_request = mail_of(kind, &|value| {
            value["event_id"] = "51111111-1111-8111-9111-111111111111".into();
            value["registration"] = "51111111-1111-4111-9111-111111111111".into();
            value["first_name"] = "Eve".into();
        });
        assert_eq!(mail, other_request, "{}", kind.name());
        assert_ne!(mail, mail_of(kind, &|value| value["send"] = 3.into()), "{}", kind.name());
        assert_ne!(mail, mail_of(kind, &|value| value["window"] = 7.into()), "{}", kind.name());
    }
    let verified = decode(EventKind::Verified, &golden("v2", EventKind::Verified)).unwrap();
    assert_eq!(verified.mail_id(), verified.event_id());
}
