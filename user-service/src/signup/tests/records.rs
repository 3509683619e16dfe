//! Records with any content, followed from their bytes through the view to the answers. Whatever
//! times and numbers they have, nothing panics, and what the view takes in lies within its bounds.

use super::model::{Side, person};
use crate::{
    identity::IdSecret,
    replica::{Acceptance, Accepted, Record, Registration},
    rules::tests::RULES,
};
use contract::{
    account_id::AccountId,
    event::{
        DecodeError, Event, EventKind, MAX_RESENDS, MAX_SEND, MAX_VALUE_OCTETS, Mailing, Origin, Verified,
    },
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const SECRET: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
/// Within the window 500,000.
const NOW: i64 = 1_800_000_600_000;
const REGISTRATION: &str = "11111111-1111-4111-9111-111111111111";

fn acceptance() -> Acceptance {
    Acceptance { rules: RULES, id_secret: IdSecret::parse(SECRET).unwrap() }
}

fn account() -> AccountId {
    acceptance().id_secret.account_id(&person("Ada", "ada@example.com").email)
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

fn origin(topic: Topic, timestamp: Option<i64>) -> Origin {
    acceptance().origin(topic, timestamp, at(NOW))
}

fn read(origin: Origin, name: Option<&[u8]>, payload: &[u8]) -> Result<Accepted, DecodeError> {
    let key = account().to_string();
    acceptance().read(origin, name, Some(key.as_bytes()), payload, at(NOW))
}

/// Any moment, often one near now or near either end of time.
fn moment() -> impl Strategy<Value = Timestamp> {
    // In whole milliseconds.
    let (first, last) = (Timestamp::MIN.as_second() * 1_000, Timestamp::MAX.as_second() * 1_000);
    prop_oneof![
        first..=last,
        (0..10_000_i64).prop_map(move |before| last - before),
        (0..10_000_i64).prop_map(move |after| first + after),
        (-90_000_000..90_000_000_i64).prop_map(|away| NOW + away),
        (-130_000..130_000_i64).prop_map(|away| NOW + away),
    ]
    .prop_map(at)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), Just(u64::MAX), Just(u64::from(u32::MAX)), 0..6_u64, 499_998..500_004_u64]
}

/// The value of an event of any kind: the fields of all kinds, with any times and numbers.
fn value() -> impl Strategy<Value = Value> {
    let numbers = [number().boxed(), number().boxed(), number().boxed()];
    ([moment().boxed(), moment().boxed()], numbers, prop::collection::vec(number(), 0..3), any::<bool>()).prop_map(
        |([occurred_at, expires_at], [window, send, resends], windows, thief)| {
            let email = if thief { "thief@example.org" } else { "ada@example.com" };
            json!({
                "event_id": REGISTRATION, "occurred_at": format!("{occurred_at:.3}"), "version": 2, "id": account(),
                "registration": REGISTRATION, "resends": resends.min(u32::MAX.into()), "first_name": "Ada",
                "last_name": "Lovelace", "email": email, "locale": "en", "window": window, "windows": windows,
                "send": send.min(u32::MAX.into()), "expires_at": format!("{expires_at:.3}"), "key": "k1", "request_id": "r",
            })
        },
    )
}

fn kind() -> impl Strategy<Value = EventKind> {
    prop::sample::select(&EventKind::ALL[..])
}

/// The event, without a check of its times and numbers.
fn unchecked(kind: EventKind, value: Value) -> Event {
    match kind {
        EventKind::Attempt => Event::Attempt(serde_json::from_value(value).unwrap()),
        EventKind::Verified => Event::Verified(serde_json::from_value(value).unwrap()),
        _ => {
            let mailings = [Mailing::FirstCode, Mailing::FurtherCode, Mailing::Nothing, Mailing::Notice];
            let mailing = mailings.into_iter().find(|mailing| mailing.kind() == kind).unwrap();
            Event::Registered(mailing, serde_json::from_value(value).unwrap())
        }
    }
}

proptest! {
    #[test]
    fn whatever_events_say_people_are_answered(
        events in prop::collection::vec((kind(), value()), 1..6),
        forgotten_at in prop::option::of(moment()),
        now in moment(),
    ) {
        let side = Side::new();
        let desk = side.desk();
        for (kind, value) in events {
            desk.view.apply(&unchecked(kind, value), now);
        }
        if let Some(at) = forgotten_at {
            desk.view.forget(account(), at, now);
        }
        let (id, ada): (RegistrationId, _) = (REGISTRATION.parse().unwrap(), person("Ada", "ada@example.com"));
        let request = || RequestId::parse("r").unwrap();
        desk.register(RegistrationId::random(), ada.clone(), MAX_RESENDS, request(), now).event.encode().unwrap();
        let made = Registration { made_at: now, account: account(), resends: u32::MAX, person: ada };
        for registration in desk.view.registration(id, now).into_iter().chain([made]) {
            desk.wait_for_resend(&registration, now);
            let code = VerificationCode::parse("123456").unwrap();
            if let Some(attempt) = desk.guess(id, &registration, &code, request(), now) {
                // At the ends of time there may be more.
                prop_assert!(attempt.windows.len() <= 2 || !(at(NOW / 2)..at(NOW * 4)).contains(&now));
                Event::Attempt(attempt.clone()).encode().unwrap();
                desk.view.apply(&Event::Attempt(attempt.clone()), now);
                if let Some(guessed) = desk.guessed(&attempt) {
                    desk.is_code_right(&registration, &code, &guessed, now);
                }
            }
            let token = LinkToken::parse("AAAAAAAAAAAAAAAAAAAAAA").unwrap();
            prop_assert_eq!(desk.is_token_right(&registration, &token, now), None);
            desk.verification(id, registration, request(), now).0.encode().unwrap();
        }
        desk.view.tidy(now, true);
    }

    #[test]
    fn what_is_taken_in_lies_near_its_record_and_is_about_its_own_address(
        kind in kind(),
        topic in prop::sample::select(&Topic::ALL[..]),
        value in value(),
        timestamp in prop::option::of(prop_oneof![any::<i64>(), -90_000_000..90_000_000_i64, -130_000..130_000_i64]),
    ) {
        let timestamp = timestamp.map(|time| time.saturating_add(NOW));
        let read = read(origin(topic, timestamp), Some(kind.name().as_bytes()), value.to_string().as_bytes());
        if let Ok(Accepted::Event(event)) = read {
            prop_assert!(topic.takes(event.kind()));
            prop_assert_eq!(event.email().is_none_or(|email| email.as_str() == "ada@example.com"), true);
            let (occurred_at, tolerance) = (event.occurred_at(), RULES.clock_tolerance());
            let stamped_at = timestamp.and_then(|time| Timestamp::from_millisecond(time).ok()).unwrap_or(at(NOW));
            let ahead = occurred_at.duration_since(stamped_at);
            if topic != Topic::MailRetry {
                prop_assert!(ahead <= SignedDuration::try_from(tolerance).unwrap());
            }
            if [Topic::Created, Topic::Activity].contains(&topic) {
                prop_assert!(ahead.unsigned_abs() <= tolerance);
            }
            let hour = || u64::try_from(occurred_at.as_second()).unwrap() / 3_600;
            match event {
                Event::Registered(_, event) => {
                    prop_assert!(event.send <= MAX_SEND && event.resends <= MAX_RESENDS);
                    prop_assert!(event.expires_at.duration_since(occurred_at) <= SignedDuration::from_hours(24));
                    prop_assert!((hour() - 1..=hour() + 2).contains(&event.window));
                }
                Event::Attempt(event) => {
                    prop_assert!((1..=2).contains(&event.windows.len()));
                    prop_assert!(event.windows.iter().all(|window| (hour() - 1..=hour() + 2).contains(window)));
                }
                Event::Verified(_) => {}
            }
        }
    }

    #[test]
    fn any_octets_are_an_event_or_an_error(
        name in prop::option::of(prop_oneof![kind().prop_map(|kind| kind.name().as_bytes().to_vec()), any::<Vec<u8>>()]),
        payload in any::<Vec<u8>>(),
        topic in prop::sample::select(&Topic::ALL[..]),
        timestamp in any::<i64>(),
    ) {
        prop_assert!(read(origin(topic, Some(timestamp)), name.as_deref(), &payload).is_err());
    }
}

#[test]
fn a_record_whose_headers_cannot_be_read_is_passed_over() {
    let (side, key) = (Side::new(), account().to_string());
    for (read, topic) in [Topic::Created, Topic::Activity, Topic::Verified].into_iter().enumerate() {
        side.reading().take(&Record {
            topic,
            partition: 0,
            offset: 0,
            timestamp: Some(NOW),
            key: Some(key.as_bytes()),
            payload: Some(b"{}"),
            header: &|_| panic!("a name that is not UTF-8"),
        });
        assert_eq!(side.passed_over(), read as u64 + 1, "{topic:?}");
    }
}

#[test]
fn a_value_that_is_too_large_is_not_looked_at() {
    let payload = vec![b' '; MAX_VALUE_OCTETS + 1];
    let event = read(origin(Topic::Created, Some(NOW)), Some(b"user_account_created"), &payload);
    assert_eq!(event.err(), Some(DecodeError::TooLarge));
}

#[test]
fn windows_of_the_time_are_taken_in_and_no_others() {
    let error = |windows: &[u64]| {
        let value = json!({
            "event_id": REGISTRATION, "occurred_at": format!("{:.3}", at(NOW)), "version": 2, "id": account(),
            "registration": REGISTRATION, "windows": windows, "request_id": "r",
        });
        read(origin(Topic::Activity, Some(NOW)), Some(b"attempt"), value.to_string().as_bytes()).err()
    };
    let taken: Vec<_> = (499_990..500_010).filter(|window| error(&[*window]).is_none()).collect();
    assert_eq!(taken, [499_999, 500_000, 500_001, 500_002]);
    assert_eq!(error(&[500_000, 500_001]), None);
    for windows in [&[500_002, 500_003][..], &[500_000, 500_002], &[500_000, 500_000], &[], &[u64::MAX]] {
        assert_eq!(error(windows), Some(DecodeError::OutOfRange), "{windows:?}");
    }
}

#[test]
fn what_decides_whether_a_verification_is_taken_in_decides_it_also_long_after() {
    let long_ago = NOW - 1_000 * i64::try_from(RULES.milestone_life().as_secs()).unwrap();
    let read = |stamp: i64, value: Value| {
        read(
            origin(Topic::Verified, Some(stamp)),
            Some(b"user_account_verified"),
            value.to_string().as_bytes(),
        )
    };
    let value = |id: AccountId, ahead: i64| json!({"version": 2, "id": id, "occurred_at": format!("{:.3}", at(long_ago + ahead))});
    let taken_in = read(long_ago, value(account(), 125_000));
    assert!(matches!(taken_in, Ok(Accepted::VerifiedLongAgo(id)) if id == account()));
    let from_a_backup = read(long_ago, value(account(), -9_000_000));
    assert!(matches!(from_a_backup, Ok(Accepted::VerifiedLongAgo(_))));
    assert_eq!(read(long_ago, value(account(), 125_001)).err(), Some(DecodeError::WrongClock));
    let other = AccountId::from_derived([9; 16]);
    assert_eq!(read(long_ago, value(other, 0)).err(), Some(DecodeError::WrongAccount));
    assert!(matches!(read(long_ago, json!({"version": 2})), Err(DecodeError::Malformed { .. })));
    assert_eq!(read(long_ago, json!({"version": 1})).err(), Some(DecodeError::UnknownVersion(1)));
    assert!(matches!(read(long_ago + 1, json!({"version": 2})), Err(DecodeError::Malformed { .. })));
}

#[test]
fn a_verification_that_was_written_late_has_one_time_whatever_the_clock_of_its_reader_shows() {
    let registration: RegistrationId = REGISTRATION.parse().unwrap();
    let request = RequestId::parse("r").unwrap();
    let person = person("Ada", "ada@example.com");
    let verified = Verified::new(account(), registration, person, request, at(NOW - 200_000));
    let encoded = Event::Verified(verified).encode().unwrap();
    let key = account().to_string();
    for reader in [-120_000, -60_000, -1, 0, 60_000] {
        let (acceptance, now) = (acceptance(), at(NOW + reader));
        let origin = acceptance.origin(Topic::Verified, Some(NOW), now);
        let name = Some(&b"user_account_verified"[..]);
        match acceptance.read(origin, name, Some(key.as_bytes()), &encoded.payload, now) {
            Ok(Accepted::Event(event)) => assert_eq!(event.occurred_at(), at(NOW - 125_000), "{reader}"),
            other => panic!("{other:?}"),
        }
    }
}
