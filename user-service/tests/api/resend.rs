//! `POST /api/resend`

use crate::world::{Answer, Replica, World, code, wrong_code};
use reqwest::StatusCode;
use serde_json::json;
use shared::{event::Event, topic::Topic};

/// The seconds that a refused client is told to wait.
fn retry_after(answer: &Answer) -> u64 {
    assert_eq!((answer.status, answer.problem()), (StatusCode::TOO_MANY_REQUESTS, "too-soon"), "{answer:?}");
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

async fn exhausted(replica: &Replica, id: &str, code: &str) {
    while replica.verify(id, code).await.status != StatusCode::GONE {}
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_cool_down_the_same_code_is_mailed_again() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RESEND_COOLDOWN", "1ms")]).await;
    let id = replica.registered("ada@example.com").await;
    let first = world.newest_code(&id).await;
    let answer = replica.resend(&id).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(answer.body["data"]["id"], id.as_str());
    let [Event::CodeResent(second)] = &world.events(Topic::Activity).await[..] else { panic!("one event") };
    assert_eq!(answer.body["data"]["expires_at"], format!("{:.3}", second.expires_at));
    assert_eq!((second.send, code(second)), (2, code(&first)));
    assert_eq!(
        (&second.first_name, &second.email),
        (&first.first_name, &first.email),
        "the whole registration"
    );
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_cool_down_and_after_the_last_mail_one_is_told_how_long_to_wait() {
    let world = World::start().await;
    let patient = world.replica().await;
    let id = patient.registered("ada@example.com").await;
    assert!((55..=60).contains(&retry_after(&patient.resend(&id).await)));
    patient.stop().await;
    let hasty = world.replica_with(&[("RESEND_COOLDOWN", "1ms"), ("MAX_SENDS", "2")]).await;
    assert_eq!(hasty.resend(&id).await.status, StatusCode::ACCEPTED);
    assert!((3500..=3600).contains(&retry_after(&hasty.resend(&id).await)), "until the window ends");
    assert_eq!(world.events(Topic::Activity).await.len(), 1, "a refused request writes nothing");
    hasty.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_attempts_are_used_up_a_new_code_goes_out() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RESEND_COOLDOWN", "1ms")]).await;
    let id = replica.registered("ada@example.com").await;
    let first = world.newest_code(&id).await;
    exhausted(&replica, &id, &wrong_code(&first)).await;
    assert_eq!(replica.resend(&id).await.status, StatusCode::ACCEPTED);
    let second = world.newest_code(&id).await;
    assert_eq!(second.generation, 1);
    assert_eq!(replica.verify(&id, &code(&second)).await.status, StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_expired_registrations_are_told_apart() {
    let world = World::start().await;
    let replica = world.replica_with(&[("CODE_TTL", "1ms")]).await;
    let answer = replica.resend("11111111-1111-8111-9111-111111111111").await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::NOT_FOUND, "unknown-id"));
    let id = replica.registered("ada@example.com").await;
    let answer = replica.resend(&id).await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::GONE, "no-longer-valid"));
    let answer = replica.post("/api/resend", json!({"id": "not an id"})).await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields"));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_verified_account_it_looks_the_same_and_nothing_is_mailed() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RESEND_COOLDOWN", "1ms")]).await;
    let id = replica.registered("ada@example.com").await;
    assert_eq!(replica.verify(&id, &code(&world.newest_code(&id).await)).await.status, StatusCode::OK);
    replica.registered("ada@example.com").await;
    let known = replica.resend(&id).await;
    let other = replica.registered("bob@example.com").await;
    let unknown = replica.resend(&other).await;
    assert_eq!(known.status, unknown.status);
    let fields =
        |answer: &Answer| answer.body["data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&known), fields(&unknown));
    let notices = world.events(Topic::Activity).await.into_iter().filter_map(|event| match event {
        Event::AccountExists(event) => Some(event.occurred_at == event.window_started_at),
        _ => None,
    });
    assert_eq!(notices.collect::<Vec<_>>(), [true, false], "one notice");
    replica.stop().await;
}
