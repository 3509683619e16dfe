//! The environment of a test: a broker of its own, replicas on it, a person who signs up, and a look into the log.

use contract::{
    account_id::AccountId,
    code_secrets::CodeSecrets,
    email_address::EmailAddress,
    event::{Event, Mailing, Place, Registered, Verified},
    locale::Locale,
    person::Person,
    person_name::PersonName,
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use futures_util::future::join_all;
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message,
    producer::{FutureProducer, FutureRecord},
};
use reqwest::{Client, Response, StatusCode};
use runtime::{
    env::Env,
    kafka::{header, owned_headers},
};
use sandbox::{
    broker::{Broker, Storage},
    raw, topics,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};
use texts::{Faults, Folder, Settings, Texts};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use user_service::{Application, Config, IdSecret, Patience};

pub(crate) const CODE_SECRETS: &str = "k1:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=";
const ID_SECRET: &str = "dnV0c3JxcG9ubWxramloZ2ZlZGNiYTk4NzY1NDMyMTA=";
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A broker with nothing on it.
pub(crate) struct World {
    broker: Broker,
    /// Writes records as other processes would.
    producer: FutureProducer,
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
    /// Begins well before a window of an hour ends, so that a test does not span two.
    pub(crate) async fn start() -> Self {
        let seconds = u64::try_from(Timestamp::now().as_second() % 3600).expect("after 1970");
        if seconds > 3600 - 20 {
            tokio::time::sleep(Duration::from_secs(3600 - seconds)).await;
        }
        let broker = Broker::start(Storage::Temporary, 0).await.expect("the broker starts");
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap())
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", "2097152")
            .create()
            .expect("a producer");
        Self { broker, producer }
    }

    pub(crate) fn brokers(&self) -> String {
        self.broker.bootstrap()
    }

    /// Stops the broker.
    pub(crate) async fn end(self) {
        self.broker.stop().await;
    }

    /// Starts a replica with some variables set, and waits until it is ready.
    pub(crate) async fn replica_with(&self, variables: &[(&str, &str)]) -> Replica {
        let replica = Replica::start(&self.brokers(), variables);
        replica.ready().await;
        replica
    }

    /// A replica with short time limits for clients, so that a test need not wait long.
    pub(crate) async fn impatient_replica(&self, variables: &[(&str, &str)]) -> Replica {
        let [head, body, answers] = [1, 2, 5].map(Duration::from_secs);
        let replica = Replica::start_with(&self.brokers(), variables, Patience { head, body, answers });
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

    /// The event of a registration.
    pub(crate) async fn registration(&self, id: &str) -> Registered {
        let found = self.registrations().await.into_iter().find(|(_, it)| it.registration.to_string() == id);
        found.expect("it is in the log").1
    }

    /// The mails with codes that went to an address, the oldest first.
    pub(crate) async fn mails_to(&self, email: &str) -> Vec<Registered> {
        let mut mails: Vec<_> = self.registrations().await;
        mails.retain(|(mailing, it)| {
            matches!(mailing, Mailing::FirstCode | Mailing::FurtherCode)
                && it.email.as_str().eq_ignore_ascii_case(email)
        });
        mails.sort_by_key(|(_, it)| (it.window, it.send));
        mails.into_iter().map(|(_, it)| it).collect()
    }

    /// All registrations, each with its mailing.
    pub(crate) async fn registrations(&self) -> Vec<(Mailing, Registered)> {
        let created = self.events(Topic::Created).await.into_iter();
        created
            .filter_map(|event| match event {
                Event::Registered(mailing, event) => Some((mailing, event)),
                _ => None,
            })
            .collect()
    }

    /// Forgets the account of an address, as the command does.
    pub(crate) async fn forget(&self, email: &str, variables: &[(&str, &str)]) {
        let config = Config::load(Env::from_pairs(environment(&self.brokers(), variables))).expect("valid");
        user_service::forget(&config, account_of(email)).await.expect("forgotten");
    }

    /// Writes an event as another replica would.
    pub(crate) async fn write(&self, event: &Event) {
        let record = event.encode().expect("JSON");
        self.write_record(record.topic, event.kind().name(), &record.key, Some(&record.payload)).await;
    }

    /// Writes any record; without a value, a tombstone.
    pub(crate) async fn write_record(&self, topic: Topic, kind: &str, key: &str, value: Option<&[u8]>) {
        self.write_with(topic, &[("ce_type", kind)], key, value).await;
    }

    /// Writes any record with any headers.
    pub(crate) async fn write_with(
        &self,
        topic: Topic,
        headers: &[(&str, &str)],
        key: &str,
        value: Option<&[u8]>,
    ) {
        let headers = owned_headers(headers);
        let record = FutureRecord { payload: value, ..FutureRecord::to(topic.name()) };
        self.producer.send(record.key(key).headers(headers), DEADLINE).await.expect("written");
    }

    /// The offset, as text, of the last record of a topic that has this key.
    pub(crate) async fn place_of_last(&self, topic: Topic, key: &str) -> String {
        let (brokers, key) = (self.brokers(), key.to_owned());
        let read = move || {
            let mut last = None;
            let read = topics::read(&brokers, &[topic.name()], DEADLINE, |record| {
                if record.key() == Some(key.as_bytes()) {
                    last = Some(record.offset().to_string());
                }
            });
            read.expect("the topic is read");
            last.expect("there is one")
        };
        tokio::task::spawn_blocking(read).await.expect("the topic is read")
    }

    /// Writes a record that is no event, with a header whose name is any octets.
    pub(crate) fn write_with_header(&self, topic: Topic, header: (&[u8], &[u8])) {
        raw::write(&self.broker.bootstrap(), topic.name(), (b"k", b"no event"), header).expect("written");
    }
}

impl Replica {
    /// Starts a replica without waiting for anything.
    pub(crate) fn start(brokers: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_with(brokers, variables, Patience::default())
    }

    fn start_with(brokers: &str, variables: &[(&str, &str)], patience: Patience) -> Self {
        runtime::telemetry::start(
            runtime::telemetry::LogFormat::Text,
            &std::env::var("RUST_LOG").unwrap_or_else(|_| "off".into()),
        );
        let env = Env::from_pairs(environment(brokers, variables));
        let mut config = Config::load(env).expect("valid");
        config.patience = patience;
        let application = Application::start(config).expect("the service starts");
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

    /// Registers and returns the id.
    pub(crate) async fn registered(&self, email: &str) -> String {
        let answer = self.register(email).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        answer.body["data"]["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until the replica has read all that is in the log.
    pub(crate) async fn reads_all(&self) {
        let started = Instant::now();
        while !self.metrics().await.contains("user_service_log_lag_records 0") {
            assert!(started.elapsed() < DEADLINE, "not read in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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

    pub(crate) async fn open_link(&self, id: &str, token: &str) -> Answer {
        self.post("/api/verify", json!({"id": id, "token": token})).await
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

/// The variables of a service: the defaults of these tests, and what a test overrides.
pub(crate) fn environment<'a>(
    brokers: &'a str,
    variables: &[(&'a str, &'a str)],
) -> BTreeMap<&'a str, &'a str> {
    let defaults = [
        ("KAFKA_BROKERS", brokers),
        ("KAFKA_PARTITIONS", "3"),
        ("USER_SERVICE_ADDR", "127.0.0.1:0"),
        ("USER_SERVICE_ADMIN_ADDR", "127.0.0.1:0"),
        ("RATE_LIMIT", "off"),
        ("WRONG_CODES", "off"),
        ("CODE_SECRETS", CODE_SECRETS),
        ("ID_SECRET", ID_SECRET),
    ];
    defaults.into_iter().chain(variables.iter().copied()).collect()
}

/// The texts as they are built in.
pub(crate) fn built_in() -> Texts {
    Texts::read(&Folder::default(), Settings { mail_has_link: true }, &mut Faults::default())
}

fn secrets() -> CodeSecrets {
    CodeSecrets::parse(CODE_SECRETS).expect("valid")
}

/// Stops several replicas at once.
pub(crate) async fn stop<const N: usize>(replicas: [Replica; N]) {
    join_all(replicas.map(Replica::stop)).await;
}

/// The account of an address.
pub(crate) fn account_of(email: &str) -> AccountId {
    let secret = IdSecret::parse(ID_SECRET).expect("valid");
    secret.account_id(&EmailAddress::parse(email).expect("valid"))
}

/// The first registration of an address, as another replica wrote it that long ago.
pub(crate) fn registered_elsewhere(email: &str, ago: Duration) -> Registered {
    let now = Timestamp::now();
    let occurred_at = Timestamp::from_millisecond((now - ago).as_millisecond()).expect("near");
    // At the turn of an hour, one of a moment ago belongs to the new window: clocks may differ by two minutes.
    let placed_at = if ago <= Duration::from_mins(2) { now } else { occurred_at };
    let window = u64::try_from(placed_at.as_second()).expect("after 1970") / 3600;
    let registration = RegistrationId::random();
    let ends_at = i64::try_from((window + 1) * 3600 + 900).expect("near");
    let person = Person {
        first_name: PersonName::parse("Grace").expect("valid"),
        last_name: PersonName::parse("Hopper").expect("valid"),
        email: EmailAddress::parse(email).expect("valid"),
        locale: Locale::parse("en").expect("valid"),
    };
    let place = Place {
        window,
        send: 1,
        expires_at: Timestamp::from_second(ends_at).expect("near"),
        key: secrets().current().id().clone(),
    };
    let (account, request_id) = (account_of(email), RequestId::random());
    Registered::new(Mailing::FirstCode, account, registration, person, place, request_id, occurred_at)
}

/// The verification of a registration, that long ago.
pub(crate) fn verified_elsewhere(registered: &Registered, ago: Duration) -> Event {
    let occurred_at = Timestamp::from_millisecond((Timestamp::now() - ago).as_millisecond()).expect("near");
    let Registered { id, registration, request_id, .. } = registered;
    Event::Verified(Verified::new(*id, *registration, registered.person(), request_id.clone(), occurred_at))
}

/// The code in a mail of this event's window.
pub(crate) fn code(event: &Registered) -> String {
    let secrets = secrets();
    let key = secrets.get(&event.key).expect("a known key");
    VerificationCode::derive(key, event.id, &event.email, event.window).digits().to_owned()
}

/// A code other than the one in this event's mail, a different one for each number.
pub(crate) fn wrong_code(event: &Registered, number: u32) -> String {
    let right: u32 = code(event).parse().expect("digits");
    format!("{:06}", (right + 1 + number) % 1_000_000)
}

/// The token in the link of this event's mail.
pub(crate) fn token(event: &Registered) -> String {
    LinkToken::derive(secrets().get(&event.key).expect("a known key"), event.id, &event.email, event.window)
        .to_text()
}

fn read(brokers: &str, topic: Topic) -> Vec<Event> {
    let mut events = Vec::new();
    let read = topics::read(brokers, &[topic.name()], DEADLINE, |record| {
        let Some(payload) = record.payload() else { return };
        let event = Event::decode(header(record.headers(), "ce_type"), payload).expect("one of ours");
        assert_eq!(record.key(), Some(event.account_id().to_string().as_bytes()), "keyed by the account");
        events.push(((record.partition(), record.offset()), event));
    });
    read.expect("the topic is read");
    events.sort_by_key(|(place, _)| *place);
    events.into_iter().map(|(_, event)| event).collect()
}
