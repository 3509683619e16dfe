//! `POST /api/verify`

use crate::world::{Answer, World, code, registered_elsewhere, token, verified_elsewhere, wrong_code};
use contract::{
    event::{Attempt, Event, EventId, Mailing},
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn is_wrong(answer: &Answer) -> bool {
    answer.status == StatusCode::UNPROCESSABLE_ENTITY && answer.problem() == "wrong-code"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mailed_code_verifies_and_that_is_in_the_log() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let answer = replica.verify(&id, &code(&world.registration(&id).await)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["status"], true);
    let [Event::Verified(event)] = &world.events(Topic::Verified).await[..] else { panic!("one event") };
    assert_eq!(answer.body["data"], json!({"id": event.id.to_string()}), "the account's own id");
    assert_eq!(
        (event.registration.to_string().as_str(), event.email.as_str()),
        (id.as_str(), "ada@example.com")
    );
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spaces_dashes_forms_and_the_older_field_name_are_accepted() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let code = code(&world.registration(&id).await);
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
    let code = code(&world.registration(&id).await);
    for _ in 0..8 {
        assert_eq!(replica.verify(&id, &code).await.status, StatusCode::OK);
    }
    assert_eq!(world.events(Topic::Verified).await.len(), 1);
    let attempts: Vec<_> = world.events(Topic::Activity).await.iter().map(Event::event_id).collect();
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]), "one guess, however often it is sent");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_code_is_not_accepted_where_the_end_of_the_log_cannot_be_seen() {
    let world = World::start().await;
    let replica = world.replica_with(&[("PUBLISH_TIMEOUT", "2s")]).await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    world.end().await;
    let (code, token) = (code(&issued), token(&issued));
    let (by_code, by_link) = tokio::join!(replica.verify(&id, &code), replica.open_link(&id, &token));
    for answer in [by_code, by_link] {
        assert_eq!((answer.status, answer.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_codes_are_tried_with_an_id_and_then_only_the_link_works() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    for left in (0..5).rev() {
        let answer = replica.verify(&id, &wrong_code(&issued, left)).await;
        assert!(is_wrong(&answer), "{answer:?}");
        assert_eq!(answer.body["attempts_left"], json!(left));
        assert!(answer.body["detail"].as_str().unwrap().contains("link in the email"), "{answer:?}");
    }
    for code in [wrong_code(&issued, 5), code(&issued)] {
        let answer = replica.verify(&id, &code).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::GONE, "no-longer-valid"));
    }
    assert_eq!(world.events(Topic::Activity).await.len(), 5, "the sixth is not published");
    let again = replica.verify(&id, &wrong_code(&issued, 3)).await;
    assert!(
        is_wrong(&again) && again.body["attempts_left"] == 0,
        "a guess that has a place keeps its answer"
    );
    assert!(world.events(Topic::Verified).await.is_empty());
    let other = world.registration(&replica.registered("bob@example.com").await).await;
    let answer = replica.open_link(&id, &token(&other)).await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "wrong-token"));
    assert!(answer.body.get("attempts_left").is_none());
    assert_eq!(replica.open_link(&id, &token(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_registration_of_the_address_has_guesses_of_its_own_and_the_same_code() {
    let world = World::start().await;
    let replica = world.replica_with(&[("CODE_ATTEMPTS", "1")]).await;
    let first = replica.registered("ada@example.com").await;
    let issued = world.registration(&first).await;
    assert!(is_wrong(&replica.verify(&first, &wrong_code(&issued, 0)).await));
    assert_eq!(replica.verify(&first, &code(&issued)).await.status, StatusCode::GONE);
    let second = replica.registered("ada@example.com").await;
    assert_eq!(replica.verify(&second, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_learns_nothing_of_other_guesses_and_the_owner_still_has_the_link() {
    let world = World::start().await;
    let replica = world.replica().await;
    for made_by_owner in [0_u32, 3, 5, 21, 25] {
        let email = format!("owner{made_by_owner}@example.com");
        let owner = replica.registered(&email).await;
        let issued = world.registration(&owner).await;
        for number in 0..made_by_owner {
            let id = if number < 5 { owner.clone() } else { replica.registered(&email).await };
            let answer = replica.verify(&id, &wrong_code(&issued, number)).await;
            assert!(is_wrong(&answer), "{answer:?}");
        }
        for _ in 0..5 {
            let id = replica.registered(&email).await;
            let mut left = Vec::new();
            for number in 100..105 {
                let answer = replica.verify(&id, &wrong_code(&issued, number)).await;
                assert!(is_wrong(&answer), "{answer:?}");
                left.push(answer.body["attempts_left"].as_u64().unwrap());
            }
            assert_eq!(left, [4, 3, 2, 1, 0]);
            assert_eq!(replica.verify(&id, &wrong_code(&issued, 105)).await.status, StatusCode::GONE);
        }
        // The window's 25 guesses are used up, so even the right code is not compared.
        let late = replica.registered(&email).await;
        let answer = replica.verify(&late, &code(&issued)).await;
        assert!(is_wrong(&answer) && answer.body["attempts_left"] == 4, "{answer:?}");
        assert_eq!(replica.open_link(&owner, &token(&issued)).await.status, StatusCode::OK);
    }
    replica.stop().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_a_strangers_mail_verifies_nothing_anew_once_the_owner_has_typed_the_code() {
    let world = World::start().await;
    let replica = world.replica().await;
    let strangers = replica.registered("ada@example.com").await;
    let owners = replica.registered("ada@example.com").await;
    let mail = world.registration(&strangers).await;
    let verified = replica.verify(&owners, &code(&mail)).await;
    assert_eq!(verified.status, StatusCode::OK);
    let clicked = replica.open_link(&strangers, &token(&mail)).await;
    assert_eq!((clicked.status, &clicked.body), (StatusCode::OK, &verified.body));
    assert_eq!(world.events(Topic::Verified).await.len(), 1);
    replica.stop().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_from_before_a_verification_is_answered_as_verified_and_a_later_one_never_is() {
    let world = World::start().await;
    let replica = world.replica_with(&[("MAX_CLOCK_SKEW", "1s")]).await;
    let before = replica.registered("ada@example.com").await;
    let mail = world.registration(&before).await;
    assert_eq!(replica.verify(&before, &code(&mail)).await.status, StatusCode::OK);
    let within_the_skew = replica.registered("ada@example.com").await;
    assert_eq!(replica.verify(&within_the_skew, &code(&mail)).await.status, StatusCode::OK);
    tokio::time::sleep(SECOND).await;
    let after = replica.registered("ada@example.com").await;
    assert!(is_wrong(&replica.verify(&after, &code(&mail)).await));
    assert_eq!(replica.open_link(&after, &token(&mail)).await.problem(), "wrong-token");
    let shown = replica.post("/api/registration", json!({"id": after, "token": token(&mail)})).await;
    assert_eq!(shown.problem(), "wrong-token");
    for proof in [json!({"id": before, "code": code(&mail)}), json!({"id": before, "token": token(&mail)})] {
        assert_eq!(replica.post("/api/verify", proof).await.status, StatusCode::OK);
    }
    assert_eq!(world.events(Topic::Verified).await.len(), 1);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_at_a_verified_account_sees_a_pending_one() {
    let world = World::start().await;
    let replica = world.replica().await;
    let long_ago = Duration::from_secs(5 * 3600);
    let old = registered_elsewhere("ada@example.com", long_ago);
    world.write(&verified_elsewhere(&old, long_ago)).await;
    replica.reads_all().await;
    let id = replica.registered("ada@example.com").await;
    let window = world.registration(&id).await;
    for left in (0..5).rev() {
        let guess = if left == 2 { code(&window) } else { wrong_code(&window, left) };
        let answer = replica.verify(&id, &guess).await;
        assert!(is_wrong(&answer) && answer.body["attempts_left"] == left, "{answer:?}");
    }
    assert_eq!(replica.verify(&id, &code(&window)).await.problem(), "wrong-code", "a guess that has a place");
    assert_eq!(replica.verify(&id, &wrong_code(&window, 9)).await.status, StatusCode::GONE);
    assert_eq!(replica.open_link(&id, &token(&window)).await.problem(), "wrong-token");
    replica.stop().await;
}

/// A producer has written a record twice, and a client sends a guess again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_guess_has_one_place_however_often_it_is_sent_and_written() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    for _ in 0..20 {
        let answer = replica.verify(&id, &wrong_code(&issued, 0)).await;
        assert!(is_wrong(&answer) && answer.body["attempts_left"] == 4, "{answer:?}");
    }
    let written = world.events(Topic::Activity).await;
    for event in written.iter().take(2) {
        world.write(event).await;
    }
    replica.reads_all().await;
    let answer = replica.verify(&id, &wrong_code(&issued, 1)).await;
    assert_eq!(answer.body["attempts_left"], 3, "{answer:?}");
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}

/// Guesses that strangers make in one window don't count in the next.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_another_window_take_nothing_from_this_one() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    for _ in 0..5 {
        let registration = RegistrationId::random();
        for number in 0..5_u8 {
            let mac = std::array::from_fn(|at| registration.as_bytes()[at % 16].wrapping_add(number));
            let (event_id, windows) = (EventId::from_mac(&mac), vec![issued.window - 1]);
            let (request_id, made_at) = (RequestId::random(), issued.occurred_at);
            let attempt = Attempt::new(event_id, issued.id, registration, windows, request_id, made_at);
            world.write(&Event::Attempt(attempt)).await;
        }
    }
    replica.reads_all().await;
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_nobody_registered_or_that_is_none_is_unknown() {
    let world = World::start().await;
    let replica = world.replica().await;
    for id in ["11111111-1111-4111-9111-111111111111", "00000000-0000-0000-0000-000000000000", "no id", ""] {
        for body in
            [json!({"id": id, "code": "123456"}), json!({"uid": id, "token": "AAAAAAAAAAAAAAAAAAAAAA"})]
        {
            let answer = replica.post("/api/verify", body).await;
            assert_eq!((answer.status, answer.problem()), (StatusCode::NOT_FOUND, "unknown-id"), "{id:?}");
        }
    }
    assert!(world.events(Topic::Activity).await.is_empty());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_six_digits_or_not_one_proof_is_refused_without_counting() {
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
    for body in [json!({"id": id}), json!({"id": id, "code": "123456", "token": "AAAAAAAAAAAAAAAAAAAAAA"})] {
        assert_eq!(replica.post("/api/verify", body).await.problem(), "invalid-fields");
    }
    assert!(world.events(Topic::Activity).await.is_empty(), "no attempt was spent");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_tried_too_many_wrong_codes_is_refused_before_anything_is_written_and_others_are_not() {
    let world = World::start().await;
    let replica = world.replica_with(&[("WRONG_CODES", "30/1h"), ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let from = async |client: &str, body: serde_json::Value| {
        let request = replica.request(Method::POST, "/api/verify").header("x-forwarded-for", client);
        Answer::of(request.json(&body).send().await.unwrap()).await
    };
    let mut last = None;
    for address in 0..10 {
        let id = replica.registered(&format!("person{address}@example.com")).await;
        let issued = world.registration(&id).await;
        for number in 0..3 {
            let answer = from("192.0.2.1", json!({"id": id, "code": wrong_code(&issued, number)})).await;
            assert!(is_wrong(&answer), "{answer:?}");
        }
        last = Some((id, issued));
    }
    let (id, issued) = last.unwrap();
    let written = world.events(Topic::Activity).await.len();
    for code in [wrong_code(&issued, 3), code(&issued)] {
        let answer = from("192.0.2.1", json!({"id": id, "code": code})).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::TOO_MANY_REQUESTS, "too-many-wrong-codes")
        );
        let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=120).contains(&wait), "{wait}");
    }
    assert_eq!(world.events(Topic::Activity).await.len(), written, "nothing is published");
    let unknown = json!({"id": "11111111-1111-4111-9111-111111111111", "code": "123456"});
    assert_eq!(from("192.0.2.1", unknown).await.problem(), "unknown-id");
    assert_eq!(from("192.0.2.2", json!({"id": id, "code": code(&issued)})).await.status, StatusCode::OK);
    let link = json!({"id": id, "token": token(&issued)});
    assert_eq!(from("192.0.2.1", link).await.status, StatusCode::OK);
    replica.stop().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_wrong_codes_at_once_thirty_are_compared() {
    let world = World::start().await;
    let replica = world.replica_with(&[("WRONG_CODES", "30/1h")]).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(replica.registered(&format!("person{number}@example.com")).await);
    }
    let issued = world.registration(&ids[0]).await;
    let guesses = (0..100_u32).map(|number| {
        let (replica, id, code) = (&replica, &ids[number as usize % 20], wrong_code(&issued, number));
        async move { replica.verify(id, &code).await }
    });
    let answers = join_all(guesses).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(count(StatusCode::UNPROCESSABLE_ENTITY), 30, "{answers:?}");
    assert_eq!(count(StatusCode::TOO_MANY_REQUESTS), 70);
    assert_eq!(world.events(Topic::Activity).await.len(), 30);
    replica.stop().await;
}

/// A right code is given back to the client's limit.
#[tokio::test(flavor = "multi_thread")]
async fn right_codes_do_not_count_as_wrong_ones() {
    let world = World::start().await;
    let replica = world.replica_with(&[("WRONG_CODES", "2/1h")]).await;
    for number in 0..5 {
        let id = replica.registered(&format!("person{number}@example.com")).await;
        let code = code(&world.registration(&id).await);
        assert_eq!(replica.verify(&id, &code).await.status, StatusCode::OK);
    }
    assert!(world.registrations().await.iter().all(|(mailing, _)| *mailing == Mailing::FirstCode));
    replica.stop().await;
}
