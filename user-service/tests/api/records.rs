//! Records that no user service wrote: none ends a replica, and none deceives it.

use crate::world::{DEADLINE, Replica, World, code, registered_elsewhere, token, verified_elsewhere};
use contract::{
    email_address::EmailAddress,
    event::{Attempt, Event, EventId, Mailing, Registered},
    registration_id::RegistrationId,
    topic::Topic,
};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const FAR: &str = "9999-12-30T22:00:00.000Z";

/// The event's JSON as an object that can be changed.
fn json_of(event: &Event) -> Value {
    serde_json::from_slice(&event.encode().expect("JSON").payload).expect("JSON")
}

fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    changes.iter().for_each(|(name, changed)| value[*name] = changed.clone());
    value
}

/// A guess of somebody who can't compute the ids of guesses.
fn attempt(of: &Registered) -> Value {
    let (event_id, windows) = (EventId::from_mac(&[7; 32]), vec![of.window]);
    let request_id = of.request_id.clone();
    let attempt = Attempt::new(event_id, of.id, of.registration, windows, request_id, of.occurred_at);
    json_of(&Event::Attempt(attempt))
}

async fn write(world: &World, topic: Topic, kind: &str, of: &Registered, value: &Value) {
    world.write_record(topic, kind, &of.id.to_string(), Some(value.to_string().as_bytes())).await;
}

/// Waits until the replica has passed over this many records for these reasons, and none for another.
async fn passed_over(replica: &Replica, reasons: &[(&str, usize)]) -> String {
    let started = Instant::now();
    loop {
        let text = replica.metrics().await;
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("user_service_records_not_understood_total{reason=\""));
        let mut counts: Vec<_> = lines
            .filter_map(|line| line.split_once("\"} "))
            .map(|(reason, count)| (reason, count.parse::<usize>().expect("a number")))
            .filter(|(_, count)| *count > 0)
            .collect();
        counts.sort_unstable();
        if counts[..] == *reasons {
            return text;
        }
        assert!(started.elapsed() < DEADLINE, "passed over: {counts:?}, expected: {reasons:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_with_times_and_numbers_out_of_range_are_counted_and_sign_up_goes_on() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    let value = json_of(&Event::Registered(Mailing::FirstCode, issued.clone()));
    let attempt = attempt(&issued);
    let windows = |windows: &[u64]| with(attempt.clone(), &[("windows", json!(windows))]);
    let out_of_range = [
        ("account_exists", with(value.clone(), &[("occurred_at", json!(FAR)), ("expires_at", json!(FAR))])),
        ("account_exists", with(value.clone(), &[("expires_at", json!(FAR))])),
        ("code_resent", with(value.clone(), &[("window", json!(issued.window + 3))])),
        ("code_resent", with(value.clone(), &[("window", json!(issued.window - 2))])),
        ("code_resent", with(value.clone(), &[("window", json!(u64::MAX))])),
        ("code_resent", with(value.clone(), &[("send", json!(101))])),
        ("code_resent", with(value.clone(), &[("send", json!(u32::MAX))])),
        ("code_resent", with(value.clone(), &[("resends", json!(33))])),
        ("code_resent", with(value.clone(), &[("registration", json!(RegistrationId::NONE.to_string()))])),
        ("attempt", with(attempt.clone(), &[("occurred_at", json!(FAR))])),
        ("attempt", windows(&[])),
        ("attempt", windows(&[issued.window, issued.window + 2])),
        ("attempt", windows(&[issued.window + 1, issued.window])),
        ("attempt", windows(&[issued.window, issued.window + 1, issued.window + 2])),
        ("attempt", windows(&[u64::MAX])),
        ("attempt", windows(&[issued.window + 2, issued.window + 3])),
    ];
    let topic = |kind: &str| if kind == "attempt" { Topic::Activity } else { Topic::Created };
    for (kind, value) in &out_of_range {
        write(&world, topic(kind), kind, &issued, value).await;
    }
    write(
        &world,
        Topic::Created,
        "code_resent",
        &issued,
        &with(value, &[("added", json!("x".repeat(70_000)))]),
    )
    .await;
    let reasons = [("out_of_range", out_of_range.len()), ("too_large", 1)];
    passed_over(&replica, &reasons).await;
    assert_eq!(replica.register("ada@example.com").await.status, StatusCode::ACCEPTED);
    assert_eq!(replica.register("bob@example.com").await.status, StatusCode::ACCEPTED);
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
    let restarted = world.replica().await;
    passed_over(&restarted, &reasons).await;
    assert_eq!(restarted.register("eve@example.com").await.status, StatusCode::ACCEPTED);
    restarted.stop().await;
}

/// All times of these events are shifted, as a wrong clock shifts them.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_with_a_wrong_clock_writes_changes_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    let shifted = |minutes: i64| Registered {
        registration: RegistrationId::random(),
        occurred_at: issued.occurred_at + SignedDuration::from_mins(minutes),
        expires_at: issued.expires_at + SignedDuration::from_mins(minutes),
        window: issued.window.saturating_add_signed(minutes / 60),
        send: 6,
        ..issued.clone()
    };
    // The skew and the time-out together are 125 s.
    for minutes in [-180, -3, 3, 70, 20 * 60] {
        let event = shifted(minutes);
        world.write(&Event::Registered(Mailing::FurtherCode, event.clone())).await;
        write(&world, Topic::Activity, "attempt", &event, &attempt(&event)).await;
        if minutes > 0 {
            // An earlier one may be a restored backup.
            let ahead = Duration::from_secs(minutes.unsigned_abs() * 60);
            let Event::Verified(verified) = verified_elsewhere(&event, Duration::ZERO) else {
                panic!("verified")
            };
            let occurred_at = Timestamp::now() + ahead;
            world.write(&Event::Verified(contract::event::Verified { occurred_at, ..verified })).await;
        }
        let answer = replica.verify(&event.registration.to_string(), &code(&issued)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{minutes} min: {answer:?}");
    }
    let metrics = passed_over(&replica, &[("wrong_clock", 13)]).await;
    assert!(metrics.contains("user_service_verified_accounts 0"), "{metrics}");
    // Within the tolerance the record is taken in.
    let near = registered_elsewhere("bob@example.com", Duration::from_secs(100));
    world.write(&Event::Registered(Mailing::FirstCode, near.clone())).await;
    assert_eq!(replica.verify(&near.registration.to_string(), &code(&near)).await.status, StatusCode::OK);
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn an_event_in_the_topic_of_another_is_not_believed() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    let (registered, attempt, verified) = (
        json_of(&Event::Registered(Mailing::FirstCode, issued.clone())),
        attempt(&issued),
        json_of(&verified_elsewhere(&issued, Duration::ZERO)),
    );
    for (topic, kind, value) in [
        (Topic::Created, "user_account_verified", &verified),
        (Topic::Activity, "user_account_verified", &verified),
        (Topic::Created, "attempt", &attempt),
        (Topic::Activity, "code_resent", &registered),
        (Topic::Activity, "registration_repeated", &registered),
        (Topic::Verified, "user_account_created", &registered),
        (Topic::Verified, "attempt", &attempt),
    ] {
        write(&world, topic, kind, &issued, value).await;
    }
    let metrics = passed_over(&replica, &[("wrong_topic", 7)]).await;
    assert!(metrics.contains("user_service_verified_accounts 0"), "{metrics}");
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}

/// A thief who may write records can have mails sent to himself, but nothing in them verifies the account.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_names_another_address_yields_no_code() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    let stolen = Registered {
        registration: RegistrationId::random(),
        email: EmailAddress::parse("thief@example.org").expect("valid"),
        send: 2,
        ..issued.clone()
    };
    world.write(&Event::Registered(Mailing::FurtherCode, stolen.clone())).await;
    world.write(&verified_elsewhere(&stolen, Duration::ZERO)).await;
    let metrics = passed_over(&replica, &[("wrong_account", 2)]).await;
    assert!(metrics.contains("user_service_verified_accounts 0"), "{metrics}");
    let thiefs = stolen.registration.to_string();
    assert_eq!(replica.verify(&thiefs, &code(&stolen)).await.problem(), "unknown-id");
    assert_ne!(code(&stolen), code(&issued));
    assert_eq!(replica.verify(&id, &code(&stolen)).await.problem(), "wrong-code");
    assert_eq!(replica.open_link(&id, &token(&stolen)).await.problem(), "wrong-token");
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_another_version_and_of_no_known_type_are_counted_and_passed_over() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    // A record of version 1.
    let first_version = json!({
        "event_id": "e3bcb7a5-4f4c-81be-bd49-64d0a0b2a7c2", "occurred_at": "2026-11-21T10:00:00.123Z", "version": 1,
        "id": issued.id.to_string(), "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com",
        "locale": "en", "window": 7, "window_started_at": "2026-11-21T10:00:00.123Z", "generation": 0, "send": 1,
        "expires_at": "2026-11-21T10:15:00.123Z", "key": "k1", "request_id": "trace-1"
    });
    for topic_and_kind in [
        (Topic::Created, "user_account_created"),
        (Topic::Activity, "attempt"),
        (Topic::Verified, "user_account_verified"),
    ] {
        for _ in 0..2 {
            write(&world, topic_and_kind.0, topic_and_kind.1, &issued, &first_version).await;
        }
    }
    for value in [&b"{"[..], b"", b"\xff", b"[]", b"null"] {
        world.write_record(Topic::Created, "user_account_created", "no id", Some(value)).await;
    }
    write(&world, Topic::Activity, "to_come", &issued, &first_version).await;
    // A tombstone has a meaning in one topic only, and there only for the id of an account.
    world.write_record(Topic::Created, "user_account_created", &issued.id.to_string(), None).await;
    world.write_record(Topic::Verified, "user_account_verified", "no id", None).await;
    passed_over(&replica, &[("malformed", 5), ("unknown_type", 1), ("unknown_version", 6)]).await;
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_whose_name_is_not_utf8_ends_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    for topic in [Topic::Created, Topic::Activity, Topic::Verified] {
        world.write_with_header(topic, (b"ce_\xff", b"user_account_created"));
    }
    passed_over(&replica, &[("unknown_type", 3)]).await;
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
    let restarted = world.replica().await;
    passed_over(&restarted, &[("unknown_type", 3)]).await;
    restarted.stop().await;
}
