//! `POST /api/register`

use crate::world::{Answer, World, code, registered_elsewhere, verified_elsewhere};
use contract::{
    event::{Event, Mailing},
    topic::Topic,
};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

fn fields(answer: &Answer) -> Vec<String> {
    answer.body["data"].as_object().unwrap().keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_registration_is_in_the_log_and_its_values_are_echoed() {
    let world = World::start().await;
    let replica = world.replica().await;
    let body = json!({"first_name": "José", "last_name": "O’Neil", "email": "Jose@BÜCHER.example", "locale": "pt-BR"});
    let answer = replica.post("/api/register", body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(answer.body["status"], true);
    assert_eq!(answer.headers["content-language"], "pt-BR");
    let data = &answer.body["data"];
    assert_eq!(data["first_name"], "José");
    assert_eq!(data["last_name"], "O’Neil");
    assert_eq!(data["email"], "Jose@BÜCHER.example");
    assert_eq!(data["resend_after"], 60);
    let [(Mailing::FirstCode, event)] = &world.registrations().await[..] else { panic!("one event") };
    assert_eq!(event.registration.to_string(), data["id"].as_str().unwrap());
    assert_ne!(event.id.to_string(), data["id"].as_str().unwrap(), "the account's id is told to nobody yet");
    assert_eq!(event.email.as_str(), "Jose@xn--bcher-kva.example");
    assert_eq!((event.send, event.resends, event.locale.as_str()), (1, 0, "pt-BR"));
    let ends_at = Timestamp::from_second(i64::try_from((event.window + 1) * 3600 + 900).unwrap()).unwrap();
    assert_eq!(event.expires_at, ends_at, "a quarter of an hour after the clock's hour");
    assert_eq!(data["expires_at"], format!("{ends_at:.3}"));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_as_good_as_json() {
    let world = World::start().await;
    let replica = world.replica().await;
    let form = [("first_name", "Ada"), ("last_name", "Lovelace"), ("email", "ada+a&b@example.com")];
    let request = replica
        .request(Method::POST, "/api/register")
        .header("accept-language", "de-CH, en;q=0.5")
        .form(&form);
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(answer.body["data"]["email"], "ada+a&b@example.com");
    assert_eq!(world.mails_to("ada+a&b@example.com").await[0].locale.as_str(), "de-CH");
    replica.stop().await;
}

/// Both register inside the cool-down.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_first_the_owner_verifies_with_exactly_what_she_entered() {
    let world = World::start().await;
    let replica = world.replica().await;
    let strangers =
        json!({"first_name": "Eve", "last_name": "Evil", "email": "ADA@example.com", "locale": "fr"});
    let owners =
        json!({"first_name": "Ada", "last_name": "Lovelace", "email": "Ada@Example.com", "locale": "pt-BR"});
    for (number, (first, second)) in [(&strangers, &owners), (&owners, &strangers)].into_iter().enumerate() {
        let with_address = |body: &Value| {
            let mut body = body.clone();
            body["email"] = json!(body["email"].as_str().unwrap().replace('@', &format!("{number}@")));
            body
        };
        let (first, second) = (with_address(first), with_address(second));
        let ids = [
            replica.post("/api/register", first.clone()).await,
            replica.post("/api/register", second.clone()).await,
        ]
        .map(|answer| answer.body["data"]["id"].as_str().unwrap().to_owned());
        assert_ne!(ids[0], ids[1], "each request has a registration of its own");
        let mails = world.mails_to(&format!("ada{number}@example.com")).await;
        assert_eq!(mails.len(), 1, "inside the cool-down nothing more is mailed");
        let (own, id) = if number == 0 { (second, &ids[1]) } else { (first, &ids[0]) };
        assert_eq!(replica.verify(id, &code(&mails[0])).await.status, StatusCode::OK);
        let verified = world.events(Topic::Verified).await;
        let Some(Event::Verified(event)) = verified.iter().find(|event| event.account_id() == mails[0].id)
        else {
            panic!("verified");
        };
        assert_eq!(event.registration.to_string(), *id);
        assert_eq!(
            json!({"first_name": event.first_name.as_str(), "last_name": event.last_name.as_str(), "email": event.email.as_str(), "locale": event.locale.as_str()}),
            own
        );
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_of_a_window_have_doubling_pauses_and_the_same_code() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RESEND_COOLDOWN", "1s")]).await;
    replica.registered("ada@example.com").await;
    replica.registered("ada@example.com").await;
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    replica.registered("ada@example.com").await;
    // The next place is free two seconds after that.
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    replica.registered("ada@example.com").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    replica.registered("ada@example.com").await;
    let mut all = world.registrations().await;
    all.sort_by_key(|(_, event)| event.occurred_at);
    let mailed: Vec<_> = all.iter().map(|(mailing, event)| (*mailing, event.send)).collect();
    assert_eq!(
        mailed,
        [
            (Mailing::FirstCode, 1),
            (Mailing::Nothing, 1),
            (Mailing::FurtherCode, 2),
            (Mailing::Nothing, 2),
            (Mailing::FurtherCode, 3),
        ]
    );
    let codes: Vec<_> = all.iter().map(|(_, event)| code(event)).collect();
    assert!(codes.iter().all(|code| *code == codes[0]), "a window has one code");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_address_gets_the_same_answer_and_its_owner_no_mail_on_top_of_the_codes_of_that_window() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RESEND_COOLDOWN", "1s")]).await;
    let id = replica.registered("ada@example.com").await;
    let code = code(&world.registration(&id).await);
    assert_eq!(replica.verify(&id, &code).await.status, StatusCode::OK);
    let known = replica.register("ada@example.com").await;
    let unknown = replica.register("bob@example.com").await;
    assert_eq!((known.status, fields(&known)), (unknown.status, fields(&unknown)));
    assert_eq!(known.body["message"], unknown.body["message"]);
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    replica.register("ada@example.com").await;
    let of_ada =
        world.registrations().await.into_iter().filter(|(_, it)| it.email.as_str() == "ada@example.com");
    let mut mailed: Vec<_> = of_ada.map(|(mailing, it)| (it.occurred_at, mailing, it.send)).collect();
    mailed.sort_by_key(|(at, ..)| *at);
    let mailed: Vec<_> = mailed.into_iter().map(|(_, mailing, send)| (mailing, send)).collect();
    assert_eq!(mailed, [(Mailing::FirstCode, 1), (Mailing::Nothing, 1), (Mailing::Nothing, 2)]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_verified_address_gets_one_notice_in_a_window() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RESEND_COOLDOWN", "1s")]).await;
    let long_ago = Duration::from_secs(5 * 3600);
    world.write(&verified_elsewhere(&registered_elsewhere("ada@example.com", long_ago), long_ago)).await;
    replica.reads_all().await;
    for _ in 0..2 {
        replica.registered("ada@example.com").await;
    }
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    replica.registered("ada@example.com").await;
    let mut mailed: Vec<_> = world
        .registrations()
        .await
        .into_iter()
        .map(|(mailing, it)| (it.occurred_at, mailing, it.send))
        .collect();
    mailed.sort_by_key(|(at, ..)| *at);
    let mailed: Vec<_> = mailed.into_iter().map(|(_, mailing, send)| (mailing, send)).collect();
    assert_eq!(mailed, [(Mailing::Notice, 1), (Mailing::Nothing, 1), (Mailing::Nothing, 2)]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_max_pending_every_registration_is_refused_and_the_mailed_code_still_verifies() {
    let world = World::start().await;
    let replica = world.replica_with(&[("MAX_PENDING", "1"), ("RESEND_COOLDOWN", "1s")]).await;
    let id = replica.registered("ada@example.com").await;
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    for refused in [
        replica.register("bob@example.com").await,
        replica.register("ada@example.com").await,
        replica.resend(&id).await,
    ] {
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
        assert_eq!(refused.problem(), "unavailable");
        assert!(refused.headers.contains_key("retry-after"));
    }
    let code = code(&world.registration(&id).await);
    assert_eq!(replica.verify(&id, &code).await.status, StatusCode::OK, "nothing was evicted");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_with_a_tag_share_ten_mails_and_the_plain_one_has_its_own() {
    let world = World::start().await;
    let replica = world.replica().await;
    let burst = (0..60).map(|tag| {
        let email = format!("Ada+{tag}@example.com");
        let replica = &replica;
        async move { replica.registered(&email).await }
    });
    futures_util::future::join_all(burst).await;
    replica.registered("ada@example.com").await;
    let mailed: Vec<_> = world
        .registrations()
        .await
        .into_iter()
        .map(|(mailing, it)| (it.email.as_str() == "ada@example.com", mailing))
        .collect();
    let count = |wanted| mailed.iter().filter(|it| **it == wanted).count();
    assert_eq!(count((false, Mailing::FirstCode)), 10);
    assert_eq!(count((false, Mailing::Nothing)), 50);
    assert_eq!(count((true, Mailing::FirstCode)), 1, "at once");
    let metrics = replica.metrics().await;
    assert!(metrics.contains("user_service_mails_withheld_total{reason=\"tagged\"} 50"), "{metrics}");
    replica.stop().await;
}
