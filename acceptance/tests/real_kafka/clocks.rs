//! Replicas with wrong clocks. Within the skew they work with the others; beyond it they are not ready.

use acceptance::{
    api::Api,
    ledger::Registration,
    log, proofs,
    service::Service,
    world::{World, show},
};
use contract::event::Mailing;
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3_600);

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

    // One replica's clock is already in the next window.
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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_writes_that_is_far_ahead_is_passed_over_by_all_and_it_says_that_its_clock_is_wrong() {
    let world = World::start().await;
    let (right, at_right) = world.ready_user_service("right").await;
    for (number, ahead) in [Duration::from_secs(70 * 60), 24 * HOUR].into_iter().enumerate() {
        let mut wrong = world.user_service(&format!("ahead-{number}")).ahead(&world, ahead);
        wrong.start_and_wait().await;
        let at_wrong = Api::new(wrong.address());
        let email = format!("ada{number}@example.com");
        let refusal = at_wrong.register(&email).await;
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE, "{refusal:?}");
        let (status, readiness) = readiness(&wrong).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{readiness}");
        assert_eq!(readiness["clock_agrees"], false, "{readiness}");
        passed_over(&right, number + 1).await;

        // The other replica behaves as if nothing had been written: it mails the first place of the window, with its code.
        let registration = Registration::accepted(&at_right, email.clone()).await;
        let (mailing, event) = log::registered(&world.kafka.bootstrap(), &registration.id);
        assert_eq!((mailing, event.send), (Mailing::FirstCode, 1), "{event:?}");
        assert_eq!(event.window, proofs::window_at(event.occurred_at, HOUR));
        let answer = at_right.verify(&registration.id, &proofs::code(&email, event.window)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert!(right.is_ready().await);
        show(&format!("{ahead:?} ahead: {}", refusal.body));
    }
}

/// Waits until only `left` remains of the present window.
async fn until_before_the_end(window: Duration, left: Duration) {
    let now = Timestamp::now().as_millisecond();
    let window = i64::try_from(window.as_millis()).expect("a short window");
    let target = window - i64::try_from(left.as_millis()).expect("a short time");
    let wait = (target - now.rem_euclid(window)).rem_euclid(window);
    sleep(Duration::from_millis(wait.unsigned_abs())).await;
}

async fn readiness(service: &Service) -> (StatusCode, Value) {
    let answer = reqwest::get(format!("http://{}/health/ready", service.address())).await.expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

/// Waits until a service has counted this many records of a wrong clock.
async fn passed_over(service: &Service, records: usize) {
    let began = Instant::now();
    loop {
        let log = std::fs::read_to_string(service.log()).expect("its log");
        if log.matches("check the clock of its writer").count() >= records {
            return;
        }
        assert!(began.elapsed() < LIMIT, "see {}", service.log().display());
        sleep(Duration::from_millis(50)).await;
    }
}
