//! OAUTHBEARER with a token in a file: it is renewed while the services run, and each refusal is named in the log.

use acceptance::{
    api::Api,
    inbox::{VERIFIED, VERIFY},
    kafka::sasl_ssl::SaslSsl,
    ledger::Registration,
    world::World,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use reqwest::StatusCode;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(30);
/// Of each token, in seconds.
const LIFE: i64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn services_outlive_their_tokens_and_each_refusal_is_named_in_the_log() {
    let (world, access) = start().await;
    let file = world.folder().join("token");
    let renewing = tokio::spawn(renew(file.clone()));
    let mut user_service = access.with_token(world.user_service("user"), &file);
    let mut mailer = access.with_token(world.notification_service("notification"), &file);
    user_service.start_and_wait().await;
    mailer.start_and_wait().await;
    let began = Instant::now();
    refusals(&world, &access).await;
    // All sessions are those of later tokens now.
    sleep(Duration::from_secs(2 * LIFE.unsigned_abs()).saturating_sub(began.elapsed())).await;
    let api = Api::new(user_service.address());
    let registration = Registration::accepted(&api, "ada@example.com".to_owned()).await;
    let mail = world.inbox.first(&registration.email, VERIFY, LIMIT).await;
    assert_eq!(api.verify(&registration.id, mail.code()).await.status, StatusCode::OK);
    world.inbox.first(&registration.email, VERIFIED, LIMIT).await;
    mailer.command(&["dead-letters", "list"]).await;
    for service in [&mut user_service, &mut mailer] {
        service.stop().await;
        let log = service.log_text();
        assert!(!log.contains("eyJ"), "a token is in {}", service.log().display());
        assert!(
            !log.contains("gets no answer"),
            "a client was without a token, see {}",
            service.log().display()
        );
    }
    renewing.abort();
}

async fn refusals(world: &World, access: &SaslSsl) {
    let expired = world.folder().join("expired");
    write(&expired, &token(-LIFE));
    let opaque = world.folder().join("opaque");
    write(&opaque, "opaque");
    let mut refused = [
        ("the token in KAFKA_TOKEN_FILE expired", expired),
        ("KAFKA_TOKEN_FILE: expected a readable file with a token", world.folder().join("nowhere")),
        ("the broker refuses the token in KAFKA_TOKEN_FILE", opaque),
    ]
    .map(|(reason, file)| {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        (reason, access.with_token(world.user_service(&name), &file))
    });
    for (_, service) in &mut refused {
        service.start();
    }
    for (reason, service) in &mut refused {
        service.alive_and_not_ready().await;
        service.logs(reason).await;
        service.alive_and_not_ready().await;
        service.kill();
    }
}

/// Writes a new token every second, as a sidecar does.
async fn renew(file: PathBuf) {
    loop {
        write(&file, &token(LIFE));
        sleep(Duration::from_secs(1)).await;
    }
}

/// Readers see the old token or the new one.
fn write(file: &Path, token: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, token).expect("a file");
    std::fs::rename(next, file).expect("a file");
}

/// An unsigned JWT (RFC 7519, 6) that expires in so many seconds.
fn token(life: i64) -> String {
    let now = Timestamp::now().as_second();
    let claims = format!(r#"{{"sub":"two-step-signup","iat":{},"exp":{}}}"#, now - 60, now + life);
    format!(
        "{}.{}.",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(claims)
    )
}

async fn start() -> (World, SaslSsl) {
    let mut world = World::new().await;
    let access = world.kafka.require_tls_and_login();
    world.inbox.start().await;
    world.kafka.start().await;
    (world, access)
}
