//! A broker that requires TLS and a login, as managed ones do: who gets in, and what the log says of each refusal.

use crate::access::{get_in, sign_up, stay_out, world_with};
use acceptance::{
    kafka::{
        Kafka,
        sasl_ssl::{PASSWORD, SaslSsl},
    },
    service::Service,
    world::World,
};

const WRONG: &str = "wrong-horse-battery-staple";

#[tokio::test(flavor = "multi_thread")]
async fn either_login_lets_a_service_in_and_each_refusal_is_named_in_the_log() {
    let (world, access) = world_with(Kafka::require_tls_and_login).await;
    let mut user_service = access.with_scram(world.user_service("user"));
    let mut mailer = access.with_plain(world.notification_service("notification"), "plain");
    get_in([&mut user_service, &mut mailer]).await;
    sign_up(&world, &user_service).await;
    user_service.stop().await;
    mailer.stop().await;
    for service in [user_service, mailer] {
        assert!(!service.log_text().contains(PASSWORD), "see {}", service.log().display());
    }

    let mut refused = refused(&world, &access);
    stay_out(&mut refused).await;
    for (_, service) in refused {
        let log = service.log_text();
        assert!(!log.contains(PASSWORD) && !log.contains(WRONG), "see {}", service.log().display());
    }
}

/// Services that don't get in, each with the words of its log.
fn refused(world: &World, access: &SaslSsl) -> [(&'static str, Service); 7] {
    // All log lines of the Kafka client, except those of its waits.
    let user = |name: &str| world.user_service(name).with("RUST_LOG", "debug");
    let mailer = |name: &str| world.notification_service(name).with("RUST_LOG", "debug");
    let login = "the broker refuses the login: KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD";
    [
        (login, access.with_scram(user("scram-password")).with("KAFKA_SASL_PASSWORD", WRONG)),
        (login, access.with_plain(mailer("plain-password"), "plain").with("KAFKA_SASL_PASSWORD", WRONG)),
        (login, access.with_scram(user("scram-name")).with("KAFKA_SASL_USERNAME", "nobody")),
        (
            "the broker does not know the mechanism in KAFKA_SASL_MECHANISM",
            access.with_scram(user("mechanism")).with("KAFKA_SASL_MECHANISM", "SCRAM-SHA-256"),
        ),
        (
            "the broker's certificate has expired, is for another host name, or",
            access.with_scram(mailer("authority")).with("KAFKA_CA_FILE", ""),
        ),
        (
            "KAFKA_SECURITY_PROTOCOL is not that of the broker's listener",
            access.to_plain_listener(access.with_scram(user("to-plain-listener"))),
        ),
        // Neither side says more.
        (
            "topics can't be created yet; trying again error=\"Admin operation error: OperationTimedOut",
            access.without_tls(access.with_scram(mailer("without-tls"))),
        ),
    ]
}
