//! The signup page's files, and the headers that keep page and API safe in a browser.

use crate::world::{Answer, Replica, World, built_in};
use reqwest::{Method, StatusCode};
use std::{collections::BTreeSet, io::Read};

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
    // The page and its style are there in each language.
    let (in_a_language, others): (BTreeSet<_>, BTreeSet<_>) =
        found.into_iter().partition(|path| path.contains('?'));
    let texts = built_in();
    let expected = texts
        .languages()
        .iter()
        .flat_map(|language| ["/", "/assets/page.css"].map(|path| format!("{path}?lang={}", language.tag())));
    assert_eq!(in_a_language, expected.collect());
    let expected = [
        "arrival.js",
        "code.js",
        "element.js",
        "form.js",
        "icon.svg",
        "link.js",
        "load.js",
        "page.js",
        "progress.js",
        "requests.js",
        "return_to.js",
        "steps.js",
        "storage.js",
    ];
    assert_eq!(others, expected.map(|name| format!("/assets/{name}")).into());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_in_the_language_of_its_address_or_else_of_the_browser() {
    let world = World::start().await;
    let replica = world.replica().await;
    for (query, accepted, tag) in [
        ("", "", "en"),
        ("", "de-CH, fr", "de"),
        ("", "da", "en"),
        ("?lang=he", "de", "he"),
        ("?lang=PT_br", "de", "pt-BR"),
        ("?lang=zh-CN", "de", "zh-Hans"),
        ("?lang=da", "de", "de"),
        ("?lang=", "de", "de"),
        ("?lang=%3Cscript%3E", "de", "de"),
        ("?lang=fr&lang=it", "de", "de"),
        ("?return_to=https%3A%2F%2Fapp.example.com&lang=fr", "de", "fr"),
    ] {
        for path in ["/", "/assets/form.html", "/assets/page.css"] {
            let request =
                replica.request(Method::GET, &format!("{path}{query}")).header("accept-language", accepted);
            let answer = Answer::of(request.send().await.unwrap()).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}{query}");
            assert_eq!(answer.headers["content-language"], tag, "{path}{query} {accepted}");
            assert_eq!(answer.headers["vary"], "Accept-Encoding, Accept-Language");
            let text = answer.body.as_str().unwrap();
            assert!(path.ends_with("css") || text.contains(&format!(" lang=\"{tag}\" dir=\"")), "{text}");
            assert!(
                !text.contains("app.example.com") && !text.contains("<script>"),
                "nothing of the query: {text}"
            );
        }
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_logos_origin_is_allowed_beside_the_own_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("brand.toml"),
        "name = 'Acme'\nlogo = 'https://cdn.example.com/a/logo.png'",
    )
    .unwrap();
    let world = World::start().await;
    let replica = world.replica_with(&[("TEXTS_DIR", folder.path().to_str().unwrap())]).await;
    let page = replica.get("/").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("img-src 'self' https://cdn.example.com; "), "{policy}");
    assert_eq!(policy.matches("http").count(), 1, "{policy}");
    assert!(page.body.as_str().unwrap().contains("<title>Sign up – Acme</title>"));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_listed_origins_may_load_the_form_and_no_others() {
    let world = World::start().await;
    let listed = world.replica_with(&[("CORS_ORIGINS", "https://www.example.com")]).await;
    let alone = world.replica().await;
    let ask = async |replica: &Replica, path: &str, origin: &str| {
        Answer::of(replica.request(Method::GET, path).header("origin", origin).send().await.unwrap())
            .await
            .headers
    };
    for path in
        ["/assets/signup.js", "/assets/element.js", "/assets/form.html?lang=de", "/assets/page.css?lang=de"]
    {
        let headers = ask(&listed, path, "https://www.example.com").await;
        assert_eq!(headers["access-control-allow-origin"], "https://www.example.com", "{path}");
        assert_eq!(headers["cross-origin-resource-policy"], "cross-origin", "{path}");
        let headers = ask(&listed, path, "https://evil.example").await;
        assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
        let headers = ask(&alone, path, "https://www.example.com").await;
        assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{path}");
    }
    let page = ask(&listed, "/", "https://www.example.com").await;
    assert_eq!(page["cross-origin-resource-policy"], "same-origin", "the page itself");
    listed.stop().await;
    alone.stop().await;
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
async fn a_browser_asks_each_time_and_gets_304_while_its_copy_is_current() {
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
async fn files_are_compressed_for_clients_that_accept_it_and_the_same_for_all() {
    let world = World::start().await;
    let replica = world.replica().await;
    for path in
        ["/", "/assets/page.css", "/docs/", "/docs/swagger-ui-bundle.js", "/docs/swagger-initializer.js"]
    {
        let ask = async |accepted: &str| {
            let request = replica.request(Method::GET, path).header("accept-encoding", accepted);
            let response = request.send().await.unwrap();
            let headers = response.headers().clone();
            (headers, response.bytes().await.unwrap())
        };
        let (plain, content) = ask("identity").await;
        assert!(!plain.contains_key("content-encoding"));
        for accepted in ["gzip", "br, gzip;q=0.8, *;q=0.1", "gzip, deflate"] {
            let (headers, packed) = ask(accepted).await;
            assert_eq!(headers["content-encoding"], "gzip", "{path} {accepted}");
            assert_eq!(headers["content-length"], packed.len().to_string());
            assert!(headers["vary"].to_str().unwrap().starts_with("Accept-Encoding"));
            assert_ne!(headers["etag"], plain["etag"], "each form is another");
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, content, "{path}");
        }
        for accepted in ["gzip;q=0", "br", "identity, gzip;q=0.5"] {
            let (headers, body) = ask(accepted).await;
            assert!(!headers.contains_key("content-encoding"), "{path} {accepted}");
            assert_eq!(body, content);
        }
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_keep_other_sites_out_and_come_by_https_where_it_is_served_so() {
    let world = World::start().await;
    let plain = world.replica().await;
    let encrypted = world.replica_with(&[("PUBLIC_URL", "https://signup.example.com")]).await;
    for path in ["/", "/assets/page.js", "/docs/", "/openapi.json", "/health/live", "/nothing"] {
        let answer = encrypted.get(path).await;
        assert_eq!(answer.headers["strict-transport-security"], "max-age=31536000", "{path}");
        assert_eq!(answer.headers["cross-origin-opener-policy"], "same-origin", "{path}");
        assert_eq!(answer.headers["cross-origin-resource-policy"], "same-origin", "{path}");
        assert!(!plain.get(path).await.headers.contains_key("strict-transport-security"), "{path}");
    }
    plain.stop().await;
    encrypted.stop().await;
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
