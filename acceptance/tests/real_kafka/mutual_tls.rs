//! A broker that requires a certificate of its clients: who gets in, and what the log says of each refusal.

use crate::access::{does_not_start, get_in, sign_up, stay_out, world_with};
use acceptance::kafka::Kafka;

const NOT_TAKEN: &str = "the broker refuses the certificate in KAFKA_CERTIFICATE_FILE: it has expired, or";
const NOT_BELIEVED: &str = "the broker's certificate has expired, is for another host name, or";

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_lets_both_services_in_and_each_refusal_is_named_in_the_log() {
    let (world, access) = world_with(Kafka::require_certificates).await;
    let mut user_service = access.with_certificate(world.user_service("user"));
    let mut mailer = access.with_certificate(world.notification_service("notification"));
    get_in([&mut user_service, &mut mailer]).await;
    sign_up(&world, &user_service).await;
    user_service.stop().await;
    mailer.stop().await;

    let new = |name: &str| access.with_certificate(world.user_service(name));
    stay_out(&mut [
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
    ])
    .await;
    // Before any connection, with the variables' names.
    does_not_start(
        "KAFKA_CERTIFICATE_FILE: expected the certificate of the key in KAFKA_KEY_FILE",
        &mut new("foreign-key").with("KAFKA_KEY_FILE", &access.foreign_key()),
    )
    .await;
}
