//! `POST /api/register`

use crate::world::{Answer, World};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::{event::Event, topic::Topic};

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_registration_is_in_the_log_and_its_values_are_echoed() {
    let world = World::start().await;
    let replica = world.replica().await;
    let before = Timestamp::now();
    let body = json!({"first_name": "José", "last_name": "O’Neil", "email": "Jose@BÜCHER.example", "locale": "pt-BR"});
    let answer = replica.post("/api/register", body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(answer.body["status"], true);
    assert!(answer.body["message"].is_string());
    let data = &answer.body["data"];
    assert_eq!(data["first_name"], "José");
    assert_eq!(data["last_name"], "O’Neil");
    assert_eq!(data["email"], "Jose@BÜCHER.example");
    assert_eq!(data["resend_after"], 60);
    let expires_at: Timestamp = data["expires_at"].as_str().unwrap().parse().unwrap();
    let life = expires_at.duration_since(before).as_secs();
    assert!((899..=901).contains(&life), "{life} s");
    let [Event::Created(event)] = &world.events(Topic::Created).await[..] else { panic!("one event") };
    assert_eq!(event.id.to_string(), data["id"].as_str().unwrap());
    assert_eq!(event.email.as_str(), "Jose@xn--bcher-kva.example");
    assert_eq!((event.generation, event.send, event.locale.as_str()), (0, 1, "pt-BR"));
    assert_eq!(event.expires_at, expires_at);
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
    let [Event::Created(event)] = &world.events(Topic::Created).await[..] else { panic!("one event") };
    assert_eq!(event.locale.as_str(), "de-CH");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_again_in_the_cool_down_is_recorded_but_changes_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let first = replica.registered("ada@example.com").await;
    let again = replica.register("ADA@example.com").await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    assert_eq!(again.body["data"]["id"], first.as_str(), "one person, one id");
    assert_eq!(world.events(Topic::Created).await.len(), 1);
    assert!(matches!(&world.events(Topic::Activity).await[..], [Event::RegistrationRepeated(_)]));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_again_after_the_cool_down_mails_the_same_code_again() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RESEND_COOLDOWN", "1ms")]).await;
    let id = replica.registered("ada@example.com").await;
    let first = world.newest_code(&id).await;
    replica.registered("ada@example.com").await;
    let [Event::CodeResent(second)] = &world.events(Topic::Activity).await[..] else { panic!("one event") };
    assert_eq!((second.generation, second.send, second.window), (0, 2, first.window));
    assert_ne!(second.event_id, first.event_id);
    assert!(second.expires_at >= first.expires_at);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_address_gets_the_same_answer_and_its_owner_one_notice() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let code = crate::world::code(&world.newest_code(&id).await);
    assert_eq!(replica.verify(&id, &code).await.status, StatusCode::OK);
    let fields =
        |answer: &Answer| answer.body["data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let known = replica.register("ada@example.com").await;
    let unknown = replica.register("bob@example.com").await;
    replica.register("ada@example.com").await;
    assert_eq!((known.status, fields(&known)), (unknown.status, fields(&unknown)));
    assert_eq!(known.body["message"], unknown.body["message"]);
    let exists: Vec<_> = world
        .events(Topic::Activity)
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::AccountExists(event) => Some(event),
            _ => None,
        })
        .collect();
    assert_eq!(exists.len(), 2, "every accepted registration is one record");
    let mailed = exists.iter().filter(|event| event.occurred_at == event.window_started_at).count();
    assert_eq!(mailed, 1, "the owner is told once a window");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_max_pending_new_registrations_are_refused_and_known_ones_are_not() {
    let world = World::start().await;
    let replica = world.replica_with(&[("MAX_PENDING", "1"), ("RESEND_COOLDOWN", "1ms")]).await;
    let id = replica.registered("ada@example.com").await;
    let refused = replica.register("bob@example.com").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    assert_eq!(refused.problem(), "unavailable");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(replica.registered("ada@example.com").await, id);
    let code = crate::world::code(&world.newest_code(&id).await);
    assert_eq!(replica.verify(&id, &code).await.status, StatusCode::OK, "nothing was evicted");
    replica.stop().await;
}
