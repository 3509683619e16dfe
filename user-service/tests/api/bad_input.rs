//! Bad input gets a clear answer and changes nothing.

use crate::world::{Answer, Replica, World};
use contract::topic::Topic;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn send(replica: &Replica, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = replica.request(Method::POST, path).header("content-type", content_type).body(body);
    Answer::of(request.send().await.unwrap()).await
}

async fn nothing_was_written(world: &World) {
    for topic in [Topic::Created, Topic::Activity, Topic::Verified] {
        assert!(world.events(topic).await.is_empty(), "{}", topic.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_are_400() {
    let world = World::start().await;
    let replica = world.replica().await;
    for path in ["/api/register", "/api/verify"] {
        for body in [
            "",
            "{",
            "[]",
            "null",
            "\"text\"",
            "{\"email\":\"a\",\"email\":\"b\",\"id\":1,\"id\":2}",
            "{\"a\":1}}",
            "\u{0}",
        ] {
            let answer = send(&replica, path, "application/json", body).await;
            assert_eq!(
                (answer.status, answer.problem()),
                (StatusCode::BAD_REQUEST, "malformed-body"),
                "{path} {body:?}"
            );
        }
        let answer = send(&replica, path, "application/json", vec![0xff, 0xfe, b'{']).await;
        assert_eq!(answer.problem(), "malformed-body");
        let answer =
            send(&replica, path, "application/x-www-form-urlencoded", "id=1&id=2&email=a&email=b").await;
        assert_eq!(answer.problem(), "malformed-body");
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(send(&replica, path, "application/json", deep).await.problem(), "malformed-body");
    }
    nothing_was_written(&world).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_types_are_415() {
    let world = World::start().await;
    let replica = world.replica().await;
    for content_type in ["text/plain", "application/xml", "multipart/form-data; boundary=x", "json", ""] {
        let answer = send(&replica, "/api/register", content_type, "{}").await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
            "{content_type}"
        );
    }
    // `{}` compressed with gzip. The answer says why it can't be read.
    let packed = [31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0];
    let request = replica.request(Method::POST, "/api/register").header("content-encoding", "gzip");
    let request = request.header("content-type", "application/json").body(packed.to_vec());
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.problem(), "unsupported-media-type");
    assert!(answer.body["detail"].as_str().unwrap().contains("Content-Encoding"), "{answer:?}");
    for content_type in
        ["application/json; charset=iso-8859-1", "application/x-www-form-urlencoded;Charset=\"windows-1252\""]
    {
        let answer = send(&replica, "/api/register", content_type, "{}").await;
        assert_eq!(answer.problem(), "unsupported-media-type", "{content_type}");
        assert!(answer.body["detail"].as_str().unwrap().contains("UTF-8"), "{answer:?}");
    }
    for content_type in
        ["Application/JSON; charset=utf-8", "application/json;charset=\"UTF8\"", "application/json; a"]
    {
        let answer = send(&replica, "/api/register", content_type, "{}").await;
        assert_eq!(answer.problem(), "invalid-fields", "{content_type}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_utf_8_are_400() {
    let world = World::start().await;
    let replica = world.replica().await;
    let form = "application/x-www-form-urlencoded";
    for (content_type, body) in [
        (form, &b"first_name=A&last_name=B&email=jos%E9@example.com"[..]),
        (form, b"first_name=Jos\xe9&last_name=B&email=a@example.com"),
        (form, b"first_name=A&last_name=B&email=a@example.com&x=%C3"),
        (form, b"first_name=A&last_name=B&email=a@example.com&x=%ED%A0%80"),
        ("application/json", b"{\"first_name\":\"Jos\xe9\",\"last_name\":\"B\",\"email\":\"a@example.com\"}"),
        (
            "application/json",
            b"{\"first_name\":\"A\",\"last_name\":\"B\",\"email\":\"a@example.com\",\"x\":\"\xff\"}",
        ),
        ("application/json", br#"{"first_name":"A\ud800","last_name":"B","email":"a@example.com"}"#),
        ("application/json", br#"{"first_name":"A","last_name":"B","email":"\udc00a@example.com"}"#),
        ("application/json", b"\xff\xfe{\0}\0"),
    ] {
        let answer = send(&replica, "/api/register", content_type, body.to_vec()).await;
        let what = String::from_utf8_lossy(body);
        assert_eq!((answer.status, answer.problem()), (StatusCode::BAD_REQUEST, "malformed-body"), "{what}");
    }
    nothing_was_written(&world).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_bodies_are_413() {
    let world = World::start().await;
    let replica = world.replica().await;
    let body = json!({"first_name": "a".repeat(20_000)}).to_string();
    let answer = send(&replica, "/api/register", "application/json", body.clone()).await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"));
    // A body without a length is not read.
    let chunks = futures_util::stream::iter(
        body.into_bytes()
            .chunks(1000)
            .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
            .collect::<Vec<_>>(),
    );
    let answer =
        send(&replica, "/api/register", "application/json", reqwest::Body::wrap_stream(chunks)).await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::LENGTH_REQUIRED, "length-required"));
    nothing_was_written(&world).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_wrong_fields_are_named_at_once() {
    let world = World::start().await;
    let replica = world.replica().await;
    let fields = |answer: &Answer| {
        assert_eq!((answer.status, answer.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields"));
        let errors = answer.body["errors"].as_array().unwrap().iter();
        errors.map(|error| error["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let answer = replica.post("/api/register", json!({})).await;
    assert_eq!(fields(&answer), ["first_name", "last_name", "email"]);
    assert_eq!(answer.body["errors"][0]["detail"], "Please fill this in.");
    let body =
        json!({"first_name": 5, "last_name": "evil.com", "email": "ada@localhost", "locale": "not a tag"});
    let answer = replica.post("/api/register", body).await;
    assert_eq!(fields(&answer), ["first_name", "last_name", "email", "locale"]);
    assert_eq!(answer.body["errors"][0]["detail"], "This must be a string.");
    assert_eq!(answer.body["errors"][1]["detail"], "Use a period only before a space or at the end.");
    assert_eq!(fields(&replica.post("/api/verify", json!({})).await), ["id", "code"]);
    assert_eq!(fields(&replica.post("/api/verify", json!({"id": 7, "code": 123_456})).await), ["id", "code"]);
    // A malformed id is an unknown id.
    assert_eq!(fields(&replica.post("/api/verify", json!({"id": "x", "token": "x"})).await), ["token"]);
    nothing_was_written(&world).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_values_are_refused_without_a_server_error() {
    let world = World::start().await;
    let replica = world.replica().await;
    let hostile = [
        "Ada\r\nBcc: everybody@example.com",
        "<script>alert(1)</script>",
        "https://evil.example/",
        "\u{202e}adA",
        "\0",
        "ada@example.com\r\nRCPT TO:<eve@example.com>",
        "a@b@c",
        "\"a b\"@example.com",
        "ada@[127.0.0.1]",
        "😀@😀",
        "${jndi:ldap://x}",
        "' OR 1=1 --",
        "../../etc/passwd",
        "%00",
        "ada@xn--.example",
        "ada@-.example",
        " ",
    ];
    for value in hostile {
        for field in ["first_name", "email", "locale"] {
            let mut body = json!({"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"});
            body[field] = Value::String(value.to_owned());
            let answer = replica.post("/api/register", body).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{field} {value:?}: {answer:?}");
            assert_eq!(answer.body["errors"][0]["field"], field);
        }
        let as_id = replica.post("/api/verify", json!({"id": value, "code": "123456"})).await;
        assert_eq!((as_id.status, as_id.problem()), (StatusCode::NOT_FOUND, "unknown-id"), "{value:?}");
        let id = "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c";
        let as_code = replica.post("/api/verify", json!({"id": id, "code": value})).await;
        assert_eq!(as_code.status, StatusCode::UNPROCESSABLE_ENTITY, "{value:?}");
    }
    nothing_was_written(&world).await;
    replica.stop().await;
}
