//! HTTP on a raw socket: clients that do what no library does.

use crate::{
    program::Program,
    world::{Replica, World},
};
use futures_util::future::join_all;
use socket2::{Domain, Socket, Type};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const DEADLINE: Duration = Duration::from_secs(20);
const PROBLEM: &str = "content-type: application/problem+json";

/// Sends octets, keeps the connection open, and reads until the server closes it.
async fn talk(address: SocketAddr, octets: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(octets.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    // A reset after the answer is an end, too.
    let _ = ended.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /api/register HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{headers}\r\n{body}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_body_is_refused_and_nothing_behind_it_is_done() {
    let world = World::start().await;
    let replica = world.replica().await;
    let smuggled = post(
        "content-length: 70\r\n",
        r#"{"first_name":"Eve","last_name":"Evil","email":"eve@example.com","a":1}"#,
    );
    let smuggled = smuggled.replace("content-length: 70", "content-length: 71");
    for (headers, body) in [
        // The end of the body by the reading of a lenient server, with CRLF LF, and by that of a strict one.
        ("transfer-encoding: chunked\r\n", format!("0\r\n\n{smuggled}")),
        ("transfer-encoding: chunked\r\n", format!("0\r\n\r\n{smuggled}")),
        ("transfer-encoding: chunked\r\n", format!("2\r\n{{}}\r\n0\r\n\r\n{smuggled}")),
        // Incomplete bodies: a server that stops reading there must not keep the connection.
        ("transfer-encoding: chunked\r\n", "2\r\n{".to_owned()),
        ("transfer-encoding: chunked\r\n", String::new()),
    ] {
        let answer = talk(replica.address, &post(headers, &body)).await;
        assert!(answer.starts_with("HTTP/1.1 411 ") && answer.contains("connection: close"), "{answer}");
        assert!(answer.contains(PROBLEM) && answer.contains(":length-required\""), "{answer}");
        assert!(!answer.contains("HTTP/1.1 202"), "{answer}");
    }
    let get = "GET /health/live HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(talk(replica.address, get).await.starts_with("HTTP/1.1 411 "));
    assert!(world.events(contract::topic::Topic::Created).await.is_empty());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_body_was_not_read_ends_whether_or_not_the_client_goes_on() {
    let world = World::start().await;
    let replica = world.impatient_replica(&[]).await;
    let half = |headers: &str| post(headers, "{");
    let cases = [
        (half("content-length: 100000\r\n"), "413"),
        (half("content-length: 100\r\n").replace("application/json", "text/plain"), "415"),
        (half("content-length: 100\r\ncontent-encoding: gzip\r\n"), "415"),
        (half("content-length: 100\r\n"), "408"),
        (half("content-length: 100\r\nsec-fetch-site: cross-site\r\n"), "403"),
        (half("content-length: 100\r\n").replace("/api/register", "/nothing"), "404"),
    ];
    let answers = join_all(cases.iter().map(|(request, _)| talk(replica.address, request))).await;
    for (answer, (_, status)) in answers.into_iter().zip(&cases) {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(PROBLEM), "{answer}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_gets_a_problem_too() {
    let world = World::start().await;
    let replica = world.impatient_replica(&[]).await;
    let long = "a".repeat(60_000);
    let cases = [
        ("NONSENSE\r\n\r\n".to_owned(), "400 Bad Request", ":rejected\""),
        ("GET /health/live HTTP/1.1\r\n\r\n".to_owned(), "400 Bad Request", ":rejected\""),
        ("GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n".to_owned(), "400 Bad Request", ":rejected\""),
        (post("content-length: +1\r\n", "1"), "400 Bad Request", ":rejected\""),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\ncookie: {long}\r\n\r\n"),
            "431 Request Header Fields Too Large",
            ":head-too-large\"",
        ),
        (
            "POST /api/register HTTP/1.1\r\nhost: a\r\n".to_owned(),
            "408 Request Timeout",
            ":request-timeout\"",
        ),
    ];
    let answers = join_all(cases.iter().map(|(octets, ..)| talk(replica.address, octets))).await;
    for (answer, (_, status, kind)) in answers.into_iter().zip(&cases) {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")) && head.contains(PROBLEM), "{answer}");
        assert!(head.contains(&format!("content-length: {}", body.len())) && body.contains(kind), "{answer}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_one_packet_are_answered_in_their_order() {
    let world = World::start().await;
    let replica = world.replica().await;
    let one = "GET /assets/page.css HTTP/1.1\r\nhost: a\r\n\r\n";
    let last = "GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    // More than is read ahead at once.
    let answers = talk(replica.address, &format!("{}{last}", one.repeat(2_000))).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2_001);
    assert!(answers.ends_with("{\"status\":\"live\"}"));
    replica.stop().await;
}

/// A client with a small receive window, so that the kernel holds little of what the client does not read.
async fn deaf(address: SocketAddr) -> TcpStream {
    client_with_buffer(address, 4096).await
}

async fn client_with_buffer(address: SocketAddr, octets: usize) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(octets).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    TcpStream::from_std(socket.into()).unwrap()
}

/// Connections whose clients send requests until the server reads no more, and read no answer.
async fn deaf_clients(address: SocketAddr) -> Vec<TcpStream> {
    let connections = (0..60).map(|number| async move {
        let request = match number % 3 {
            0 => "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: a\r\n\r\n",
            1 => "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n",
            // Answers without a body are not held back by the server's own buffer.
            _ => "GET / HTTP/1.1\r\nhost: a\r\nif-none-match: *\r\n\r\n",
        };
        let mut stream = deaf(address).await;
        let requests = request.repeat(1_000);
        let writing = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), writing).await;
        stream
    });
    join_all(connections).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_nothing_cost_little() {
    let world = World::start().await;
    let program =
        Program::start(&world.brokers(), &[("TRUSTED_PROXIES", "127.0.0.1"), ("RUST_LOG", "info")]).await;
    let before = program.memory();
    let connections = deaf_clients(program.address).await;
    let grown = program.memory().saturating_sub(before) / connections.len() as u64;
    assert!(grown < 300, "{grown} KiB for each connection");
    assert_eq!(program.get("/health/live").await.status, reqwest::StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_nothing_lose_their_connections() {
    let world = World::start().await;
    let bounds = [("MAX_CONNECTIONS", "64"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let replica = world.impatient_replica(&bounds).await;
    let connections = deaf_clients(replica.address).await;
    // One more connection belongs to the client that asked whether the replica is ready.
    let started = Instant::now();
    loop {
        let mut served = Vec::new();
        while let Some(stream) = served_by(&replica).await {
            served.push(stream);
        }
        if served.len() == 63 {
            break;
        }
        assert!(started.elapsed() < DEADLINE, "{} have a place", served.len());
        drop(served);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(connections);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_keeps_its_connection() {
    let world = World::start().await;
    let replica = world.impatient_replica(&[]).await;
    // The window is often closed, and smaller than what the server's kernel would like to send at once.
    let mut stream = client_with_buffer(replica.address, 16 * 1024).await;
    stream.write_all(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let (started, mut octets) = (Instant::now(), [0; 500]);
    while started.elapsed() < Duration::from_secs(7) {
        stream.read_exact(&mut octets).await.expect("the next octets");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    drop(stream);
    replica.stop().await;
}

/// A new connection on which a request was answered; `None` if it was closed at once.
async fn served_by(replica: &Replica) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(replica.address).await.ok()?;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await.ok()?;
    let mut octets = [0; 12];
    stream.read_exact(&mut octets).await.ok()?;
    assert_eq!(&octets, b"HTTP/1.1 200");
    Some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_in_all_and_for_each_address() {
    let world = World::start().await;
    for (variables, served) in [
        (&[("MAX_CONNECTIONS_PER_ADDRESS", "5")][..], 5),
        (
            &[
                ("MAX_CONNECTIONS", "6"),
                ("MAX_CONNECTIONS_PER_ADDRESS", "5"),
                ("TRUSTED_PROXIES", "127.0.0.1"),
            ],
            6,
        ),
    ] {
        let replica = Replica::start(&world.brokers(), variables);
        let mut open = Vec::new();
        for _ in 0..10 {
            open.extend(served_by(&replica).await);
        }
        assert_eq!(open.len(), served, "{variables:?}");
        let metrics = replica.metrics().await;
        let refused = format!("user_service_refused_connections_total {}", 10 - served);
        assert!(metrics.contains(&refused), "{metrics}");
        open.clear();
        let started = Instant::now();
        while served_by(&replica).await.is_none() {
            assert!(started.elapsed() < DEADLINE, "places come back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_bodies_take_nobody_s_place() {
    let world = World::start().await;
    let replica = world.replica_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let half = |client: usize| {
        let from = format!("content-length: 100\r\nx-forwarded-for: 192.0.2.{client}\r\n");
        post(&from, "{")
    };
    let mut slow = Vec::new();
    // One client may send 64 bodies at a time; the next is refused at once.
    for _ in 0..65 {
        let mut stream = TcpStream::connect(replica.address).await.unwrap();
        stream.write_all(half(1).as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let mut refused = 0;
    let started = Instant::now();
    while refused == 0 {
        for stream in &mut slow {
            let mut octets = [0; 12];
            if let Ok(Ok(12)) = tokio::time::timeout(Duration::from_millis(5), stream.read(&mut octets)).await
            {
                assert_eq!(&octets, b"HTTP/1.1 429");
                refused += 1;
            }
        }
        assert!(started.elapsed() < Duration::from_secs(8), "one is refused");
    }
    assert_eq!(refused, 1);
    // All others are served, even while many clients have half-sent bodies.
    for client in 2..52 {
        let mut stream = TcpStream::connect(replica.address).await.unwrap();
        stream.write_all(half(client).as_bytes()).await.unwrap();
        slow.push(stream);
    }
    replica.registered("ada@example.com").await;
    drop(slow);
    replica.stop().await;
}
