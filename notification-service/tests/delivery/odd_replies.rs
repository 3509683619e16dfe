//! Replies as real servers send them. The text after the code decides nothing.

use crate::world::{World, created, created_to};
use contract::topic::Topic;
use sandbox::smtp::{Action, Script, Stage};

/// The server says this once in place of a good reply. One mail arrives, in the first session, and the gate stays open.
async fn is_taken(stage: Stage, reply: &[u8]) {
    let world = World::new(1).await;
    world.smtp.set_script(Script::first(1, stage, Action::Say(reply.to_vec())));
    let service = world.start(&[]).await;
    world.publish(&[created(1)]).await;
    world.wait_for_committed(Topic::Created, 1).await;
    let told = format!("{stage:?} {}", reply.escape_ascii());
    assert_eq!((world.smtp.count(), world.smtp.sessions().opened), (1, 1), "{told}");
    assert_eq!(service.ready().await["gate"]["open"], true, "{told}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_octets_may_follow_the_code_and_the_space_may_be_missing() {
    is_taken(Stage::Connect, b"220 caf\xe9.test ESMTP\r\n").await;
    is_taken(Stage::Connect, b"220-\xc0\xdb\r\n220\n").await;
    is_taken(Stage::Ehlo, b"250-caf\xe9\r\n250 8BITMIME\r\n").await;
    is_taken(Stage::Ehlo, b"250-x\n250-pipelining\n250\n").await;
    is_taken(Stage::Mail, b"250\r\n").await;
    is_taken(Stage::Rcpt, b"251\0forwarded\r\n").await;
    is_taken(Stage::Data, b"354\n").await;
    is_taken(Stage::EndOfData, b"250\r\n").await;
    is_taken(Stage::EndOfData, b"250 2.0.0 \xd3\xca\xcf\xe4\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_know_ehlo_gets_helo() {
    is_taken(Stage::Ehlo, b"502 5.5.1 not implemented\r\n").await;
    is_taken(Stage::Ehlo, b"500 what?\r\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_in_any_encoding_is_a_refusal() {
    let world = World::new(1).await;
    let refusal = b"550 5.1.1 \xd3\xca\xcf\xe4\xb2\xbb\xb4\xe6\xd4\xda\r\n".to_vec();
    world.smtp.set_script(Script::recipient("nobody@example.com", Action::Say(refusal)));
    let service = world.start(&[]).await;
    world.publish(&[created_to(1, "nobody@example.com"), created(2)]).await;
    world.wait_for_committed(Topic::Created, 2).await;
    let letters = world.wait_for_dead_letters(1).await;
    assert_eq!(letters[0].headers["dead_letter_reason"], "recipient_refused");
    assert_eq!(letters[0].headers["dead_letter_smtp_status"], "550");
    assert_eq!(service.ready().await["gate"]["open"], true);
    assert_eq!(world.wait_for_mails(1).await.len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_counts_in_any_case() {
    let world = World::new(1).await;
    let offers = b"250-odd.test\r\n250-pipelining\r\n250-8bitmime\r\n250 smtputf8\r\n".to_vec();
    world.smtp.set_script(Script::at(Stage::Ehlo, Action::Say(offers)));
    let service = world.start(&[]).await;
    world.publish(&[created_to(1, "j\u{f6}rg@example.com")]).await;
    assert_eq!(world.wait_for_mails(1).await[0].recipients, ["j\u{f6}rg@example.com"]);
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_without_an_end_closes_the_gate_and_loses_nothing() {
    let world = World::new(1).await;
    let endless = [b"250 ".to_vec(), vec![b'x'; 1 << 20]].concat();
    world.smtp.set_script(Script::first(1, Stage::EndOfData, Action::Say(endless)));
    let service = world.start(&[]).await;
    world.publish(&[created(1)]).await;
    let health = service.wait_until(|body| body["gate"]["open"] == false).await;
    let told = health["gate"]["closed_by"].as_str().unwrap();
    assert!(told.contains("longer than 64 KiB"), "{told}");
    world.wait_for_committed(Topic::Created, 1).await;
    service.stop().await;
}
