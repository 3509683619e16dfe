//! Nothing is forgotten by a restart.

use crate::world::{World, code, token, wrong_code};
use reqwest::StatusCode;
use serde_json::json;
use shared::{event::Event, topic::Topic};

#[tokio::test(flavor = "multi_thread")]
async fn a_mailed_code_verifies_after_a_restart() {
    let world = World::start().await;
    let first = world.replica().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(first.registered(&format!("person{number}@example.com")).await);
    }
    first.stop().await;
    let second = world.replica().await;
    for id in ids {
        let code = code(&world.newest_code(&id).await);
        assert_eq!(second.verify(&id, &code).await.status, StatusCode::OK);
    }
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spent_attempts_stay_spent_after_a_restart_and_the_link_still_verifies() {
    let world = World::start().await;
    let first = world.replica().await;
    let id = first.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    for _ in 0..3 {
        first.verify(&id, &wrong_code(&issued)).await;
    }
    first.stop().await;
    let second = world.replica().await;
    assert_eq!(second.verify(&id, &wrong_code(&issued)).await.body["attempts_left"], 1);
    assert_eq!(second.verify(&id, &wrong_code(&issued)).await.body["attempts_left"], 0);
    second.stop().await;
    let third = world.replica().await;
    assert_eq!(third.verify(&id, &code(&issued)).await.status, StatusCode::GONE);
    let answer = third.post("/api/verify", json!({"id": id, "token": token(&issued)})).await;
    assert_eq!(answer.status, StatusCode::OK);
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_account_stays_verified_and_a_forgotten_one_begins_anew() {
    let world = World::start().await;
    let first = world.replica().await;
    let id = first.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    assert_eq!(first.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    first.stop().await;
    let second = world.replica().await;
    assert_eq!(second.verify(&id, &code(&issued)).await.status, StatusCode::OK, "still the right code");
    let variables = [
        ("KAFKA_BROKERS", world.brokers()),
        ("CODE_SECRETS", crate::world::CODE_SECRETS.to_owned()),
        ("ID_SECRET", "dnV0c3JxcG9ubWxramloZ2ZlZGNiYTk4NzY1NDMyMTA=".to_owned()),
    ];
    let config = user_service::Config::load(shared::env::Env::from_pairs(variables)).unwrap();
    user_service::forget(&config, id.parse().unwrap()).await.unwrap();
    let third = world.replica().await;
    for replica in [second, third] {
        let started = std::time::Instant::now();
        while replica.verify(&id, &code(&issued)).await.status != StatusCode::NOT_FOUND {
            assert!(started.elapsed().as_secs() < 10, "the tombstone is followed");
        }
        replica.stop().await;
    }
    let fourth = world.replica().await;
    assert_eq!(fourth.registered("ada@example.com").await, id);
    let anew = world.newest_code(&id).await;
    assert_ne!((anew.event_id, code(&anew)), (issued.event_id, code(&issued)), "a new code, a new mail");
    assert_eq!(fourth.verify(&id, &code(&anew)).await.status, StatusCode::OK);
    let verified: Vec<_> = world.events(Topic::Verified).await.iter().map(Event::event_id).collect();
    assert!(
        matches!(verified[..], [first, second] if first != second),
        "each verification has its confirmation"
    );
    fourth.stop().await;
}
