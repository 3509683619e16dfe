//! What tests of a broker that asks who connects have in common: services get in, stay out, or do not start.

use acceptance::{
    api::Api,
    inbox::{VERIFIED, VERIFY},
    kafka::Kafka,
    ledger::Registration,
    service::Service,
    world::World,
};
use reqwest::StatusCode;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

/// A world whose broker was prepared before its start, and what the preparation returned.
pub(crate) async fn world_with<T>(prepare: impl FnOnce(&mut Kafka) -> T) -> (World, T) {
    let mut world = World::new().await;
    let access = prepare(&mut world.kafka);
    world.inbox.start().await;
    world.kafka.start().await;
    (world, access)
}

/// Starts both services and waits until they are ready.
pub(crate) async fn get_in(services: [&mut Service; 2]) {
    for service in services {
        service.start_and_wait().await;
    }
}

/// One person signs up, through all topics but those of failures.
pub(crate) async fn sign_up(world: &World, user_service: &Service) {
    let api = Api::new(user_service.address());
    let registration = Registration::accepted(&api, "ada@example.com".to_owned()).await;
    let mail = world.inbox.first(&registration.email, VERIFY, LIMIT).await;
    assert_eq!(api.verify(&registration.id, mail.code()).await.status, StatusCode::OK);
    world.inbox.first(&registration.email, VERIFIED, LIMIT).await;
}

/// Starts services that are not let in: each lives, is not ready, and logs these words.
pub(crate) async fn stay_out(refused: &mut [(&str, Service)]) {
    for (_, service) in &mut *refused {
        service.start();
    }
    for (words, service) in refused {
        service.alive_and_not_ready().await;
        service.logs(words).await;
        service.alive_and_not_ready().await;
        service.stop().await;
    }
}

/// Starts a service whose configuration has this problem.
pub(crate) async fn does_not_start(problem: &str, service: &mut Service) {
    service.start();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = service.ended() {
            break status;
        }
        assert!(began.elapsed() < LIMIT, "it runs, see {}", service.log().display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(status.code(), Some(2), "see {}", service.log().display());
    let log = service.log_text();
    assert!(log.contains(problem), "{log}");
}
