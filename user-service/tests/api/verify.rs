//! `POST /api/verify`

use crate::world::{Answer, World, code, token, wrong_code};
use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::{event::Event, topic::Topic};

#[tokio::test(flavor = "multi_thread")]
async fn the_mailed_code_verifies_and_that_is_in_the_log() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let code = code(&world.newest_code(&id).await);
    let answer = replica.verify(&id, &code).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["status"], true);
    assert_eq!(answer.body["data"], json!({"id": id}));
    let [Event::Verified(event)] = &world.events(Topic::Verified).await[..] else { panic!("one event") };
    assert_eq!((event.id.to_string().as_str(), event.email.as_str()), (id.as_str(), "ada@example.com"));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spaces_dashes_forms_and_the_older_field_name_are_accepted() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let code = code(&world.newest_code(&id).await);
    let spaced = format!(" {}-{} ", &code[..3], &code[3..]);
    let request = replica.request(Method::POST, "/api/verify").form(&[("uid", &id), ("code", &spaced)]);
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_code_again_is_a_success_that_costs_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let code = code(&world.newest_code(&id).await);
    for _ in 0..8 {
        assert_eq!(replica.verify(&id, &code).await.status, StatusCode::OK);
    }
    assert_eq!(world.events(Topic::Verified).await.len(), 1);
    assert_eq!(world.events(Topic::Activity).await.len(), 1, "one attempt");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_code_again_may_be_an_old_one_where_the_end_of_the_log_cannot_be_seen() {
    let world = World::start().await;
    let replica = world.replica_with(&[("PUBLISH_TIMEOUT", "2s")]).await;
    let id = replica.registered("ada@example.com").await;
    let code = code(&world.newest_code(&id).await);
    assert_eq!(replica.verify(&id, &code).await.status, StatusCode::OK);
    world.end().await;
    let answer = replica.verify(&id, &code).await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_codes_are_compared_and_then_also_the_right_one_is_refused() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    for left in (0..5).rev() {
        let answer = replica.verify(&id, &wrong_code(&issued)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
        assert_eq!((answer.problem(), &answer.body["attempts_left"]), ("wrong-code", &json!(left)));
    }
    for code in [wrong_code(&issued), code(&issued)] {
        let answer = replica.verify(&id, &code).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::GONE, "no-longer-valid"));
    }
    assert!(world.events(Topic::Verified).await.is_empty());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_code_has_a_budget_of_its_own_and_the_old_one_stays_invalid() {
    let world = World::start().await;
    let replica = world.replica_with(&[("CODE_ATTEMPTS", "1"), ("RESEND_COOLDOWN", "1ms")]).await;
    let id = replica.registered("ada@example.com").await;
    let first = world.newest_code(&id).await;
    replica.verify(&id, &wrong_code(&first)).await;
    replica.registered("ada@example.com").await;
    let second = world.newest_code(&id).await;
    assert_eq!(second.generation, 1);
    assert_ne!(code(&first), code(&second));
    assert_eq!(replica.verify(&id, &code(&second)).await.status, StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_verifies_also_when_strangers_have_used_up_the_attempts() {
    let world = World::start().await;
    let replica = world.replica_with(&[("CODE_ATTEMPTS", "1")]).await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    replica.verify(&id, &wrong_code(&issued)).await;
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::GONE);
    let other = world.newest_code(&replica.registered("bob@example.com").await).await;
    let answer = replica.post("/api/verify", json!({"id": id, "token": token(&other)})).await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "wrong-token"));
    let answer = replica.post("/api/verify", json!({"id": id, "token": token(&issued)})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_code_is_gone() {
    let world = World::start().await;
    let replica = world.replica_with(&[("CODE_TTL", "1ms")]).await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    for proof in [json!({"id": id, "code": code(&issued)}), json!({"id": id, "token": token(&issued)})] {
        let answer = replica.post("/api/verify", proof).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::GONE, "no-longer-valid"));
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_nobody_registered_is_unknown() {
    let world = World::start().await;
    let replica = world.replica().await;
    let answer = replica.verify("11111111-1111-8111-9111-111111111111", "123456").await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::NOT_FOUND, "unknown-id"));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_six_digits_is_refused_without_counting() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    for code in ["", "12345", "1234567", "abcdef", "①②③④⑤⑥"] {
        let answer = replica.verify(&id, code).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields"),
            "{code}"
        );
        assert_eq!(answer.body["errors"][0]["field"], "code");
    }
    assert!(world.events(Topic::Activity).await.is_empty(), "no attempt was spent");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_at_a_verified_account_sees_a_pending_one() {
    let world = World::start().await;
    let replica = world.replica_with(&[("CODE_TTL", "1s"), ("RESEND_COOLDOWN", "1ms")]).await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    let started = std::time::Instant::now();
    while replica.verify(&id, &code(&issued)).await.status != StatusCode::GONE {
        assert!(started.elapsed().as_secs() < 10, "the first code expires");
    }
    // Somebody registers the address again, and guesses: also what was the right code is wrong now.
    replica.registered("ada@example.com").await;
    let answer = replica.verify(&id, &code(&issued)).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::UNPROCESSABLE_ENTITY, "wrong-code"),
        "{answer:?}"
    );
    assert!(answer.body["attempts_left"].is_u64());
    replica.stop().await;
}
