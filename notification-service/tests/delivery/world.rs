//! A broker, a mail server and a service, all on free ports, and the steps of the tests.

use contract::{
    account_id::AccountId,
    code_secrets::{CodeSecrets, KeyId},
    event::{Attempt, Event, EventId, Mailing, Place, Registered, Verified},
    locale::Locale,
    person::Person,
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::{SignedDuration, Timestamp};
use notification_service::{Application, Config};
use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{FutureProducer, FutureRecord},
};
use runtime::{
    env::Env,
    kafka::{KafkaConfig, KafkaSecurity, Names, headers, owned_headers},
};
use sandbox::{
    broker::{Broker, Storage},
    smtp::{ReceivedMail, SmtpServer},
    topics,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::{runtime::Builder, sync::oneshot};
use tokio_util::sync::CancellationToken;

/// The longest wait of a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// The window of all registrations.
const WINDOW: u64 = 493_882;
const SECRETS: &str = "k1:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=";

/// Time-outs for tests of servers that don't answer. Those of the other tests are reached by no server, however busy the machine is.
pub(crate) const IMPATIENT: [(&str, &str); 3] =
    [("SMTP_TIMEOUT", "500ms"), ("SMTP_REPLY_TIMEOUT", "500ms"), ("SMTP_FINAL_TIMEOUT", "500ms")];

/// The surroundings of one test.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) smtp: SmtpServer,
    pub(crate) producer: FutureProducer,
    pub(crate) kafka: KafkaConfig,
}

/// A service in this process.
pub(crate) struct Service {
    pub(crate) address: std::net::SocketAddr,
    stop: CancellationToken,
    running: oneshot::Receiver<anyhow::Result<()>>,
}

/// A dead letter as an operator sees it.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl World {
    /// `partitions` is the number of partitions of each topic.
    pub(crate) async fn new(partitions: i32) -> Self {
        let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
        let smtp = SmtpServer::start(0).await.unwrap();
        let kafka = KafkaConfig {
            brokers: broker.bootstrap(),
            names: Names::default(),
            partitions,
            replication: 1,
            check_topics: true,
            rack: None,
            security: KafkaSecurity::default(),
        };
        kafka.ensure_topics(&CancellationToken::new()).await;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap())
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            // Larger than any topic allows.
            .set("message.max.bytes", "3000000")
            .create()
            .unwrap();
        Self { broker, smtp, producer, kafka }
    }

    /// Starts a service with a configuration for tests and these changes.
    pub(crate) async fn start(&self, changes: &[(&str, &str)]) -> Service {
        let mut pairs: BTreeMap<String, String> = [
            ("KAFKA_BROKERS", self.broker.bootstrap()),
            ("KAFKA_PARTITIONS", self.kafka.partitions.to_string()),
            ("CODE_SECRETS", SECRETS.to_owned()),
            ("NOTIFICATION_SERVICE_ADDR", "127.0.0.1:0".to_owned()),
            ("SMTP_HOST", self.smtp.address().ip().to_string()),
            ("SMTP_PORT", self.smtp.address().port().to_string()),
            ("SMTP_TIMEOUT", "20s".to_owned()),
            ("SMTP_REPLY_TIMEOUT", "20s".to_owned()),
            ("SMTP_FINAL_TIMEOUT", "20s".to_owned()),
            ("COMMIT_MAX_WAIT", "50ms".to_owned()),
            ("PUBLIC_URL", "https://signup.example.com".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        pairs.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::load(Env::from_pairs(pairs)).unwrap();
        let application = Application::start(config).unwrap();
        let address = application.address();
        let stop = CancellationToken::new();
        let (stopped, (end, running)) = (stop.clone(), oneshot::channel());
        // On one thread of its own, as in the real process.
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let _ = end.send(runtime.block_on(application.run(stopped)));
            runtime.shutdown_background();
        });
        Service { address, stop, running }
    }

    /// Writes events and waits for the broker's acks.
    pub(crate) async fn publish(&self, events: &[Event]) {
        for event in events {
            let encoded = event.encode().unwrap();
            let record = FutureRecord::to(encoded.topic.name())
                .key(&encoded.key)
                .payload(&encoded.payload)
                .headers(owned_headers(&encoded.headers));
            self.producer.send(record, DEADLINE).await.unwrap();
        }
    }

    /// Writes an event to the retry topic as a service does after a temporary refusal.
    pub(crate) async fn publish_retry(&self, event: &Event, not_before: Timestamp) {
        let encoded = event.encode().unwrap();
        let mut headers = encoded.headers.to_vec();
        headers.extend([
            ("retry_not_before", not_before.to_string()),
            ("retry_attempt", "1".to_owned()),
            ("retry_source", format!("t/0/{}", encoded.key)),
        ]);
        let record = FutureRecord::to(Topic::MailRetry.name())
            .key(&encoded.key)
            .payload(&encoded.payload)
            .headers(owned_headers(&headers));
        self.producer.send(record, DEADLINE).await.unwrap();
    }

    /// The sum of the committed offsets of all partitions.
    pub(crate) async fn committed(&self, topic: Topic) -> i64 {
        let (brokers, partitions) = (self.broker.bootstrap(), self.kafka.partitions);
        tokio::task::spawn_blocking(move || {
            let consumer = reader(&brokers, "notification-service");
            let mut list = TopicPartitionList::new();
            (0..partitions).for_each(|number| {
                list.add_partition(topic.name(), number);
            });
            let committed = consumer.committed_offsets(list, DEADLINE).unwrap();
            committed.elements().iter().map(|element| element.offset().to_raw().unwrap_or(0).max(0)).sum()
        })
        .await
        .unwrap()
    }

    /// Waits until this many records of the topic are committed.
    pub(crate) async fn wait_for_committed(&self, topic: Topic, records: i64) {
        let started = Instant::now();
        loop {
            let committed = self.committed(topic).await;
            if committed == records {
                return;
            }
            assert!(started.elapsed() < DEADLINE, "{committed} of {records} of {} committed", topic.name());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All present dead letters.
    pub(crate) async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.records(Topic::DeadLetter).await
    }

    /// All present records of a topic.
    pub(crate) async fn records(&self, topic: Topic) -> Vec<DeadLetter> {
        let brokers = self.broker.bootstrap();
        tokio::task::spawn_blocking(move || read_all(&brokers, topic)).await.unwrap()
    }

    /// Waits for this many dead letters.
    pub(crate) async fn wait_for_dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        let started = Instant::now();
        loop {
            let letters = self.dead_letters().await;
            if letters.len() >= count {
                return letters;
            }
            assert!(started.elapsed() < DEADLINE, "{} of {count} dead letters", letters.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for mails, and asserts that no event was mailed twice.
    pub(crate) async fn wait_for_mails(&self, count: usize) -> Vec<ReceivedMail> {
        let arrived = self.smtp.wait_for_count(count, DEADLINE).await;
        let mails = self.smtp.mails();
        assert!(arrived, "{} of {count} mails", mails.len());
        assert_eq!(distinct_ids(&mails), mails.len(), "an event was mailed twice");
        mails
    }
}

impl Service {
    /// Stops gracefully.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.running).await.expect("stops in time").unwrap().unwrap();
    }

    /// The answer of `/health/ready`, with its status.
    pub(crate) async fn ready(&self) -> serde_json::Value {
        let response = reqwest::get(format!("http://{}/health/ready", self.address)).await.unwrap();
        let status = response.status().as_u16();
        let mut body: serde_json::Value = response.json().await.unwrap();
        body["http_status"] = status.into();
        body
    }

    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        reqwest::get(format!("http://{}/metrics", self.address)).await.unwrap().text().await.unwrap()
    }

    /// Waits until the answer of `/health/ready` satisfies `fits`.
    pub(crate) async fn wait_until(&self, fits: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let started = Instant::now();
        loop {
            let body = self.ready().await;
            if fits(&body) {
                return body;
            }
            assert!(started.elapsed() < DEADLINE, "{body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn distinct_ids(mails: &[ReceivedMail]) -> usize {
    mails.iter().map(|mail| mail.message_id.clone().unwrap()).collect::<std::collections::HashSet<_>>().len()
}

fn reader(brokers: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()
        .unwrap()
}

fn read_all(brokers: &str, topic: Topic) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    let read = topics::read(brokers, &[topic.name()], DEADLINE, |record| {
        let headers = headers(record.headers()).into_iter();
        let headers = headers.map(|(name, value)| (name.to_owned(), text(value))).collect();
        letters.push(DeadLetter { payload: record.payload().unwrap_or_default().to_vec(), headers });
    });
    read.unwrap();
    letters
}

/// The address of this person.
pub(crate) fn address(number: u8) -> String {
    format!("person{number}@example.com")
}

fn id(number: u8) -> AccountId {
    AccountId::from_derived([number; 16])
}

/// A fresh registration, with a code that is valid for a quarter of an hour.
pub(crate) fn created(number: u8) -> Event {
    Event::Registered(Mailing::FirstCode, registered(number))
}

/// A registration whose mail may be sent until `last`, a minute before its code expires.
pub(crate) fn created_until(number: u8, last: Timestamp) -> Event {
    let expires_at = last + SignedDuration::from_mins(1);
    Event::Registered(Mailing::FirstCode, Registered { expires_at, ..registered(number) })
}

pub(crate) fn created_to(number: u8, address: &str) -> Event {
    let email = address.to_owned().try_into().unwrap();
    Event::Registered(Mailing::FirstCode, Registered { email, ..registered(number) })
}

/// A request of this person that causes this mailing.
pub(crate) fn asked(mailing: Mailing, number: u8) -> Event {
    let event_id = EventId::of_registration(mailing.kind(), registered(number).registration);
    Event::Registered(mailing, Registered { event_id, ..registered(number) })
}

/// The data of this person's requests. Each call has a registration of its own.
pub(crate) fn registered(number: u8) -> Registered {
    let (now, registration) = (Timestamp::now(), RegistrationId::random());
    let person = Person {
        first_name: "Ada".to_owned().try_into().unwrap(),
        last_name: "Lovelace".to_owned().try_into().unwrap(),
        email: address(number).try_into().unwrap(),
        locale: Locale::default(),
    };
    let (expires_at, key) = (now + SignedDuration::from_mins(15), KeyId::parse("k1").unwrap());
    let place = Place { window: WINDOW, send: 1, expires_at, key };
    let request_id = RequestId::parse(&format!("request-{number}")).unwrap();
    Registered::new(Mailing::FirstCode, id(number), registration, person, place, request_id, now)
}

pub(crate) fn code_of(number: u8) -> String {
    let secrets = CodeSecrets::parse(SECRETS).unwrap();
    let email = address(number).try_into().unwrap();
    VerificationCode::derive(secrets.current(), id(number), &email, WINDOW).digits().to_owned()
}

pub(crate) fn token_of(number: u8) -> String {
    let secrets = CodeSecrets::parse(SECRETS).unwrap();
    let email = address(number).try_into().unwrap();
    LinkToken::derive(secrets.current(), id(number), &email, WINDOW).to_text()
}

pub(crate) fn verified(number: u8, occurred_at: Timestamp) -> Event {
    let registered = registered(number);
    let person = Person { locale: Locale::parse("de-CH").unwrap(), ..registered.person() };
    let Registered { id, registration, request_id, .. } = registered;
    Event::Verified(Verified::new(id, registration, person, request_id, occurred_at))
}

pub(crate) fn attempt(number: u8) -> Event {
    let (event_id, registration) = (EventId::from_mac(&[number; 32]), RegistrationId::random());
    let (request_id, now) = (RequestId::parse("r").unwrap(), Timestamp::now());
    Event::Attempt(Attempt::new(event_id, id(number), registration, vec![WINDOW], request_id, now))
}
