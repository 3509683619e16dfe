//! Replicas with more registrations than they have room for.

use crate::world::{DEADLINE, World, code, registered_elsewhere, token};
use contract::{
    event::{Event, Mailing, Registered},
    topic::Topic,
};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use std::time::{Duration, Instant};

/// Registrations expire after 16 seconds. The long time-out makes
/// a replica accept events that are 16 s older than their records.
const SHORT: [(&str, &str); 7] = [
    ("PUBLISH_TIMEOUT", "15s"),
    ("MAX_PENDING", "4"),
    ("WINDOW", "5s"),
    ("CODE_TTL", "2s"),
    ("LINK_TTL", "16s"),
    ("MAX_CLOCK_SKEW", "1s"),
    ("RESEND_COOLDOWN", "1s"),
];

/// A registration with these short times, made that long ago.
fn registered(email: &str, ago: Duration) -> Registered {
    let made = registered_elsewhere(email, ago);
    let window = u64::try_from(made.occurred_at.as_second()).unwrap() / 5;
    Registered { window, expires_at: made.occurred_at + SignedDuration::from_secs(7), ..made }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_holds_too_many_registrations_waits_until_some_are_over_and_passes_over_none() {
    let world = World::start().await;
    let replica = world.replica_with(&SHORT).await;
    // Far more than there is room for, all at once. The last one expires after the others.
    let written: Vec<_> = (0..40)
        .map(|number| {
            let ago = Duration::from_secs(if number < 39 { 11 } else { 0 });
            registered(&format!("person{number}@example.com"), ago)
        })
        .collect();
    let events = written.iter().map(|event| Event::Registered(Mailing::FirstCode, event.clone()));
    let events: Vec<_> = events.collect();
    join_all(events.iter().map(|event| world.write(event))).await;
    let began = Instant::now();
    loop {
        let ready = replica.get("/health/ready").await;
        if ready.status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(ready.body["at_log_end"], false, "{ready:?}");
            break;
        }
        assert!(began.elapsed() < DEADLINE, "not ready any more");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = replica.metrics().await;
    assert!(
        metrics.contains("user_service_registrations 6\n"),
        "one and a half times MAX_PENDING: {metrics}"
    );
    for answer in [replica.register("ada@example.com").await, replica.verify("no id", "123456").await] {
        assert_eq!((answer.status, answer.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    }
    // Registrations that come meanwhile are read later. The tombstone is read at once: its topic is not paused.
    let (kept, forgotten) =
        (registered("grace@example.com", Duration::ZERO), registered("eve@example.com", Duration::ZERO));
    for event in [&kept, &forgotten] {
        world.write(&Event::Registered(Mailing::FirstCode, event.clone())).await;
    }
    world.write_record(Topic::Verified, "", &forgotten.id.to_string(), None).await;
    while replica.get("/health/ready").await.status != StatusCode::OK {
        assert!(began.elapsed() < DEADLINE, "ready again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(Timestamp::now() < kept.occurred_at + SignedDuration::from_secs(16), "in time for this test");
    for kept in [&kept, &written[39]] {
        let id = kept.registration.to_string();
        assert_eq!(replica.open_link(&id, &token(kept)).await.status, StatusCode::OK);
    }
    let id = forgotten.registration.to_string();
    assert_eq!(replica.verify(&id, &code(&forgotten)).await.problem(), "wrong-code");
    replica.registered("ada@example.com").await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_is_over_is_unknown_and_makes_room() {
    let world = World::start().await;
    let replica = world
        .replica_with(&[("MAX_PENDING", "1"), SHORT[0], SHORT[2], SHORT[3], SHORT[4], SHORT[5], SHORT[6]])
        .await;
    let event = registered("grace@example.com", Duration::from_secs(12));
    world.write(&Event::Registered(Mailing::FirstCode, event.clone())).await;
    replica.reads_all().await;
    assert_eq!(replica.register("ada@example.com").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let id = event.registration.to_string();
    let began = Instant::now();
    let wrong = "AAAAAAAAAAAAAAAAAAAAAA";
    while replica.open_link(&id, wrong).await.problem() != "unknown-id" {
        assert!(began.elapsed() < DEADLINE, "unknown after LINK_TTL");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(replica.open_link(&id, &token(&event)).await.problem(), "unknown-id");
    assert_eq!(replica.verify(&id, &code(&event)).await.problem(), "unknown-id");
    assert_eq!(replica.resend(&id).await.problem(), "unknown-id");
    while replica.register("ada@example.com").await.status != StatusCode::ACCEPTED {
        assert!(began.elapsed() < DEADLINE, "it takes no room");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    replica.stop().await;
}
