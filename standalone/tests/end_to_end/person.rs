//! The system in this process, and a person who uses it.

use reqwest::{Client, StatusCode};
use runtime::env::Env;
use serde_json::Value;
use standalone::{Ports, System};
use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The longest wait of a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The system and a person who uses it.
pub(crate) struct Person {
    api: SocketAddr,
    client: Client,
    inbox: SocketAddr,
    /// The addresses of both services' metrics.
    metrics: [SocketAddr; 2],
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Person {
    pub(crate) async fn starts(folder: &Path) -> Self {
        let env = Env::from_pairs([
            ("USER_SERVICE_ADDR", "127.0.0.1:0"),
            ("USER_SERVICE_ADMIN_ADDR", "127.0.0.1:0"),
            ("NOTIFICATION_SERVICE_ADDR", "127.0.0.1:0"),
        ]);
        let ports = Ports { kafka: 0, smtp: 0, inbox: 0 };
        let system = System::start(folder, ports, env).await.expect("the system starts");
        let (api, inbox) = (system.user_service(), system.inbox().web_address());
        let metrics = [system.user_service_admin(), system.notification_service()];
        let stop = CancellationToken::new();
        let running = tokio::spawn(system.run(stop.clone()));
        Self { api, client: Client::new(), inbox, metrics, stop, running }
    }

    pub(crate) async fn stops(self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.running)
            .await
            .expect("in time")
            .expect("no panic")
            .expect("no error");
    }

    /// Posts again until the answer is not `503`.
    pub(crate) async fn posts(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let started = Instant::now();
        loop {
            let request = self.client.post(format!("http://{}{path}", self.api)).json(&body);
            let answer = request.send().await.expect("an answer");
            if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
                return (answer.status(), answer.json().await.expect("JSON"));
            }
            assert!(started.elapsed() < DEADLINE, "still not available");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The text of the mail with this subject.
    pub(crate) async fn receives(&self, subject: &str) -> String {
        let started = Instant::now();
        loop {
            let mails: Value = self
                .client
                .get(format!("http://{}/api/v2/messages", self.inbox))
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

    /// The metrics of both services.
    pub(crate) async fn metrics(&self) -> String {
        let mut all = String::new();
        for address in self.metrics {
            let answer =
                self.client.get(format!("http://{address}/metrics")).send().await.expect("an answer");
            all.push_str(&answer.text().await.expect("text"));
        }
        all
    }
}
