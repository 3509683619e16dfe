//! Nothing is forgotten by a restart.

use crate::world::{World, code, token, wrong_code};
use contract::topic::Topic;
use reqwest::StatusCode;

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
    for (_, event) in world.registrations().await {
        let id = event.registration.to_string();
        assert!(ids.contains(&id));
        assert_eq!(second.verify(&id, &code(&event)).await.status, StatusCode::OK);
    }
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spent_guesses_stay_spent_after_a_restart_and_the_link_still_verifies() {
    let world = World::start().await;
    let first = world.replica().await;
    let id = first.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    for number in 0..3 {
        first.verify(&id, &wrong_code(&issued, number)).await;
    }
    first.stop().await;
    let second = world.replica().await;
    assert_eq!(second.verify(&id, &wrong_code(&issued, 3)).await.body["attempts_left"], 1);
    assert_eq!(second.verify(&id, &wrong_code(&issued, 4)).await.body["attempts_left"], 0);
    second.stop().await;
    let third = world.replica().await;
    assert_eq!(third.verify(&id, &code(&issued)).await.status, StatusCode::GONE);
    assert_eq!(third.open_link(&id, &token(&issued)).await.status, StatusCode::OK);
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_of_mails_goes_on_after_a_restart() {
    let world = World::start().await;
    let first = world.replica().await;
    first.registered("ada@example.com").await;
    first.stop().await;
    let second = world.replica().await;
    second.registered("ada@example.com").await;
    assert_eq!(world.mails_to("ada@example.com").await.len(), 1, "still in the cool-down");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_account_stays_verified_after_a_restart() {
    let world = World::start().await;
    let first = world.replica().await;
    let id = first.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    assert_eq!(first.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    first.stop().await;
    let second = world.replica().await;
    assert!(second.metrics().await.contains("user_service_verified_accounts 1"));
    assert_eq!(second.verify(&id, &code(&issued)).await.status, StatusCode::OK, "still the right code");
    assert_eq!(world.events(Topic::Verified).await.len(), 1);
    second.stop().await;
}
