//! `user-service forget`

use crate::world::{
    World, account_of, code, registered_elsewhere, stop, token, verified_elsewhere, wrong_code,
};
use contract::{
    event::{Event, Mailing},
    topic::Topic,
};
use reqwest::StatusCode;
use std::time::Duration;

/// The command waits for the sum of these two before it looks for late verifications.
const SETTINGS: [(&str, &str); 2] = [("MAX_CLOCK_SKEW", "1ms"), ("PUBLISH_TIMEOUT", "2s")];

/// Asks replicas that started before the tombstone and after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_account_begins_anew_with_other_codes_and_mails() {
    let world = World::start().await;
    let first = world.replica().await;
    let id = first.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    assert_eq!(first.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    world.write_record(Topic::Verified, "", &issued.id.to_string(), None).await;
    let second = world.replica().await;
    for replica in [&first, &second] {
        replica.reads_all().await;
        assert!(replica.metrics().await.contains("user_service_verified_accounts 0"));
        assert_eq!(replica.open_link(&id, &token(&issued)).await.problem(), "wrong-token");
    }
    // The code from before is wrong now. Trying it was the first guess.
    for replica in [&first, &second] {
        assert_eq!(replica.verify(&id, &code(&issued)).await.body["attempts_left"], 4);
    }
    for left in [3, 2, 1, 0] {
        assert_eq!(second.verify(&id, &wrong_code(&issued, left)).await.body["attempts_left"], left);
    }
    assert_eq!(first.verify(&id, &wrong_code(&issued, 9)).await.status, StatusCode::GONE);

    let answer = first.register("ada@example.com").await;
    let new_id = answer.body["data"]["id"].as_str().unwrap();
    let third = world.replica().await;
    for (replica, number) in [(&second, 0), (&third, 1)] {
        let answer = replica.verify(new_id, &wrong_code(&issued, number)).await;
        assert_eq!(answer.problem(), "wrong-code", "known everywhere at once");
    }
    let other = first.register("bob@example.com").await;
    assert_eq!(answer.body["data"]["expires_at"], other.body["data"]["expires_at"], "which says nothing");
    let anew = world.registration(new_id).await;
    assert!(anew.window > issued.window, "the account is ahead of the clock");
    assert_eq!((anew.id, anew.send), (issued.id, 1), "and has a mail at once");
    let mail_id = |event| Event::Registered(Mailing::FirstCode, event).mail_id();
    assert_ne!((mail_id(anew.clone()), code(&anew)), (mail_id(issued.clone()), code(&issued)));
    assert_eq!(first.verify(new_id, &code(&issued)).await.problem(), "wrong-code");
    assert_eq!(first.open_link(new_id, &token(&issued)).await.problem(), "wrong-token");
    assert_eq!(third.verify(new_id, &code(&anew)).await.status, StatusCode::OK);
    let verified: Vec<_> = world.events(Topic::Verified).await.iter().map(Event::event_id).collect();
    assert!(
        matches!(verified[..], [first, second] if first != second),
        "each verification has its confirmation"
    );
    stop([first, second, third]).await;
}
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_verified_while_it_is_being_forgotten_ends_forgotten() {
    let world = World::start().await;
    let replica = world.replica_with(&SETTINGS).await;
    let registered = registered_elsewhere("ada@example.com", Duration::from_secs(1));
    world.write(&verified_elsewhere(&registered, Duration::from_secs(1))).await;
    let under_way = async {
        while !replica.metrics().await.contains("user_service_verified_accounts 0") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.write(&verified_elsewhere(&registered, Duration::ZERO)).await;
        while !replica.metrics().await.contains("user_service_verified_accounts 1") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    replica.reads_all().await;
    assert_eq!(registered.id, account_of("ada@example.com"));
    tokio::join!(world.forget("ada@example.com", &SETTINGS), under_way);
    replica.reads_all().await;
    assert!(replica.metrics().await.contains("user_service_verified_accounts 0"));
    replica.stop().await;
}
