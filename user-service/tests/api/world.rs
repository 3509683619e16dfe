//! What a test needs: a broker of its own, replicas on it, a person who signs up, and a look into the log.

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use reqwest::{Client, Response, StatusCode};
use sandbox::broker::{Broker, Storage};
use serde_json::{Value, json};
use shared::{
    code_secrets::CodeSecrets,
    env::Env,
    event::{CodeIssued, Event, header},
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use user_service::{Application, Config};

pub(crate) const CODE_SECRETS: &str = "k1:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=";
const ID_SECRET: &str = "dnV0c3JxcG9ubWxramloZ2ZlZGNiYTk4NzY1NDMyMTA=";
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A broker with nothing on it.
pub(crate) struct World {
    broker: Broker,
}

/// One running user service.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
    client: Client,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self { broker: Broker::start(Storage::Temporary, 0).await.expect("the broker starts") }
    }

    pub(crate) fn brokers(&self) -> String {
        self.broker.bootstrap()
    }

    /// Ends the broker, and with it the world.
    pub(crate) async fn end(self) {
        self.broker.stop().await;
    }

    /// Starts a replica with some variables set, and waits until it is ready.
    pub(crate) async fn replica_with(&self, variables: &[(&str, &str)]) -> Replica {
        let replica = Replica::start(&self.brokers(), variables);
        replica.ready().await;
        replica
    }

    pub(crate) async fn replica(&self) -> Replica {
        self.replica_with(&[]).await
    }

    /// All events of a topic, in the order of their partitions.
    pub(crate) async fn events(&self, topic: Topic) -> Vec<Event> {
        let brokers = self.brokers();
        tokio::task::spawn_blocking(move || read(&brokers, topic)).await.expect("the topic is read")
    }

    /// The newest mail that went to this id, as the notification service would read it.
    pub(crate) async fn newest_code(&self, id: &str) -> CodeIssued {
        let mut issued = self.events(Topic::Created).await;
        issued.extend(self.events(Topic::Activity).await);
        let issued = issued.into_iter().filter_map(|event| match event {
            Event::Created(event) | Event::CodeResent(event) if event.id.to_string() == id => Some(event),
            _ => None,
        });
        issued.max_by_key(|event| (event.window, event.send)).expect("a code was issued")
    }
}

impl Replica {
    /// Starts a replica without waiting for anything.
    pub(crate) fn start(brokers: &str, variables: &[(&str, &str)]) -> Self {
        shared::telemetry::start(
            shared::telemetry::LogFormat::Text,
            &std::env::var("RUST_LOG").unwrap_or_else(|_| "off".into()),
        );
        let mut env = Env::from_pairs(variables.iter().copied());
        for (name, value) in [
            ("KAFKA_BROKERS", brokers),
            ("KAFKA_PARTITIONS", "3"),
            ("USER_SERVICE_ADDR", "127.0.0.1:0"),
            ("USER_SERVICE_ADMIN_ADDR", "127.0.0.1:0"),
            ("RATE_LIMIT", "off"),
            ("CODE_SECRETS", CODE_SECRETS),
            ("ID_SECRET", ID_SECRET),
        ] {
            env.set_default(name, value);
        }
        let application = Application::start(Config::load(env).expect("valid")).expect("the service starts");
        let (address, admin_address) = (application.address(), application.admin_address());
        let stop = CancellationToken::new();
        let running = tokio::spawn(application.run(stop.clone()));
        Self {
            address,
            admin_address,
            client: Client::builder().timeout(DEADLINE).build().expect("a client"),
            stop,
            running,
        }
    }

    pub(crate) async fn ready(&self) {
        let started = Instant::now();
        while self.get("/health/ready").await.status != StatusCode::OK {
            assert!(started.elapsed() < DEADLINE, "not ready in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.running)
            .await
            .expect("in time")
            .expect("no panic")
            .expect("no error");
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(reqwest::Method::GET, path).send().await.expect("an answer")).await
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(reqwest::Method::POST, path).json(&body).send().await.expect("an answer"))
            .await
    }

    pub(crate) async fn register(&self, email: &str) -> Answer {
        self.post("/api/register", json!({"first_name": "Ada", "last_name": "Lovelace", "email": email}))
            .await
    }

    /// Registers and answers the id.
    pub(crate) async fn registered(&self, email: &str) -> String {
        let answer = self.register(email).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        answer.body["data"]["id"].as_str().expect("an id").to_owned()
    }

    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        let answer = self.client.get(format!("http://{}/metrics", self.admin_address)).send().await;
        answer.expect("an answer").text().await.expect("a body")
    }

    pub(crate) async fn resend(&self, id: &str) -> Answer {
        self.post("/api/resend", json!({"id": id})).await
    }

    pub(crate) async fn verify(&self, id: &str, code: &str) -> Answer {
        self.post("/api/verify", json!({"id": id, "code": code})).await
    }
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Self { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// The problem's type without its prefix, after a check of what all problems share.
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status.as_u16());
        assert!(self.body["title"].is_string() && self.body["detail"].is_string(), "{self:?}");
        let name = self.body["type"]
            .as_str()
            .and_then(|name| name.strip_prefix("urn:problem-type:two-step-signup:"));
        name.expect("a type of ours")
    }
}

fn secrets() -> CodeSecrets {
    CodeSecrets::parse(CODE_SECRETS).expect("valid")
}

/// The code that the mail of this event holds.
pub(crate) fn code(event: &CodeIssued) -> String {
    let secrets = secrets();
    let key = secrets.get(&event.key).expect("a known key");
    VerificationCode::derive(key, event.id, &event.email, event.window, event.generation).digits().to_owned()
}

/// A code that the mail of this event does not hold.
pub(crate) fn wrong_code(event: &CodeIssued) -> String {
    let right: u32 = code(event).parse().expect("digits");
    format!("{:06}", (right + 1) % 1_000_000)
}

/// The token in the link of this event's mail.
pub(crate) fn token(event: &CodeIssued) -> String {
    LinkToken::derive(secrets().get(&event.key).expect("a known key"), event.id, &event.email, event.window)
        .to_text()
}

fn read(brokers: &str, topic: Topic) -> Vec<Event> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "a-look-into-the-log")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .create()
        .expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic.name()), DEADLINE).expect("metadata");
    let mut events = Vec::new();
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic.name(), partition.id(), DEADLINE).expect("ends");
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(topic.name(), partition.id(), Offset::Offset(low))
            .expect("an offset");
        consumer.assign(&assignment).expect("assigned");
        let mut next = low;
        while next < high {
            let record = consumer.poll(DEADLINE).expect("in time").expect("a record");
            next = record.offset() + 1;
            let Some(payload) = record.payload() else { continue };
            let event = Event::decode(header(record.headers(), "ce_type"), payload).expect("one of ours");
            assert_eq!(record.key(), Some(event.account_id().to_string().as_bytes()), "keyed by the account");
            events.push(event);
        }
    }
    events
}
