//! A client may repeat or break off any request: nothing is left half done.

use crate::world::{World, code};
use reqwest::StatusCode;
use std::time::{Duration, Instant};
use tokio::{io::AsyncWriteExt, net::TcpStream};

#[tokio::test(flavor = "multi_thread")]
async fn three_times_at_once_is_one_mail_and_each_answer_is_as_good_as_the_others() {
    let world = World::start().await;
    let replica = world.replica().await;
    for number in 0..10 {
        let email = format!("person{number}@example.com");
        let (one, two, three) =
            tokio::join!(replica.registered(&email), replica.registered(&email), replica.registered(&email));
        let [mail] = &world.mails_to(&email).await[..] else { panic!("one mail") };
        for id in [one, two, three] {
            assert_eq!(replica.verify(&id, &code(mail)).await.status, StatusCode::OK);
        }
    }
    replica.stop().await;
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
    while world.registrations().await.is_empty() {
        assert!(started.elapsed().as_secs() < 10, "what was received in full is carried out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The replica knows what it wrote: the same person gets no second mail in the cool-down.
    let id = replica.registered("ada@example.com").await;
    let [mail] = &world.mails_to("ada@example.com").await[..] else { panic!("one mail") };
    assert_eq!(replica.verify(&id, &code(mail)).await.status, StatusCode::OK);
    replica.stop().await;
}
