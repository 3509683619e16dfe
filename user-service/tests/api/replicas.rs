//! Any replica can answer, and the budgets of guesses are exact across them.

use crate::world::{World, code, stop, token, wrong_code};
use contract::{
    event::{Event, Mailing},
    topic::Topic,
};
use futures_util::future::join_all;
use reqwest::StatusCode;
use std::collections::BTreeSet;

/// A registration that one replica accepted is never unknown to another.
#[tokio::test(flavor = "multi_thread")]
async fn registered_at_one_replica_verified_at_the_other() {
    let world = World::start().await;
    let (a, b) = (world.replica().await, world.replica().await);
    for number in 0..10 {
        let id = a.registered(&format!("person{number}@example.com")).await;
        // Asked at once: B reads registrations in portions.
        assert_eq!(b.verify(&id, "000000").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let code = code(&world.registration(&id).await);
        assert_eq!(b.verify(&id, &code).await.status, StatusCode::OK);
        assert_eq!(a.verify(&id, &code).await.status, StatusCode::OK);
    }
    assert_eq!(world.events(Topic::Verified).await.len(), 10);
    stop([a, b]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_guesses_at_two_replicas_exactly_five_count() {
    let world = World::start().await;
    let (a, b) = (world.replica().await, world.replica().await);
    let id = a.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    let guesses = (0..40_u32).map(|number| {
        let (replica, id) = (if number % 2 == 0 { &a } else { &b }, &id);
        let code = wrong_code(&issued, number);
        async move { replica.verify(id, &code).await }
    });
    let answers = join_all(guesses).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(count(StatusCode::UNPROCESSABLE_ENTITY), 5, "{answers:?}");
    assert_eq!(count(StatusCode::GONE), 35);
    for replica in [a, b] {
        assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::GONE);
        replica.stop().await;
    }
}

/// All guesses are in one window, and nothing crashes.
#[tokio::test(flavor = "multi_thread")]
async fn of_guesses_with_many_ids_at_two_replicas_25_are_compared() {
    let world = World::start().await;
    let (a, b) = (world.replica().await, world.replica().await);
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(a.registered("ada@example.com").await);
    }
    let issued = world.registration(&ids[0]).await;
    let guesses = (0..40_u32).map(|number| {
        let (replica, id) = (if number % 2 == 0 { &a } else { &b }, &ids[number as usize / 5]);
        let code = wrong_code(&issued, number);
        async move { replica.verify(id, &code).await }
    });
    let answers = join_all(guesses).await;
    assert!(answers.iter().all(|answer| answer.problem() == "wrong-code"), "{answers:?}");
    let late = b.registered("ada@example.com").await;
    for replica in [&a, &b] {
        assert_eq!(replica.verify(&late, &code(&issued)).await.problem(), "wrong-code", "beyond the budget");
    }
    assert_eq!(b.open_link(&late, &token(&issued)).await.status, StatusCode::OK);
    stop([a, b]).await;
}

/// Both requests are in one window.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_address_at_two_replicas_at_once_is_one_mail_and_two_registrations() {
    let world = World::start().await;
    let (a, b) = (world.replica().await, world.replica().await);
    for number in 0..10 {
        let email = format!("person{number}@example.com");
        let (one, other) = tokio::join!(a.registered(&email), b.registered(&email));
        assert_ne!(one, other);
        let mails = world.mails_to(&email).await;
        let ids: BTreeSet<_> =
            mails.iter().map(|mail| Event::Registered(Mailing::FirstCode, mail.clone()).mail_id()).collect();
        assert_eq!(ids.len(), 1, "however often it was written, {} times", mails.len());
        // Both registrations can be verified, each at the other replica. The last verification holds.
        for (replica, id) in [(&b, &one), (&a, &other)] {
            assert_eq!(replica.verify(id, &code(&mails[0])).await.status, StatusCode::OK);
        }
    }
    stop([a, b]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_mailed_the_other_does_not_mail_again() {
    let world = World::start().await;
    let (a, b) = (world.replica().await, world.replica().await);
    for number in 0..10 {
        let email = format!("person{number}@example.com");
        a.registered(&email).await;
        b.reads_all().await;
        b.registered(&email).await;
        assert_eq!(world.mails_to(&email).await.len(), 1);
    }
    stop([a, b]).await;
}
