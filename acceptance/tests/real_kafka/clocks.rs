//! Replicas whose clocks differ by as much as is allowed work with the others.

use acceptance::{api::Api, ledger::Registration, log, proofs, world::World};
use jiff::Timestamp;
use reqwest::StatusCode;
use shared::event::Mailing;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_ahead_by_the_allowed_skew_works_with_the_others_across_the_end_of_a_window() {
    const WINDOW: Duration = Duration::from_secs(30);
    const SKEW: Duration = Duration::from_secs(5);
    let world = World::start().await;
    let replica = |name| {
        let service = world.user_service(name).with("WINDOW", "30s").with("MAX_CLOCK_SKEW", "5s");
        service.with("CODE_TTL", "14s").with("LINK_TTL", "1m").with("RESEND_COOLDOWN", "1s")
    };
    let (mut ahead, mut right) = (replica("ahead").ahead(&world, SKEW), replica("right"));
    tokio::join!(ahead.start_and_wait(), right.start_and_wait());
    let (at_ahead, at_right) = (Api::new(ahead.address()), Api::new(right.address()));

    // One is in the next window already.
    until_before_the_end(WINDOW, SKEW - Duration::from_secs(2)).await;
    let window = proofs::window_at(Timestamp::now(), WINDOW);
    let ada = Registration::accepted(&at_ahead, "ada@example.com".to_owned()).await;
    let bob = Registration::accepted(&at_right, "bob@example.com".to_owned()).await;
    for (registration, api, window) in [(&ada, &at_right, window + 1), (&bob, &at_ahead, window)] {
        let (mailing, event) = log::registered(&world.kafka.bootstrap(), &registration.id);
        assert_eq!((event.window, mailing), (window, Mailing::FirstCode), "{event:?}");
        let answer = api.verify(&registration.id, &proofs::code(&registration.email, window)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    assert!(ahead.is_ready().await && right.is_ready().await);
}

/// Waits until only `left` remains of the present window.
async fn until_before_the_end(window: Duration, left: Duration) {
    let now = Timestamp::now().as_millisecond();
    let window = i64::try_from(window.as_millis()).expect("a short window");
    let target = window - i64::try_from(left.as_millis()).expect("a short time");
    let wait = (target - now.rem_euclid(window)).rem_euclid(window);
    sleep(Duration::from_millis(wait.unsigned_abs())).await;
}
