//! OAUTHBEARER with a token in a file: it is renewed while the services run, and each refusal is named in the log.

use crate::access::{does_not_start, get_in, sign_up, stay_out, world_with};
use acceptance::{
    kafka::{Kafka, sasl_ssl::SaslSsl},
    world::World,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Of each token, in seconds.
const LIFE: i64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn services_outlive_their_tokens_and_each_refusal_is_named_in_the_log() {
    let (world, access) = world_with(Kafka::require_tls_and_login).await;
    let file = world.folder().join("token");
    write(&file, &token(LIFE));
    let renewing = tokio::spawn(renew(file.clone()));
    let mut user_service = access.with_token(world.user_service("user"), &file);
    let mut mailer = access.with_token(world.notification_service("notification"), &file);
    get_in([&mut user_service, &mut mailer]).await;
    let began = Instant::now();
    refusals(&world, &access).await;
    // All sessions are those of later tokens now.
    sleep(Duration::from_secs(2 * LIFE.unsigned_abs()).saturating_sub(began.elapsed())).await;
    sign_up(&world, &user_service).await;
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
    let with_token = |name: &str, content: &str| {
        let file = world.folder().join(name);
        write(&file, content);
        access.with_token(world.user_service(name), &file)
    };
    stay_out(&mut [
        ("the token in KAFKA_TOKEN_FILE expired", with_token("expired", &token(-LIFE))),
        ("the broker refuses the token in KAFKA_TOKEN_FILE", with_token("opaque", "opaque")),
    ])
    .await;
    let nowhere = world.folder().join("nowhere");
    does_not_start("KAFKA_TOKEN_FILE: ", &mut access.with_token(world.user_service("without"), &nowhere))
        .await;
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
