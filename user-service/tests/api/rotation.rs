//! Rotating `CODE_SECRETS`: add a key in second place everywhere, then move it to the front, then drop the old one.

use crate::world::{CODE_SECRETS, World};
use reqwest::StatusCode;
use shared::{
    code_secrets::CodeSecrets,
    event::{CodeIssued, Event},
    topic::Topic,
    verification_code::VerificationCode,
};

const NEW_KEY: &str = "k2:WllYV1ZVVFNSUVBPTk1MS0pJSEdGRURDQkE5ODc2NTQ=";

/// The code of the mail, made with the key that the event names, as the notification service makes it.
fn code(event: &CodeIssued) -> String {
    let secrets = CodeSecrets::parse(&format!("{CODE_SECRETS},{NEW_KEY}")).unwrap();
    let key = secrets.get(&event.key).expect("a known key");
    VerificationCode::derive(key, event.id, &event.email, event.window, event.generation).digits().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_of_the_old_key_verify_as_long_as_it_is_listed_and_ids_stay() {
    let world = World::start().await;
    let before = world.replica().await;
    let ada = before.registered("ada@example.com").await;
    let bob = before.registered("bob@example.com").await;
    before.stop().await;

    let both = format!("{NEW_KEY},{CODE_SECRETS}");
    let rotated = world.replica_with(&[("CODE_SECRETS", &both), ("RESEND_COOLDOWN", "1ms")]).await;
    let issued = world.newest_code(&ada).await;
    assert_eq!(issued.key.to_string(), "k1");
    assert_eq!(rotated.verify(&ada, &code(&issued)).await.status, StatusCode::OK);
    assert_eq!(rotated.registered("bob@example.com").await, bob, "the same id");
    let resent = world.newest_code(&bob).await;
    assert_eq!((resent.send, resent.key.to_string().as_str()), (2, "k1"), "the same code while it is valid");
    let eve = rotated.registered("eve@example.com").await;
    let issued = world.newest_code(&eve).await;
    assert_eq!(issued.key.to_string(), "k2", "new codes are made with the first key");
    assert_eq!(rotated.verify(&eve, &code(&issued)).await.status, StatusCode::OK);
    rotated.stop().await;

    let dropped = world.replica_with(&[("CODE_SECRETS", NEW_KEY)]).await;
    let answer = dropped.verify(&bob, &code(&resent)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "the old key is no longer accepted");
    dropped.stop().await;
    assert_eq!(
        world.events(Topic::Created).await.iter().filter(|event| matches!(event, Event::Created(_))).count(),
        3
    );
}
