//! One signup, from the form to the confirmation, and through a restart.

use reqwest::{Client, StatusCode};
use sandbox::inbox::ParsedMail;
use serde_json::{Value, json};
use shared::env::Env;
use standalone::{Ports, System};
use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(30);

/// The system and somebody who uses it.
struct Person {
    api: SocketAddr,
    inbox: Client,
    inbox_at: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Person {
    async fn starts(folder: &Path) -> Self {
        let env = Env::from_pairs([
            ("USER_SERVICE_ADDR", "127.0.0.1:0"),
            ("USER_SERVICE_ADMIN_ADDR", "127.0.0.1:0"),
            ("NOTIFICATION_SERVICE_ADDR", "127.0.0.1:0"),
        ]);
        let ports = Ports { kafka: 0, smtp: 0, inbox: 0 };
        let system = System::start(folder, ports, env).await.expect("the system starts");
        let (api, inbox_at, stop) =
            (system.user_service(), system.inbox().web_address(), CancellationToken::new());
        let running = tokio::spawn(system.run(stop.clone()));
        Self { api, inbox: Client::new(), inbox_at, stop, running }
    }

    async fn stops(self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.running)
            .await
            .expect("in time")
            .expect("no panic")
            .expect("no error");
    }

    /// Posts until the answer is something other than «not yet».
    async fn posts(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let started = Instant::now();
        loop {
            let request = self.inbox.post(format!("http://{}{path}", self.api)).json(&body);
            let answer = request.send().await.expect("an answer");
            if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
                return (answer.status(), answer.json().await.expect("JSON"));
            }
            assert!(started.elapsed() < DEADLINE, "still not available");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The text of the mail with this subject.
    async fn receives(&self, subject: &str) -> String {
        let started = Instant::now();
        loop {
            let mails: Value = self
                .inbox
                .get(format!("http://{}/api/v2/messages", self.inbox_at))
                .send()
                .await
                .expect("an answer")
                .json()
                .await
                .expect("JSON");
            let found = mails["items"]
                .as_array()
                .expect("a list")
                .iter()
                .find(|mail| mail["Content"]["Headers"]["Subject"][0] == subject);
            if let Some(mail) = found {
                return mail["Content"]["Body"].as_str().expect("a body").to_owned();
            }
            assert!(started.elapsed() < DEADLINE, "no mail with the subject {subject}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The six digits that stand alone in their line.
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
