//! Rotating `CODE_SECRETS`: add a key in second place everywhere, then move it to the front, then drop the old one.

use crate::world::{CODE_SECRETS, DEADLINE, Replica, World};
use contract::{
    code_secrets::CodeSecrets,
    event::Registered,
    verification_code::{LinkToken, VerificationCode},
};
use reqwest::StatusCode;
use std::time::{Duration, Instant};

const NEW_KEY: &str = "k2:WllYV1ZVVFNSUVBPTk1MS0pJSEdGRURDQkE5ODc2NTQ=";

/// Code and token of the mail, made with the key that the event names, as the notification service makes them.
fn proofs(event: &Registered) -> (String, String) {
    let secrets = CodeSecrets::parse(&format!("{CODE_SECRETS},{NEW_KEY}")).unwrap();
    let key = secrets.get(&event.key).expect("a known key");
    let code = VerificationCode::derive(key, event.id, &event.email, event.window);
    (code.digits().to_owned(), LinkToken::derive(key, event.id, &event.email, event.window).to_text())
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_links_of_the_old_key_verify_as_long_as_it_is_listed() {
    let world = World::start().await;
    let before = world.replica().await;
    let ada = before.registered("ada@example.com").await;
    let bob = before.registered("bob@example.com").await;
    let eve = before.registered("eve@example.com").await;
    before.stop().await;

    let both = format!("{NEW_KEY},{CODE_SECRETS}");
    let rotated = world.replica_with(&[("CODE_SECRETS", &both), ("RESEND_COOLDOWN", "1s")]).await;
    let issued = world.registration(&ada).await;
    assert_eq!(issued.key.to_string(), "k1");
    assert_eq!(rotated.verify(&ada, &proofs(&issued).0).await.status, StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(1_020)).await;
    rotated.registered("bob@example.com").await;
    let [first, second] = &world.mails_to("bob@example.com").await[..] else { panic!("two mails") };
    assert_eq!(
        (second.send, second.key.to_string().as_str()),
        (2, "k2"),
        "new codes are made with the first key"
    );
    assert_ne!(proofs(first), proofs(second));
    assert_eq!(rotated.open_link(&bob, &proofs(first).1).await.status, StatusCode::OK);
    assert_eq!(rotated.verify(&bob, &proofs(second).0).await.status, StatusCode::OK);
    rotated.stop().await;

    let dropped = world.replica_with(&[("CODE_SECRETS", NEW_KEY)]).await;
    let (code, token) = proofs(&world.registration(&eve).await);
    assert_eq!(
        dropped.verify(&eve, &code).await.problem(),
        "wrong-code",
        "the old key is no longer accepted"
    );
    assert_eq!(dropped.open_link(&eve, &token).await.problem(), "wrong-token");
    dropped.stop().await;
}

/// Waits until a line of `/metrics` is there.
async fn shown(replica: &Replica, line: &str) {
    let started = Instant::now();
    while !replica.metrics().await.lines().any(|shown| shown == line) {
        assert!(started.elapsed() < DEADLINE, "{line}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_in_the_file_needs_no_restart_and_a_broken_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let write = |content: &str| std::fs::write(&path, content).unwrap();
    write(&format!("{CODE_SECRETS}\n"));
    let world = World::start().await;
    let file = path.to_str().unwrap();
    let replica = world.replica_with(&[("CODE_SECRETS", ""), ("CODE_SECRETS_FILE", file)]).await;
    let ada = replica.registered("ada@example.com").await;
    let bob = replica.registered("bob@example.com").await;
    for broken in ["", "k2", "k2:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        write(broken);
        shown(&replica, "user_service_secret_files_in_use 0").await;
        replica.registered(&format!("broken{}@example.com", broken.len())).await;
    }
    shown(&replica, "user_service_code_key_place{key=\"k1\"} 1").await;

    write(&format!("{CODE_SECRETS},{NEW_KEY}\r\n"));
    shown(&replica, "user_service_code_key_place{key=\"k2\"} 2").await;
    shown(&replica, "user_service_secret_files_in_use 1").await;
    write(&format!("{NEW_KEY},{CODE_SECRETS}"));
    shown(&replica, "user_service_code_key_place{key=\"k2\"} 1").await;
    let eve = replica.registered("eve@example.com").await;
    assert_eq!(world.registration(&eve).await.key.to_string(), "k2");
    let (code, _) = proofs(&world.registration(&ada).await);
    assert_eq!(replica.verify(&ada, &code).await.status, StatusCode::OK, "the old key is still listed");

    write(NEW_KEY);
    let started = Instant::now();
    while replica.metrics().await.contains("code_key_place{key=\"k1\"}") {
        assert!(started.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (code, token) = proofs(&world.registration(&bob).await);
    assert_eq!(replica.verify(&bob, &code).await.problem(), "wrong-code");
    assert_eq!(replica.open_link(&bob, &token).await.problem(), "wrong-token");
    let (code, _) = proofs(&world.registration(&eve).await);
    assert_eq!(replica.verify(&eve, &code).await.status, StatusCode::OK);
    replica.stop().await;
}
