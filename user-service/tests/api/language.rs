//! Answers speak the language that the request wants, and the words of `TEXTS_DIR`.

use crate::world::{Answer, DEADLINE, Replica, World, built_in, environment};
use reqwest::{Method, StatusCode};
use runtime::env::Env;
use serde_json::{Value, json};
use std::{fs, time::Instant};
use user_service::Config;

async fn post(replica: &Replica, path: &str, accepted: &str, body: Value) -> Answer {
    let request = replica.request(Method::POST, path).header("accept-language", accepted);
    Answer::of(request.json(&body).send().await.unwrap()).await
}

fn person(locale: &str) -> Value {
    json!({"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "locale": locale})
}

#[tokio::test(flavor = "multi_thread")]
async fn title_detail_fields_and_message_are_in_the_wanted_language_and_the_type_in_none() {
    let (world, texts) = (World::start().await, built_in());
    let replica = world.replica().await;
    for (accepted, tag) in [
        ("de", "de"),
        ("de-CH, en;q=0.5", "de"),
        ("da, fr-CA;q=0.5", "fr"),
        ("pt-PT", "pt-BR"),
        ("zh-CN", "zh-Hans"),
        ("AR", "ar"),
        ("da", "en"),
        ("*", "en"),
    ] {
        let words = |key: &str| texts.exactly(tag).unwrap().words(key);
        let refused = post(&replica, "/api/register", accepted, json!({"email": "nobody"})).await;
        assert_eq!(refused.problem(), "invalid-fields", "{accepted}");
        assert_eq!(refused.headers["content-language"], tag, "{accepted}");
        assert!(refused.headers.get_all("vary").iter().any(|vary| vary == "Accept-Language"));
        assert_eq!(refused.body["title"], words("problem.title.invalid_fields"));
        assert_eq!(refused.body["detail"], words("problem.detail.invalid_fields"));
        let detail = |number: usize| &refused.body["errors"][number]["detail"];
        assert_eq!(
            (detail(0), detail(2)),
            (&json!(words("problem.field.required")), &json!(words("problem.field.email_shape")))
        );
        let done = post(&replica, "/api/register", accepted, person("")).await;
        assert_eq!(
            (done.status, &done.headers["content-language"]),
            (StatusCode::ACCEPTED, &tag.parse().unwrap())
        );
        assert_eq!(done.body["message"], words("answer.mail_if_due"));
        // Refused by the route table, and by the framework.
        let request = replica.request(Method::GET, "/api/nothing").header("accept-language", accepted);
        let nothing = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(
            (nothing.problem(), &nothing.body["title"]),
            ("not-found", &json!(words("problem.title.not_found")))
        );
        assert!(nothing.headers.contains_key("x-request-id"));
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_locale_of_a_body_comes_before_accept_language() {
    let (world, texts) = (World::start().await, built_in());
    let replica = world.replica().await;
    for (locale, accepted, tag) in
        [("ja", "de", "ja"), ("da", "de", "de"), ("", "de", "de"), ("ja_JP", "", "ja")]
    {
        let done = post(&replica, "/api/register", accepted, person(locale)).await;
        assert_eq!(done.headers["content-language"], tag, "{locale}, {accepted}");
        assert_eq!(done.body["message"], texts.exactly(tag).unwrap().words("answer.mail_if_due"));
        let mut wrong = person(locale);
        wrong["email"] = json!("nobody");
        let refused = post(&replica, "/api/register", accepted, wrong).await;
        assert_eq!(
            (refused.problem(), &refused.headers["content-language"]),
            ("invalid-fields", &tag.parse().unwrap())
        );
    }
    let refused = post(&replica, "/api/register", "de", person("no tag")).await;
    assert_eq!(refused.headers["content-language"], "de");
    assert_eq!(
        refused.body["errors"][0]["detail"],
        texts.exactly("de").unwrap().words("problem.field.language_tag")
    );
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_header_of_languages_is_read_within_bounds() {
    let world = World::start().await;
    let replica = world.replica().await;
    let accepted = format!("{}de", "x-1-2-3-4-5-6-7-8-9, ".repeat(1000));
    let answer = post(&replica, "/api/verify", &accepted, json!({})).await;
    assert_eq!(
        (answer.problem(), &answer.headers["content-language"]),
        ("invalid-fields", &"en".parse().unwrap())
    );
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folders_words_are_said_and_a_change_is_taken_while_the_service_runs() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("languages")).unwrap();
    let file = folder.path().join("languages/en.toml");
    let write = |title: &str| fs::write(&file, format!("[problem.title]\nnot_found = {title}\n")).unwrap();
    write("\"Nobody home\"");
    let world = World::start().await;
    let replica = world.replica_with(&[("TEXTS_DIR", folder.path().to_str().unwrap())]).await;
    let title = async || replica.get("/api/nothing").await.body["title"].as_str().unwrap().to_owned();
    assert_eq!(title().await, "Nobody home");
    write("\"Somebody home\"");
    let began = Instant::now();
    while title().await != "Somebody home" {
        assert!(began.elapsed() < DEADLINE, "not taken in time");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    write("3");
    while !replica.metrics().await.contains("user_service_texts_outdated 1") {
        assert!(began.elapsed() < 2 * DEADLINE, "not refused in time");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(title().await, "Somebody home");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_link_in_the_mail_no_answer_speaks_of_one() {
    let world = World::start().await;
    let replica = world.replica_with(&[("MAIL_LINK", "off")]).await;
    let id = replica.registered("ada@example.com").await;
    let right = crate::world::code(&world.registration(&id).await);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let refused = replica.verify(&id, wrong).await;
    assert_eq!(refused.body["detail"], "That code is not right. You have 4 attempts left.");
    replica.stop().await;
}

#[test]
fn every_fault_of_the_folder_stops_the_start_with_the_other_problems() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("languages")).unwrap();
    fs::write(folder.path().join("brand.toml"), "accent = 'red'\nlogo = 3\n").unwrap();
    fs::write(folder.path().join("languages/de.toml"), "\n[page]\nnothing = 'x'\n").unwrap();
    let variables = [("TEXTS_DIR", folder.path().to_str().unwrap()), ("MAIL_LINK", "no")];
    let error =
        Config::load(Env::from_pairs(environment("localhost:9092", &variables))).unwrap_err().to_string();
    for expected in [
        "TEXTS_DIR: brand.toml:1: accent: expected a colour",
        "TEXTS_DIR: brand.toml:2: logo: expected a text in quotes",
        "TEXTS_DIR: languages/de.toml:3: page.nothing: there is no such sentence",
        "MAIL_LINK: expected on or off",
    ] {
        assert!(error.contains(expected), "{expected} in {error}");
    }
}
