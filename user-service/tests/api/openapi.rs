//! The API's description matches the API: its examples are sent, and the answers are looked up in it.

use crate::world::{Answer, Replica, World, code, token, wrong_code};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const PROBLEM: &str = "application/problem+json";

/// The description, as a client gets it.
struct Description(Value);

impl Description {
    async fn of(replica: &Replica) -> Self {
        let answer = replica.get("/openapi.json").await;
        assert_eq!((answer.status, &answer.headers["content-type"]), (StatusCode::OK, &json_type()));
        assert_eq!(answer.body["openapi"], "3.1.0");
        Self(answer.body)
    }

    /// The example bodies of a POST's requests, by media type.
    fn requests(&self, path: &str, media_type: &str) -> Vec<Value> {
        examples(&self.0["paths"][path]["post"]["requestBody"]["content"][media_type])
    }

    /// Checks that the description of this operation has this answer, body and headers.
    fn holds(&self, method: &str, path: &str, answer: &Answer) {
        let stated = &self.0["paths"][path][method]["responses"][answer.status.as_str()];
        assert!(stated.is_object(), "{method} {path} is not said to answer {answer:?}");
        let media_type = answer.headers["content-type"].to_str().unwrap();
        let content = &stated["content"][media_type];
        let shapes: BTreeSet<_> = examples(content).iter().map(shape).collect();
        assert!(
            shapes.contains(&shape(&answer.body)),
            "{method} {path}: {answer:?} is not one of {shapes:?}"
        );
        for name in
            stated["headers"].as_object().unwrap().keys().filter(|name| !name.starts_with("RateLimit"))
        {
            assert!(answer.headers.contains_key(name.as_str()), "{method} {path}: no {name} in {answer:?}");
        }
        if media_type == PROBLEM {
            let same = examples(content).into_iter().find(|example| example["type"] == answer.body["type"]);
            assert_eq!(same.expect("its type")["title"], answer.body["title"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_everything_described_is_there() {
    let world = World::start().await;
    let replica = world.replica().await;
    let description = Description::of(&replica).await;
    let described: BTreeSet<&str> =
        description.0["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let table = include_str!("../../src/http.rs").split("fn routes(").nth(1).unwrap();
    let table = table.split("fn admin_routes(").next().unwrap();
    let routed: BTreeSet<String> =
        table.split("(\"/").skip(1).map(|rest| format!("/{}", rest.split('"').next().unwrap())).collect();
    assert_eq!(described, routed.iter().map(String::as_str).collect());
    for path in described {
        let answer = Answer::of(replica.request(Method::DELETE, path).send().await.expect("an answer")).await;
        assert_eq!(answer.problem(), "method-not-allowed", "{path}");
        for method in description.0["paths"][path].as_object().unwrap().keys() {
            let allowed = answer.headers["allow"].to_str().unwrap().to_ascii_lowercase();
            assert!(allowed.contains(method), "{method} {path}: {allowed}");
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let answer = Answer::of(replica.request(method, path).send().await.expect("an answer")).await;
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_shown_as_examples_are_accepted() {
    let world = World::start().await;
    let replica = world.replica().await;
    let description = Description::of(&replica).await;
    for body in description.requests("/api/register", "application/json") {
        let answer = replica.post("/api/register", body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        description.holds("post", "/api/register", &answer);
    }
    for body in description.requests("/api/register", "application/x-www-form-urlencoded") {
        let answer = post_form(&replica, "/api/register", &body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    }
    // An example can't know the id and the code of a registration here; everything else about it is right.
    let id = replica.registered("grace@example.com").await;
    let issued = world.registration(&id).await;
    let fill = |mut body: Value| {
        body["id"] = json!(id);
        if body.get("code").is_some() {
            body["code"] = json!(code(&issued));
        }
        if body.get("token").is_some() {
            body["token"] = json!(crate::world::token(&issued));
        }
        body
    };
    for body in description.requests("/api/resend", "application/json") {
        let answer = replica.post("/api/resend", fill(body.clone())).await;
        assert_eq!(answer.problem(), "too-soon");
        description.holds("post", "/api/resend", &answer);
        description.holds("post", "/api/resend", &replica.post("/api/resend", body).await);
    }
    for body in description.requests("/api/verify", "application/json") {
        let answer = replica.post("/api/verify", body.clone()).await;
        assert_eq!(answer.problem(), "unknown-id", "{body}");
        description.holds("post", "/api/verify", &answer);
        let answer = replica.post("/api/verify", fill(body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        description.holds("post", "/api/verify", &answer);
    }
    for body in description.requests("/api/verify", "application/x-www-form-urlencoded") {
        assert_eq!(post_form(&replica, "/api/verify", &fill(body)).await.status, StatusCode::OK);
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_described_as_they_come() {
    let world = World::start().await;
    let variables =
        [("RATE_LIMIT", "34/1h"), ("WRONG_CODES", "2/1h"), ("CODE_ATTEMPTS", "1"), ("RESEND_COOLDOWN", "1s")];
    let replica = world.replica_with(&variables).await;
    let description = Description::of(&replica).await;
    for path in ["/api/register", "/api/verify", "/api/resend", "/api/registration"] {
        description.holds("post", path, &replica.post(path, json!({})).await);
        for (content_type, body) in [
            ("application/json", "{".to_owned()),
            ("text/plain", String::new()),
            ("application/json", long()),
        ] {
            let request = replica.request(Method::POST, path).header("content-type", content_type);
            let answer = Answer::of(request.body(body).send().await.expect("an answer")).await;
            description.holds("post", path, &answer);
        }
    }
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    let token = json!({"id": id, "token": token(&issued)});
    let no_token = json!({"id": id, "token": "AAAAAAAAAAAAAAAAAAAAAA"});
    let unknown = json!({"id": "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c", "token": "AAAAAAAAAAAAAAAAAAAAAA"});
    let guess = |number| json!({"id": id, "code": wrong_code(&issued, number)});
    tokio::time::sleep(Duration::from_millis(1_020)).await;
    let resent = replica.resend(&id).await;
    let other = resent.body["data"]["id"].clone();
    description.holds("post", "/api/resend", &resent);
    let other_guess = json!({"id": other, "code": wrong_code(&issued, 0)});
    for (path, body, status, problem) in [
        ("/api/resend", json!({"id": other}), 429, "too-soon"),
        ("/api/verify", guess(0), 422, "wrong-code"),
        ("/api/verify", guess(1), 410, "no-longer-valid"),
        ("/api/verify", other_guess.clone(), 422, "wrong-code"),
        ("/api/verify", other_guess, 429, "too-many-wrong-codes"),
        ("/api/verify", no_token.clone(), 422, "wrong-token"),
        ("/api/registration", no_token, 422, "wrong-token"),
        ("/api/verify", unknown.clone(), 404, "unknown-id"),
        ("/api/registration", unknown.clone(), 404, "unknown-id"),
        ("/api/resend", unknown, 404, "unknown-id"),
    ] {
        let answer = replica.post(path, body).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (status, problem), "{path}");
        description.holds("post", path, &answer);
    }
    for path in ["/api/registration", "/api/verify"] {
        let answer = replica.post(path, token.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        description.holds("post", path, &answer);
    }
    let refused = loop {
        let answer = replica.verify(&id, "1").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
    };
    for path in ["/api/register", "/api/verify", "/api/resend", "/api/registration"] {
        description.holds("post", path, &refused);
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_problem_is_described() {
    let world = World::start().await;
    let replica = world.replica().await;
    let text = Description::of(&replica).await.0.to_string();
    let kinds = include_str!("../../src/http/problem/kind.rs").split("const fn parts(").nth(1).unwrap();
    // The first text of each arm is the name.
    let names: Vec<&str> = kinds.split("=>").skip(1).filter_map(|arm| arm.split('"').nth(1)).collect();
    assert_eq!(names.len(), 20, "{names:?}");
    for name in names {
        assert!(text.contains(&format!("\"urn:problem-type:two-step-signup:{name}\"")), "{name}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swagger_ui_is_served_under_a_policy_of_its_own() {
    let world = World::start().await;
    let replica = world.replica().await;
    let page = replica.get("/docs").await;
    assert_eq!((page.status, &page.headers["content-type"]), (StatusCode::OK, &"text/html".parse().unwrap()));
    let html = page.body.as_str().unwrap();
    let named = ["src=\"", "href=\""].into_iter().flat_map(|attribute| html.split(attribute).skip(1));
    let named: BTreeSet<_> =
        named.map(|rest| rest.split('"').next().unwrap().trim_start_matches("./")).collect();
    assert!(named.len() >= 5, "{named:?}");
    for file in named.into_iter().chain([""]) {
        let answer = replica.get(&format!("/docs/{file}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{file}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let script = replica.get("/docs/swagger-initializer.js").await;
    assert!(script.body.as_str().unwrap().contains("\"/openapi.json\""), "{script:?}");
    for path in ["/docs/nothing", "/docs/..%2fopenapi.json", "/docs/a/b"] {
        assert_eq!(replica.get(path).await.problem(), "not-found", "{path}");
    }
    replica.stop().await;
}

fn examples(content: &Value) -> Vec<Value> {
    let named = content["examples"].as_object().into_iter().flat_map(|examples| examples.values());
    let examples: Vec<_> =
        content.get("example").into_iter().chain(named.map(|named| &named["value"])).cloned().collect();
    assert!(!examples.is_empty(), "{content}");
    examples
}

/// The names of all fields, and the `type` if it has one.
fn shape(body: &Value) -> BTreeSet<String> {
    let of = |prefix: &str, body: &Value| -> BTreeSet<String> {
        body.as_object().into_iter().flatten().map(|(name, _)| format!("{prefix}{name}")).collect()
    };
    let mut shape = of("", body);
    shape.extend(of("data.", &body["data"]));
    shape.extend(body["type"].as_str().map(|name| format!("type {name}")));
    shape
}

async fn post_form(replica: &Replica, path: &str, body: &Value) -> Answer {
    Answer::of(replica.request(Method::POST, path).form(body).send().await.expect("an answer")).await
}

fn long() -> String {
    json!({"first_name": "a".repeat(20_000)}).to_string()
}

fn json_type() -> reqwest::header::HeaderValue {
    reqwest::header::HeaderValue::from_static("application/json")
}
