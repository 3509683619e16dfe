//! A broker that requires a certificate of its clients: who gets in, and what the log says of each refusal.

use acceptance::{
    api::Api,
    inbox::{VERIFIED, VERIFY},
    kafka::mutual_tls::MutualTls,
    ledger::Registration,
    service::Service,
    world::World,
};
use reqwest::StatusCode;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const NOT_TAKEN: &str = "the broker refuses the certificate in KAFKA_CERTIFICATE_FILE: it has expired, or";
const NOT_BELIEVED: &str = "the broker's certificate has expired, is for another host name, or";

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_lets_both_services_in_and_each_refusal_is_named_in_the_log() {
    let mut world = World::new().await;
    let access = world.kafka.require_certificates();
    world.inbox.start().await;
    world.kafka.start().await;
    let mut user_service = access.with_certificate(world.user_service("user"));
    let mut notification_service = access.with_certificate(world.notification_service("notification"));
    user_service.start_and_wait().await;
    notification_service.start_and_wait().await;
    let api = Api::new(user_service.address());
    let registration = Registration::accepted(&api, "ada@example.com".to_owned()).await;
    let mail = world.inbox.first(&registration.email, VERIFY, LIMIT).await;
    assert_eq!(api.verify(&registration.id, mail.code()).await.status, StatusCode::OK);
    world.inbox.first(&registration.email, VERIFIED, LIMIT).await;
    user_service.stop().await;
    notification_service.stop().await;

    let new = |name: &str| access.with_certificate(world.user_service(name));
    let mut refused = [
        // The broker refuses.
        (
            "the broker requires a certificate: KAFKA_CERTIFICATE_FILE",
            access.without_certificate(world.user_service("nameless")),
        ),
        (NOT_TAKEN, access.with_certificate_of("expired-client", new("expired"))),
        (NOT_TAKEN, access.with_certificate_of("stranger", new("stranger"))),
        // The service refuses.
        (NOT_BELIEVED, access.to_expired_broker(new("to-expired"))),
        (NOT_BELIEVED, access.under_another_name(new("to-another-name"))),
    ];
    for (_, service) in &mut refused {
        service.start();
    }
    for (reason, service) in &mut refused {
        service.alive_and_not_ready().await;
        service.logs(reason).await;
        service.alive_and_not_ready().await;
        service.kill();
    }
    a_key_of_another_certificate_stops_the_start(&access, new("foreign-key"));
}

/// Before any connection, with the variables' names.
fn a_key_of_another_certificate_stops_the_start(access: &MutualTls, service: Service) {
    let mut service = service.with("KAFKA_KEY_FILE", &access.foreign_key());
    service.start();
    let began = std::time::Instant::now();
    let status = loop {
        if let Some(status) = service.ended() {
            break status;
        }
        assert!(began.elapsed() < LIMIT, "it runs, see {}", service.log().display());
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(2));
    let log = service.log_text();
    assert!(
        log.contains("KAFKA_CERTIFICATE_FILE: expected the certificate of the key in KAFKA_KEY_FILE"),
        "{log}"
    );
}
