//! Any replica can answer, and the attempt budget is exact across them.

use crate::world::{World, code, wrong_code};
use reqwest::StatusCode;
use shared::{event::Event, topic::Topic};

#[tokio::test(flavor = "multi_thread")]
async fn registered_at_one_replica_verified_at_the_other() {
    let world = World::start().await;
    let (a, b) = (world.replica().await, world.replica().await);
    for number in 0..10 {
        let id = a.registered(&format!("person{number}@example.com")).await;
        let code = code(&world.newest_code(&id).await);
        assert_eq!(b.verify(&id, &code).await.status, StatusCode::OK);
        assert_eq!(a.verify(&id, &code).await.status, StatusCode::OK);
    }
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_guesses_at_two_replicas_exactly_five_are_compared() {
    let world = World::start().await;
    let (a, b) = (world.replica().await, world.replica().await);
    let id = a.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    let wrong = wrong_code(&issued);
    let guesses =
        (0..40).map(|number| if number % 2 == 0 { a.verify(&id, &wrong) } else { b.verify(&id, &wrong) });
    let answers = futures_util::future::join_all(guesses).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(count(StatusCode::UNPROCESSABLE_ENTITY), 5, "{answers:?}");
    assert_eq!(count(StatusCode::GONE), 35);
    let mut left: Vec<_> =
        answers.iter().filter_map(|answer| answer.body["attempts_left"].as_u64()).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3, 4]);
    for replica in [a, b] {
        assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::GONE);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_verified_with_the_last_attempt_gets_no_new_code_at_a_replica_that_has_not_read_it_yet() {
    let world = World::start().await;
    let settings = [("CODE_ATTEMPTS", "1"), ("RESEND_COOLDOWN", "1ms")];
    let (a, b) = (world.replica_with(&settings).await, world.replica_with(&settings).await);
    for number in 0..12 {
        let email = format!("person{number}@example.com");
        let id = a.registered(&email).await;
        let code = code(&world.newest_code(&id).await);
        assert_eq!(a.verify(&id, &code).await.status, StatusCode::OK);
        let again = if number % 2 == 0 { b.resend(&id).await } else { b.register(&email).await };
        assert_eq!(again.status, StatusCode::ACCEPTED, "{again:?}");
    }
    let activity = world.events(Topic::Activity).await;
    let new_code = |event: &&Event| matches!(event, Event::CodeResent(issued) if issued.generation > 0);
    assert_eq!(activity.iter().filter(new_code).count(), 0, "{activity:?}");
    a.stop().await;
    b.stop().await;
}
