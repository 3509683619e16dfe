//! `POST /api/resend`

use crate::world::{Answer, World, account_of, code, registered_elsewhere, verified_elsewhere};
use contract::event::{Event, Mailing, Registered};
use reqwest::StatusCode;
use serde_json::json;
use std::time::Duration;

/// The seconds that a refused client has to wait.
fn retry_after(answer: &Answer) -> u64 {
    assert_eq!((answer.status, answer.problem()), (StatusCode::TOO_MANY_REQUESTS, "too-soon"), "{answer:?}");
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    answer.body["data"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_cool_down_the_same_data_are_registered_again_and_the_code_is_mailed_again() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RESEND_COOLDOWN", "1s")]).await;
    let first = replica.registered("Ada@example.com").await;
    assert_eq!(retry_after(&replica.resend(&first).await), 1);
    tokio::time::sleep(Duration::from_millis(1_020)).await;
    let answer = replica.resend(&first).await;
    let second = id(&answer);
    assert_ne!(first, second);
    assert_eq!(answer.body["message"], "If this address can get another mail now, one is on its way.");
    assert_eq!(answer.body["data"]["resend_after"], 2);
    let [mailed, again] = &world.mails_to("ada@example.com").await[..] else { panic!("two mails") };
    assert_eq!((again.registration.to_string(), again.send, again.resends), (second.clone(), 2, 1));
    assert_eq!(answer.body["data"]["expires_at"], format!("{:.3}", again.expires_at));
    assert_eq!(code(again), code(mailed));
    let Registered { first_name, last_name, email, locale, .. } = mailed;
    assert_eq!(
        (first_name, last_name, email, locale),
        (&again.first_name, &again.last_name, &again.email, &again.locale)
    );
    // The old registration does not change.
    assert_eq!(replica.verify(&first, &code(mailed)).await.status, StatusCode::OK);
    assert_eq!(replica.verify(&second, &code(mailed)).await.status, StatusCode::OK);
    replica.stop().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn the_wait_doubles_with_each_resend_and_depends_on_the_registration_alone() {
    let world = World::start().await;
    let replica = world.replica().await;
    let ago = |seconds| Duration::from_secs(seconds);
    let made =
        |seconds, resends| Registered { resends, ..registered_elsewhere("ada@example.com", ago(seconds)) };
    // Other requests for the address don't matter.
    replica.registered("ada@example.com").await;
    let (young, old, child, grandchild) = (made(30, 0), made(61, 0), made(61, 1), made(100, 31));
    for event in [&young, &old, &child, &grandchild] {
        world.write(&Event::Registered(Mailing::Nothing, event.clone())).await;
    }
    replica.reads_all().await;
    let resend = async |event: &Registered| replica.resend(&event.registration.to_string()).await;
    assert!((28..=30).contains(&retry_after(&resend(&young).await)));
    assert!((57..=59).contains(&retry_after(&resend(&child).await)), "two minutes after it was made");
    assert!(retry_after(&resend(&grandchild).await) > 1_000_000);
    let answer = resend(&old).await;
    assert_eq!(answer.body["data"]["resend_after"], 120);
    let r1 = id(&answer);
    assert!((119..=120).contains(&retry_after(&replica.resend(&r1).await)));
    // The first one can be used again.
    id(&resend(&old).await);
    let written = world.registrations().await.into_iter();
    assert_eq!(written.filter(|(_, it)| it.resends == 1).count(), 3, "a refused request writes nothing");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_id_is_404_and_so_is_what_is_no_id() {
    let world = World::start().await;
    let replica = world.replica().await;
    for id in ["11111111-1111-4111-9111-111111111111", "not an id"] {
        let answer = replica.resend(id).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::NOT_FOUND, "unknown-id"));
    }
    for body in [json!({}), json!({"id": 7}), json!({"id": "x", "uid": "y"})] {
        let answer = replica.post("/api/resend", body).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields"));
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_verified_account_it_looks_the_same_and_its_owner_gets_one_notice() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RESEND_COOLDOWN", "1s")]).await;
    let long_ago = Duration::from_secs(5 * 3600);
    world.write(&verified_elsewhere(&registered_elsewhere("ada@example.com", long_ago), long_ago)).await;
    replica.reads_all().await;
    let (known, unknown) =
        (replica.registered("ada@example.com").await, replica.registered("bob@example.com").await);
    tokio::time::sleep(Duration::from_millis(1_020)).await;
    let (known, unknown) = (replica.resend(&known).await, replica.resend(&unknown).await);
    assert_eq!(known.status, unknown.status);
    let fields =
        |answer: &Answer| answer.body["data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&known), fields(&unknown));
    let ada = account_of("ada@example.com");
    let of_ada = world.registrations().await.into_iter().filter(|(_, it)| it.id == ada);
    let mut mailed: Vec<_> = of_ada.map(|(mailing, it)| (it.send, mailing)).collect();
    mailed.sort_by_key(|(send, _)| *send);
    assert_eq!(mailed, [(1, Mailing::Notice), (2, Mailing::Nothing)]);
    replica.stop().await;
}
