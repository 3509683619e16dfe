//! Text as people type and paste it: in their scripts, from their keyboards, phones and mail apps.

use crate::world::{Answer, World, code};
use contract::topic::Topic;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_is_kept_in_one_form_and_all_else_is_refused() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RATE_LIMIT", "off")]).await;
    // The field, the text as typed, and the text as kept; `None` for a refusal.
    let table = [
        ("email", "संपर्क@डाटामेल.भारत", Some("संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c")),
        ("email", "ผู้ใช้@example.com", Some("ผู้ใช้@example.com")),
        ("email", "বিড\u{9bc}াল@example.org", Some("বিড\u{9bc}াল@example.org")),
        ("email", "Nguye\u{302}\u{303}n@example.com", Some("Nguyễn@example.com")),
        ("email", "jo\u{308}rg@example.com", Some("jörg@example.com")),
        ("email", "ａｄａ＠example．com", Some("ada@example.com")),
        ("email", "a€b@example.com", None),
        ("email", "😀@example.com", None),
        ("email", "a\u{fffd}b@example.com", None),
        ("email", "a\u{200b}b@example.com", None),
        ("email", "\u{3164}@example.com", None),
        ("first_name", "レオナルド・ディカプリオ", Some("レオナルド・ディカプリオ")),
        ("first_name", "Col·lell", Some("Col·lell")),
        ("first_name", "サン゠サーンス", Some("サン゠サーンス")),
        ("first_name", "علی\u{200c}رضا", Some("علی\u{200c}رضا")),
        ("first_name", "ශ්\u{200d}රියානි", Some("ශ්\u{200d}රියානි")),
        ("first_name", "ג׳ורג׳", Some("ג׳ורג׳")),
        ("first_name", "בן־גוריון", Some("בן־גוריון")),
        ("first_name", "李〇", Some("李〇")),
        ("first_name", "Jean\u{2010}Luc", Some("Jean-Luc")),
        ("first_name", "Jean\u{2011}Luc", Some("Jean-Luc")),
        ("first_name", "Lana‘i", Some("Lana‘i")),
        ("first_name", "Anne\u{a0}Marie", Some("Anne Marie")),
        ("first_name", "山田\u{3000}太郎", Some("山田 太郎")),
        ("first_name", "བསྟན་འཛིན་", Some("བསྟན་འཛིན་")),
        ("first_name", "King, Jr.", Some("King, Jr.")),
        ("first_name", "Jose\u{301}", Some("José")),
        // A period without a space could make a link.
        ("first_name", "J.R.", None),
        ("first_name", "M.ª José", None),
        ("first_name", "St.John", None),
        ("first_name", "a\u{200d}b", None),
        ("first_name", "Ada\u{3164}", None),
        ("first_name", "Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}", None),
    ];
    for (number, (field, typed, kept)) in table.into_iter().enumerate() {
        let mut body =
            json!({"first_name": "A", "last_name": "B", "email": format!("n{number}@example.com")});
        body[field] = Value::String(typed.to_owned());
        let answer = replica.post("/api/register", body).await;
        let Some(kept) = kept else {
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed:?}: {answer:?}");
            assert_eq!(answer.body["errors"][0]["field"], field);
            continue;
        };
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{typed:?}: {answer:?}");
        let id = answer.body["data"]["id"].as_str().unwrap();
        let event = world.registration(id).await;
        let found = if field == "email" { event.email.as_str() } else { event.first_name.as_str() };
        assert_eq!(found, kept, "{typed:?}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_accepted_as_they_are_pasted_and_never_guessed_at() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RATE_LIMIT", "off")]).await;
    let id = replica.registered("ada@example.com").await;
    let code = code(&world.registration(&id).await);
    let (first, second) = code.split_at(3);
    let wrong = [
        code[1..].to_owned(),
        format!("{code}1"),
        format!("{code} {code}"),
        format!("Code 1 of 2: {code}"),
        format!("{first}a{second}"),
        format!("x{code}"),
    ];
    for text in wrong {
        let answer = replica.verify(&id, &text).await;
        assert_eq!(answer.problem(), "invalid-fields", "{text:?}");
        assert_eq!(answer.body["errors"][0]["detail"], "Enter the six digits from the email, and no others.");
    }
    assert!(world.events(Topic::Activity).await.is_empty(), "none of these is an attempt");
    let in_digits_from = |zero: u32| -> String {
        code.bytes().map(|digit| char::from_u32(zero + u32::from(digit - b'0')).unwrap()).collect()
    };
    let right = [
        format!("{code}\u{200b}"),
        format!("\u{feff}{code}"),
        format!("{first}\u{2060}{second}"),
        format!("\u{200e}{code}"),
        format!("{first}\u{ff0d}{second}"),
        format!("{first}\u{2212}{second}"),
        format!("{first}\u{a0}{second}\r\n"),
        format!("{first} {second}"),
        format!("{first}-{second}."),
        format!("Code: {code}"),
        in_digits_from(0xff10),
        in_digits_from(0x660),
        in_digits_from(0x6f0),
        in_digits_from(0x966),
    ];
    for text in right {
        let answer = replica.verify(&id, &text).await;
        assert_eq!(answer.status, StatusCode::OK, "{text:?}: {answer:?}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_of_the_mails_does_not_depend_on_how_its_tag_is_written() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RATE_LIMIT", "off")]).await;
    let headers: [(&[&str], &str); 8] = [
        (&["en;Q=0.1, de"], "de"),
        (&["de_DE"], "de-DE"),
        // There is no Danish, and the reader of Danish and German gets German.
        (&["da, de-CH;q=0.9, en;q=0.8"], "de-CH"),
        (&["en;q=0.1", "de"], "de"),
        (&["pt-PT"], "pt-PT"),
        (&["da, sv;q=0.5"], "da"),
        (&["*"], "en"),
        (&[], "en"),
    ];
    for (number, (lines, language)) in headers.into_iter().enumerate() {
        let mut request = replica.request(Method::POST, "/api/register");
        for line in lines {
            request = request.header("accept-language", *line);
        }
        let email = format!("l{number}@example.com");
        let request = request.form(&[("first_name", "A"), ("last_name", "B"), ("email", &email)]);
        let answer = Answer::of(request.send().await.unwrap()).await;
        let event = world.registration(answer.body["data"]["id"].as_str().unwrap()).await;
        assert_eq!(event.locale.as_str(), language, "{lines:?}");
    }
    for (number, (locale, accepted, language)) in
        [("DE_at", "fr", "DE-at"), ("da", "fr-CA, de", "fr-CA"), ("da", "sv", "da")].into_iter().enumerate()
    {
        let email = format!("b{number}@example.com");
        let body = json!({"first_name": "A", "last_name": "B", "email": email, "locale": locale});
        let request = replica.request(Method::POST, "/api/register").header("accept-language", accepted);
        let answer = Answer::of(request.json(&body).send().await.unwrap()).await;
        let event = world.registration(answer.body["data"]["id"].as_str().unwrap()).await;
        assert_eq!(event.locale.as_str(), language, "{locale}, {accepted}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_is_passed_over() {
    let world = World::start().await;
    let replica = world.replica().await;
    for (number, (content_type, body)) in [
        ("application/json", r#"{"first_name":"A","last_name":"B","email":"a@example.com"}"#),
        ("application/x-www-form-urlencoded", "first_name=A&last_name=B&email=b@example.com"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = replica.request(Method::POST, "/api/register").header("content-type", content_type);
        let answer = Answer::of(request.body(format!("\u{feff}{body}")).send().await.unwrap()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        assert_eq!(world.registrations().await.len(), number + 1);
    }
    replica.stop().await;
}
