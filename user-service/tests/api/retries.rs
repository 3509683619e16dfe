//! Whatever a client does again, there is one id and one code.

use crate::world::{World, code};
use reqwest::StatusCode;
use shared::{event::Event, topic::Topic};
use std::{collections::BTreeSet, time::Instant};
use tokio::{io::AsyncWriteExt, net::TcpStream};

#[tokio::test(flavor = "multi_thread")]
async fn twice_at_once_at_two_replicas_is_one_fact_with_one_code() {
    let world = World::start().await;
    let (a, b) = (world.replica().await, world.replica().await);
    for number in 0..10 {
        let email = format!("person{number}@example.com");
        let answers = tokio::join!(a.register(&email), b.register(&email), a.register(&email));
        for answer in [&answers.0, &answers.1, &answers.2] {
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
            assert_eq!(answer.body["data"]["id"], answers.0.body["data"]["id"]);
        }
    }
    let created = world.events(Topic::Created).await;
    let facts: BTreeSet<_> = created.iter().map(Event::event_id).collect();
    assert_eq!(facts.len(), 10, "however often it was written, {} times in all", created.len());
    for event in created {
        let Event::Created(event) = event else { panic!("{event:?}") };
        let id = event.id.to_string();
        assert_eq!(b.verify(&id, &code(&event)).await.status, StatusCode::OK);
    }
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_a_registration_or_none_but_nothing_half_done() {
    let world = World::start().await;
    let replica = world.replica().await;
    let body = r#"{"first_name":"Ada","last_name":"Lovelace","email":"ada@example.com"}"#;
    let request = format!(
        "POST /api/register HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = TcpStream::connect(replica.address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    drop(client);
    let started = Instant::now();
    while world.events(Topic::Created).await.is_empty() {
        assert!(started.elapsed().as_secs() < 10, "what was received in full is carried out");
    }
    // The replica knows what it wrote: the same person again, in the cool-down, is no new registration.
    let id = replica.registered("ada@example.com").await;
    let created = world.events(Topic::Created).await;
    assert_eq!(created.len(), 1);
    assert_eq!(replica.verify(&id, &code(&world.newest_code(&id).await)).await.status, StatusCode::OK);
    replica.stop().await;
}
