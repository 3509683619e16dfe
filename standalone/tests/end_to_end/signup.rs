//! One signup from the form to the confirmation, with a restart in between.

use crate::person::{DEADLINE, Person};
use reqwest::{Client, StatusCode};
use runtime::env::Env;
use sandbox::inbox::ParsedMail;
use serde_json::json;
use standalone::{Ports, System};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// The six digits that stand alone in a line.
fn code(body: &str) -> String {
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
    body.lines().find(is_code).expect("a code").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_registers_reads_the_code_verifies_and_gets_a_confirmation_with_a_restart_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let person = Person::starts(folder.path()).await;
    let body = json!({"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"});
    let (status, answer) = person.posts("/api/register", body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let id = answer["data"]["id"].as_str().expect("an id").to_owned();
    let code = code(&person.receives("Verify Account").await);
    person.stops().await;

    let person = Person::starts(folder.path()).await;
    let (status, answer) = person.posts("/api/verify", json!({"id": id, "code": code})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    person.receives("Account Verified").await;
    person.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mail_is_shown_as_it_arrives_and_none_comes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let env = Env::from_pairs([
        ("USER_SERVICE_ADDR", "127.0.0.1:0"),
        ("USER_SERVICE_ADMIN_ADDR", "127.0.0.1:0"),
        ("NOTIFICATION_SERVICE_ADDR", "127.0.0.1:0"),
    ]);
    let system = System::start(folder.path(), Ports { kafka: 0, smtp: 0, inbox: 0 }, env).await.unwrap();
    let (sender, mut shown) = tokio::sync::mpsc::unbounded_channel();
    system.inbox().on_mail(move |mail: &ParsedMail| drop(sender.send(Arc::new(mail.clone()))));
    let (api, stop) = (system.user_service(), CancellationToken::new());
    let running = tokio::spawn(system.run(stop.clone()));
    let client = Client::new();
    for number in 0..10 {
        let email = format!("person{number}@example.com");
        let body = json!({"first_name": "Ada", "last_name": "Lovelace", "email": email});
        let started = Instant::now();
        while client.post(format!("http://{api}/api/register")).json(&body).send().await.unwrap().status()
            != StatusCode::ACCEPTED
        {
            assert!(started.elapsed() < DEADLINE);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let mut recipients = Vec::new();
    while recipients.len() < 10 {
        let mail = tokio::time::timeout(DEADLINE, shown.recv()).await.expect("in time").expect("a mail");
        recipients.extend(mail.to.clone());
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(shown.recv().await.is_none(), "ten registrations, ten mails");
    recipients.sort();
    recipients.dedup();
    assert_eq!(recipients.len(), 10);
}
