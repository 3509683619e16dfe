//! The signup page's files, and the headers that keep page and API safe in a browser.

use crate::world::{Answer, Replica, World};
use reqwest::{Method, StatusCode};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_all_that_it_names_are_there_and_nothing_comes_from_elsewhere() {
    let world = World::start().await;
    let replica = world.replica().await;
    let page = replica.get("/").await;
    assert_eq!((page.status, &page.headers["content-type"]), (StatusCode::OK, &html()));
    let mut waiting = named_files(page.body.as_str().unwrap());
    let mut found = BTreeSet::new();
    while let Some(path) = waiting.pop_first() {
        let file = replica.get(&path).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        waiting.extend(named_files(file.body.as_str().unwrap()).difference(&found).cloned());
        found.insert(path);
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let expected = ["form.js", "icon.svg", "page.css", "page.js", "registration.js", "requests.js"];
    assert_eq!(found, expected.map(|name| format!("/assets/{name}")));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_lets_a_browser_run_the_pages_own_files_alone() {
    let world = World::start().await;
    let replica = world.replica().await;
    for path in ["/", "/assets/page.js", "/assets/icon.svg"] {
        let headers = replica.get(path).await.headers;
        let policy: Vec<&str> =
            headers["content-security-policy"].to_str().unwrap().split(';').map(str::trim).collect();
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(&directive), "{path}: {directive} in {policy:?}");
        }
        assert!(!policy.iter().any(|directive| directive.contains("unsafe")), "{policy:?}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert!(headers["permissions-policy"].to_str().unwrap().contains("geolocation=()"));
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_asks_each_time_and_is_told_when_its_copy_is_still_right() {
    let world = World::start().await;
    let replica = world.replica().await;
    let first = replica.get("/assets/page.css").await;
    assert_eq!(first.headers["cache-control"], "no-cache");
    let etag = first.headers["etag"].to_str().unwrap();
    let weak = format!("\"another\", W/{etag}");
    for known in [etag, &weak, "*"] {
        let answer = ask_again(&replica, known).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!((&answer.headers["etag"], answer.body.as_str()), (&first.headers["etag"], Some("")));
    }
    assert_eq!(ask_again(&replica, "\"another\"").await.body, first.body);
    let head = Answer::of(replica.request(Method::HEAD, "/").send().await.unwrap()).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, Some("")));
    let refused = replica.post("/", serde_json::json!({})).await;
    assert_eq!(
        (refused.problem(), &refused.headers["allow"]),
        ("method-not-allowed", &"GET, HEAD".parse().unwrap())
    );
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_api_are_neither_stored_nor_sniffed_nor_framed() {
    let world = World::start().await;
    let replica = world.replica().await;
    for answer in [
        replica.register("ada@example.com").await,
        replica.register("nobody").await,
        replica.get("/api/nothing").await,
        replica.get("/health/ready").await,
    ] {
        assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert_eq!(answer.headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
    }
    replica.stop().await;
}

fn html() -> reqwest::header::HeaderValue {
    reqwest::header::HeaderValue::from_static("text/html; charset=utf-8")
}

async fn ask_again(replica: &Replica, known: &str) -> Answer {
    let request = replica.request(Method::GET, "/assets/page.css").header("if-none-match", known);
    Answer::of(request.send().await.expect("an answer")).await
}

/// What a page loads with `src`, `href` or `import`, as paths; anything with a host would fail as an unknown path.
fn named_files(text: &str) -> BTreeSet<String> {
    let after = |prefix: &'static str, folder: &'static str| {
        let quoted = text.split(prefix).skip(1).filter_map(|rest| rest.split('"').next());
        quoted.map(move |name| format!("{folder}{}", name.trim_start_matches("./")))
    };
    after(" src=\"", "/").chain(after(" href=\"", "/")).chain(after(" from \"", "/assets/")).collect()
}
