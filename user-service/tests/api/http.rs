//! What all endpoints share: problem documents, request ids, CORS, health.

use crate::world::{Answer, Replica, World, code};
use reqwest::{Method, StatusCode};

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_problems_too() {
    let world = World::start().await;
    let replica = world.replica().await;
    let answer = replica.get("/api/nothing").await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::NOT_FOUND, "not-found"));
    let answer = replica.get("/api/register").await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"));
    assert_eq!(answer.headers["allow"], "POST");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harmless_request_id_travels_and_any_other_is_replaced() {
    let world = World::start().await;
    let replica = world.replica().await;
    let with_id = |id: &'static str| {
        let body =
            serde_json::json!({"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"});
        replica.request(Method::POST, "/api/register").header("x-request-id", id).json(&body).send()
    };
    let answer = Answer::of(with_id("trace-1.2_3").await.unwrap()).await;
    assert_eq!(answer.headers["x-request-id"], "trace-1.2_3");
    let [(_, event)] = &world.registrations().await[..] else { panic!("one event") };
    assert_eq!(event.request_id.as_str(), "trace-1.2_3");
    let answer = Answer::of(with_id("not harmless!").await.unwrap()).await;
    let made = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(made.len(), 24, "{made}");
    assert!(replica.get("/api/nothing").await.headers.contains_key("x-request-id"));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_origins_may_call_the_api() {
    let world = World::start().await;
    let with_list = world.replica_with(&[("CORS_ORIGINS", "https://www.example.com")]).await;
    let without = world.replica().await;
    let preflight = |replica: &Replica, origin: &'static str| {
        replica
            .request(Method::OPTIONS, "/api/register")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
    };
    let answer = Answer::of(preflight(&with_list, "https://www.example.com").await.unwrap()).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://www.example.com");
    for replica in [with_list, without] {
        let answer = Answer::of(preflight(&replica, "https://evil.example").await.unwrap()).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{answer:?}");
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_cannot_sign_anybody_up() {
    let world = World::start().await;
    let replica = world.replica_with(&[("CORS_ORIGINS", "https://www.example.com")]).await;
    let own = format!("http://{}", replica.address);
    let ask = async |headers: &[(&str, &str)]| {
        let form = [("first_name", "Ada"), ("last_name", "Lovelace"), ("email", "ada@example.com")];
        let request = replica.request(Method::POST, "/api/register").form(&form);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Answer::of(request.send().await.unwrap()).await
    };
    for headers in [
        // Behind a proxy that rewrites Host.
        &[("sec-fetch-site", "same-origin"), ("origin", "https://signup.example"), ("host", "internal")][..],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://www.example.com")],
        &[("origin", own.as_str())],
        &[("origin", "https://www.example.com")],
        &[],
    ] {
        assert_eq!(ask(headers).await.status, StatusCode::ACCEPTED, "{headers:?}");
    }
    // A client of a listed origin that sends forms and uses the older name of the id.
    let listed = |path| replica.request(Method::POST, path).header("origin", "https://www.example.com");
    let form = [("first_name", "Ada"), ("last_name", "Lovelace"), ("email", "bob@example.com")];
    let registered = Answer::of(listed("/api/register").form(&form).send().await.unwrap()).await;
    let id = registered.body["data"]["id"].as_str().unwrap();
    let form = [("uid", id), ("code", &code(&world.registration(id).await))];
    let verified = Answer::of(listed("/api/verify").form(&form).send().await.unwrap()).await;
    assert_eq!(verified.status, StatusCode::OK, "{verified:?}");
    let before = world.registrations().await.len();
    for headers in [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")][..],
        &[("sec-fetch-site", "same-site"), ("origin", own.as_str())],
        &[("origin", "https://evil.example"), ("x-forwarded-host", "evil.example")],
        &[("origin", "null")],
    ] {
        let answer = ask(headers).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::FORBIDDEN, "cross-site"), "{headers:?}");
    }
    assert_eq!(world.registrations().await.len(), before);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_as_get_is_and_allow_is_true() {
    let world = World::start().await;
    let replica = world.replica().await;
    for path in ["/health/live", "/health/ready", "/openapi.json", "/docs", "/docs/", "/docs/index.css", "/"]
    {
        let get = Answer::of(replica.request(Method::GET, path).send().await.unwrap()).await;
        let head = Answer::of(replica.request(Method::HEAD, path).send().await.unwrap()).await;
        assert_eq!((head.status, head.body.as_str()), (get.status, Some("")), "{path}");
        assert_eq!(head.headers.get("content-type"), get.headers.get("content-type"), "{path}");
        assert_eq!(head.headers.get("content-length"), get.headers.get("content-length"), "{path}");
    }
    for path in ["/metrics", "/health/live", "/health/ready"] {
        let url = format!("http://{}{path}", replica.admin_address);
        let head = reqwest::Client::new().head(url).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK, "{path}");
    }
    for (path, allow) in [("/api/register", "POST"), ("/health/live", "GET, HEAD"), ("/", "GET, HEAD")] {
        let answer = Answer::of(replica.request(Method::OPTIONS, path).send().await.unwrap()).await;
        assert_eq!(answer.problem(), "method-not-allowed");
        assert_eq!(answer.headers["allow"], allow, "{path}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_can_be_switched_off() {
    let world = World::start().await;
    let replica = world.replica_with(&[("API_DOCS", "off")]).await;
    for path in ["/docs", "/docs/", "/docs/swagger-ui-bundle.js", "/openapi.json"] {
        assert_eq!(replica.get(path).await.problem(), "not-found", "{path}");
    }
    assert_eq!(replica.get("/").await.status, StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_replica_says_what_it_is_ready_with() {
    let world = World::start().await;
    let replica = world.replica().await;
    assert_eq!(replica.get("/health/live").await.status, StatusCode::OK);
    let ready = replica.get("/health/ready").await;
    assert_eq!(
        ready.body,
        serde_json::json!({
            "caught_up": true, "at_log_end": true, "producer_warm": true, "broker_answers": true, "clock_agrees": true,
            "topics": null
        })
    );
    replica.stop().await;
}
