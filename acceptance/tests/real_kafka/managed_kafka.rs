//! A broker that requires TLS and a login, as managed ones do: who gets in, and the errors of those who don't.

use acceptance::{
    api::Api,
    inbox::{VERIFIED, VERIFY},
    kafka::sasl_ssl::{PASSWORD, SaslSsl},
    ledger::Registration,
    service::Service,
    world::World,
};
use reqwest::StatusCode;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_signup_passes_through_tls_with_either_login() {
    let (world, access) = start().await;
    let mut user_service = access.with_scram(world.user_service("user"));
    let mut notification_service = access.with_plain(world.notification_service("notification"), "plain");
    user_service.start_and_wait().await;
    notification_service.start_and_wait().await;
    let api = Api::new(user_service.address());
    let registration = Registration::accepted(&api, "ada@example.com".to_owned()).await;
    let mail = world.inbox.first(&registration.email, VERIFY, LIMIT).await;
    assert_eq!(api.verify(&registration.id, mail.code()).await.status, StatusCode::OK);
    world.inbox.first(&registration.email, VERIFIED, LIMIT).await;
    user_service.stop().await;
    notification_service.stop().await;
    for service in [user_service, notification_service] {
        assert!(!service.log_text().contains(PASSWORD), "see {}", service.log().display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_leaves_a_service_alive_and_not_ready_and_is_named_in_its_log() {
    let wrong = "wrong-horse-battery-staple";
    stays_out(|service| service.with("KAFKA_SASL_PASSWORD", wrong), "SASL authentication error", wrong).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_the_systems_certificates_do_not_vouch_for_is_refused_and_named_in_the_log() {
    stays_out(|service| service.with("KAFKA_CA_FILE", ""), "certificate verify failed", PASSWORD).await;
}

/// Starts both services with a wrong setting. They don't get in, and log the reason without their password.
async fn stays_out(spoil: impl Fn(Service) -> Service, reason: &str, password: &str) {
    let (world, access) = start().await;
    let user_service = access.with_scram(world.user_service("user"));
    let notification_service = access.with_plain(world.notification_service("notification"), "plain");
    for service in [user_service, notification_service] {
        // All log lines of the Kafka client, except those of its waits.
        let mut service = spoil(service).with("RUST_LOG", "debug");
        service.start();
        service.alive_and_not_ready().await;
        service.logs(reason).await;
        service.alive_and_not_ready().await;
        service.stop().await;
        assert!(!service.log_text().contains(password), "see {}", service.log().display());
    }
}

async fn start() -> (World, SaslSsl) {
    let mut world = World::new().await;
    let access = world.kafka.require_tls_and_login();
    world.inbox.start().await;
    world.kafka.start().await;
    (world, access)
}
