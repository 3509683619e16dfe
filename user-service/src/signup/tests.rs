//! The whole way of records that anybody may have written: from bytes over the view to what people are answered. Whatever
//! times and numbers they hold, nothing panics, and what is taken in lies within its bounds.

use super::{
    IdSecret,
    accept::Acceptance,
    pending::{Person, Rules},
    registration::{Challenge, Resend},
    view::View,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::{
    code_secrets::{CodeSecrets, KeyId},
    email_address::EmailAddress,
    event::{DecodeError, Event, EventKind, MAX_VALUE_OCTETS, Origin},
    locale::Locale,
    person_name::PersonName,
    request_id::RequestId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use std::time::Duration;

const RULES: Rules = Rules {
    code_ttl: Duration::from_secs(900),
    code_attempts: 5,
    resend_cooldown: Duration::from_secs(60),
    max_sends: 5,
    window: Duration::from_secs(3600),
};
const SECRET: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
const NOW: i64 = 1_800_000_600_000;

fn ada() -> Person {
    Person {
        first_name: PersonName::parse("Ada").unwrap(),
        last_name: PersonName::parse("Lovelace").unwrap(),
        email: EmailAddress::parse("ada@example.com").unwrap(),
        locale: Locale::default(),
    }
}

fn acceptance() -> Acceptance {
    Acceptance { window: RULES.window, id_secret: IdSecret::parse(SECRET).unwrap() }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

/// Any moment there is, and often one near now or near an end of time.
fn moment() -> impl Strategy<Value = Timestamp> {
    // In whole milliseconds.
    let (first, last) = (Timestamp::MIN.as_second() * 1_000, Timestamp::MAX.as_second() * 1_000);
    prop_oneof![
        first..=last,
        (0..10_000_i64).prop_map(move |before| last - before),
        (0..10_000_i64).prop_map(move |after| first + after),
        (-90_000_000..90_000_000_i64).prop_map(|away| NOW + away),
        (-4_000..4_000_i64).prop_map(|away| NOW + away * 1_000),
    ]
    .prop_map(at)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), Just(u64::MAX), Just(u64::from(u32::MAX)), 0..6_u64, 499_998..500_003_u64]
}

/// The value of an event of any kind: the fields of all of them, with anything as times and numbers.
fn value() -> impl Strategy<Value = Value> {
    let times = [moment().boxed(), moment().boxed(), moment().boxed()];
    (times, [number().boxed(), number().boxed(), number().boxed()], any::<[u8; 16]>(), any::<bool>()).prop_map(
        |([occurred_at, window_started_at, expires_at], [window, generation, send], event_id, thief)| {
            let ada = ada();
            let email = if thief { "thief@example.org" } else { "ada@example.com" };
            json!({
                "event_id": uuid_of(event_id), "occurred_at": format!("{occurred_at:.3}"), "version": 1,
                "id": acceptance().id_secret.account_id(&ada.email), "first_name": "Ada", "last_name": "Lovelace",
                "email": email, "locale": "en", "window": window, "window_started_at": format!("{window_started_at:.3}"),
                "generation": generation.min(u64::from(u32::MAX)), "send": send.min(u64::from(u32::MAX)),
                "expires_at": format!("{expires_at:.3}"), "key": "k1", "request_id": "r",
            })
        },
    )
}

fn uuid_of(octets: [u8; 16]) -> String {
    shared::account_id::AccountId::from_derived(octets).to_string()
}

fn kind() -> impl Strategy<Value = EventKind> {
    prop::sample::select(&EventKind::ALL[..])
}

/// The event without any look at its times and numbers.
fn unchecked(kind: EventKind, value: Value) -> Event {
    match kind {
        EventKind::Created => Event::Created(serde_json::from_value(value).unwrap()),
        EventKind::CodeResent => Event::CodeResent(serde_json::from_value(value).unwrap()),
        EventKind::RegistrationRepeated => {
            Event::RegistrationRepeated(serde_json::from_value(value).unwrap())
        }
        EventKind::AccountExists => Event::AccountExists(serde_json::from_value(value).unwrap()),
        EventKind::Attempt => Event::Attempt(serde_json::from_value(value).unwrap()),
        EventKind::Verified => Event::Verified(serde_json::from_value(value).unwrap()),
    }
}

proptest! {
    #[test]
    fn whatever_events_say_people_are_answered(
        events in prop::collection::vec((kind(), value()), 1..6),
        forgotten_at in prop::option::of(moment()),
        now in moment(),
    ) {
        let view = View::new(RULES);
        let id = acceptance().id_secret.account_id(&ada().email);
        for (kind, value) in events {
            view.apply(unchecked(kind, value));
        }
        if let Some(at) = forgotten_at {
            view.forget(id, at);
        }
        let (known, key) = (view.standing(id), KeyId::parse("k1").unwrap());
        let registration = known.registration.unwrap_or_default();
        registration.is_used_up(&RULES);
        let request_id = RequestId::parse("r").unwrap();
        for verified in [known.verified, !known.verified] {
            let next = registration.register(verified, ada(), &key, now, &RULES);
            next.into_event(id, now, request_id.clone()).encode().unwrap();
            if let Resend::Next(next, _) = registration.resend(verified, &key, now, &RULES) {
                next.into_event(id, now, request_id.clone()).encode().unwrap();
            }
        }
        let secrets = CodeSecrets::parse(&format!("k1:{SECRET}")).unwrap();
        if let Challenge::Open { window, generation, pending } = registration.challenge(now) {
            registration.attempts(window, generation);
            if let Some(pending) = pending {
                let email = &pending.person.email;
                let code = VerificationCode::derive(secrets.current(), id, email, window, generation);
                prop_assert_eq!(code.digits().len(), 6);
                prop_assert!(!LinkToken::derive(secrets.current(), id, email, window).to_text().is_empty());
            }
        }
    }

    #[test]
    fn what_is_taken_in_lies_near_its_record_and_is_about_its_own_address(
        kind in kind(),
        topic in prop::sample::select(&Topic::ALL[..]),
        value in value(),
        timestamp in prop::option::of(prop_oneof![any::<i64>(), -90_000_000..90_000_000_i64]),
    ) {
        let timestamp = timestamp.map(|time| time.saturating_add(NOW));
        let origin = Origin::new(topic, timestamp, at(NOW));
        let payload = value.to_string();
        if let Ok(event) = acceptance().event(origin, Some(kind.name().as_bytes()), payload.as_bytes()) {
            let day = SignedDuration::from_hours(24);
            prop_assert!(topic.takes(event.kind()));
            prop_assert!(event.occurred_at() <= at(NOW).checked_add(day).unwrap());
            if let Event::Created(issued) | Event::CodeResent(issued) = &event {
                prop_assert_eq!(issued.email.as_str(), "ada@example.com");
                prop_assert!(issued.send <= 100 && issued.generation <= 1_000);
                prop_assert!(issued.expires_at.duration_since(issued.occurred_at) <= day);
                let hours = u64::try_from(issued.occurred_at.as_second()).unwrap() / 3600;
                prop_assert!((hours - 1..=hours + 2).contains(&issued.window));
            }
        }
    }

    #[test]
    fn any_octets_are_an_event_or_an_error(
        name in prop::option::of(prop_oneof![kind().prop_map(|kind| kind.name().as_bytes().to_vec()), any::<Vec<u8>>()]),
        payload in any::<Vec<u8>>(),
        timestamp in any::<i64>(),
    ) {
        let origin = Origin::new(Topic::Created, Some(timestamp), at(NOW));
        prop_assert!(acceptance().event(origin, name.as_deref(), &payload).is_err());
    }
}

#[test]
fn a_value_that_is_too_large_is_not_looked_at() {
    let origin = Origin::new(Topic::Created, Some(NOW), at(NOW));
    let payload = vec![b' '; MAX_VALUE_OCTETS + 1];
    let event = acceptance().event(origin, Some(b"user_account_created"), &payload);
    assert_eq!(event, Err(DecodeError::TooLarge));
}

#[test]
fn a_window_of_the_time_is_taken_in_and_no_other() {
    let origin = Origin::new(Topic::Activity, Some(NOW), at(NOW));
    let event = |window: u64| {
        let value = json!({
            "event_id": uuid_of([1; 16]), "occurred_at": format!("{:.3}", at(NOW)), "version": 1, "id": uuid_of([1; 16]),
            "window": window, "generation": 0, "request_id": "r",
        });
        acceptance().event(origin, Some(b"attempt"), value.to_string().as_bytes())
    };
    // The hour of NOW is 500,000: a window that began in the one before may still last.
    let taken: Vec<_> = (499_990..500_010).filter(|window| event(*window).is_ok()).collect();
    assert_eq!(taken, [499_999, 500_000, 500_001, 500_002]);
    assert_eq!(event(u64::MAX), Err(DecodeError::OutOfRange));
}
