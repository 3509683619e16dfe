//! One client can't take the service away from the others.

use crate::world::{Answer, World};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_rate_limit_the_answer_has_the_time_to_wait() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RATE_LIMIT", "3/1h")]).await;
    for remaining in [2, 1, 0] {
        let answer = replica.post("/api/verify", json!({})).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.headers["ratelimit-policy"], "\"client\";q=3;w=3600");
        assert_eq!(answer.headers["ratelimit"], format!("\"client\";r={remaining}"));
    }
    let answer = replica.register("ada@example.com").await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"));
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1190..=1200).contains(&wait), "{wait}");
    assert!(answer.headers.contains_key("x-request-id"));
    assert_eq!(replica.get("/health/live").await.status, StatusCode::OK, "only POSTs are limited");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_says_who_the_client_is() {
    let world = World::start().await;
    let ask = async |trusted: &str, forwarded: &[&str]| {
        let replica = world.replica_with(&[("RATE_LIMIT", "1/1h"), ("TRUSTED_PROXIES", trusted)]).await;
        let mut statuses = Vec::new();
        for value in forwarded {
            let request = replica
                .request(Method::POST, "/api/verify")
                .header("x-forwarded-for", *value)
                .json(&json!({}));
            statuses.push(Answer::of(request.send().await.unwrap()).await.status.as_u16());
        }
        replica.stop().await;
        statuses
    };
    // The client may have written anything left of the nearest address that is no trusted proxy.
    let forged = ["198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1, 10.0.0.1"];
    let (untrusted, trusted, forged) = tokio::join!(
        ask("", &["192.0.2.1", "192.0.2.2"]),
        ask("127.0.0.0/8", &["192.0.2.1", "192.0.2.2", "192.0.2.1"]),
        ask("127.0.0.1, 10.0.0.0/8", &forged),
    );
    assert_eq!(untrusted, [422, 429], "anybody can write the header");
    assert_eq!(trusted, [422, 422, 429]);
    assert_eq!(forged, [422, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_distinguished_in_every_notation_of_a_proxy() {
    let world = World::start().await;
    let limited = [("RATE_LIMIT", "3/1h"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let replica = world.replica_with(&limited).await;
    for client in [
        "203.0.113.1:5432",
        "203.0.113.2:5433",
        "[2001:db8::1]:443",
        "\"[2001:db8:0:1::2]:443\"",
        "fe80::3%eth0",
        "203.0.113.4,",
        "203.0.113.5, unknown",
        "_hidden",
    ] {
        let statuses = [422, 422, 422, 429];
        for status in statuses {
            let request = replica.request(Method::POST, "/api/verify").header("x-forwarded-for", client);
            let answer = Answer::of(request.json(&json!({})).send().await.unwrap()).await;
            assert_eq!(answer.status.as_u16(), status, "{client}");
        }
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_number_of_hops_nobody_chooses_whose_limit_it_uses() {
    let world = World::start().await;
    let variables =
        [("RATE_LIMIT", "1/1h"), ("TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.0/8"), ("TRUSTED_HOPS", "1")];
    let replica = world.replica_with(&variables).await;
    // The proxy appends the address of the client, which is inside a trusted network.
    for (forged, status) in [("192.0.2.1", 422), ("192.0.2.2", 429), ("192.0.2.3, 10.0.0.4", 429)] {
        let forwarded = format!("{forged}, 10.0.0.3");
        let request = replica.request(Method::POST, "/api/verify").header("x-forwarded-for", forwarded);
        let answer = Answer::of(request.json(&json!({})).send().await.unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{forged}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_requests_than_posts_have_a_limit_of_their_own_and_probes_have_none() {
    let world = World::start().await;
    let replica = world.replica_with(&[("RATE_LIMIT", "1/1h")]).await;
    for _ in 0..20 {
        assert_eq!(replica.get("/").await.status, StatusCode::OK);
    }
    for path in ["/", "/docs/swagger-ui-bundle.js", "/openapi.json", "/nothing"] {
        assert_eq!(replica.get(path).await.problem(), "too-many-requests", "{path}");
    }
    assert_eq!(replica.get("/health/ready").await.status, StatusCode::OK);
    assert_eq!(replica.post("/api/verify", json!({})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_are_not_counted_and_a_listed_page_can_read_a_refusal() {
    let world = World::start().await;
    let limited = [("RATE_LIMIT", "1/1h"), ("CORS_ORIGINS", "https://www.example.com")];
    let replica = world.replica_with(&limited).await;
    let request = |method, path| replica.request(method, path).header("origin", "https://www.example.com");
    for _ in 0..30 {
        let preflight = request(Method::OPTIONS, "/api/verify")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        assert_eq!(preflight.send().await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(request(Method::GET, "/").send().await.unwrap().status(), StatusCode::OK);
    for status in [StatusCode::UNPROCESSABLE_ENTITY, StatusCode::TOO_MANY_REQUESTS] {
        let answer = request(Method::POST, "/api/verify").json(&json!({})).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["access-control-allow-origin"], "https://www.example.com");
        let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("retry-after"), "{exposed}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_its_head_too_slowly_is_cut_off() {
    let world = World::start().await;
    let replica = world.impatient_replica(&[]).await;
    let mut slow = TcpStream::connect(replica.address).await.unwrap();
    slow.write_all(b"POST /api/register HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(15), slow.read_to_string(&mut answer));
    read.await.expect("cut off in time").unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_its_body_too_slowly_is_cut_off() {
    let world = World::start().await;
    let replica = world.impatient_replica(&[]).await;
    let mut slow = TcpStream::connect(replica.address).await.unwrap();
    let head = "POST /api/register HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(std::time::Duration::from_secs(20), slow.read(&mut answer));
    let count = read.await.expect("cut off in time").unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request-timeout"), "{answer}");
    replica.stop().await;
}
