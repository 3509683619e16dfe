//! Watches whether the brokers answer a service's Kafka clients, and brings back a client that has lost all brokers.
//!
//! librdkafka 2.12 can lose its last broker for good. A broker that has just returned may answer a metadata request
//! with no broker at all, and the client then forgets even those it was configured with (confluentinc/librdkafka#5301).
//! Adding them once more brings the client back. A request just when a broker returns is what provokes the loss. So a
//! client of the watch's own asks first, and the service's clients are asked only when it has seen a broker.
//!
//! The watch also gives the clients the password that is in `KAFKA_SASL_PASSWORD_FILE` now.

use super::{ClientLog, KafkaConfig};
use contract::topic::Topic;
use rdkafka::{
    ClientContext,
    client::{Client, OAuthToken},
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    metadata::Metadata,
};
use std::{
    collections::HashMap,
    error::Error,
    ffi::CString,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// The pause between two checks while all is well.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause between two checks while the brokers don't answer.
const SHORT_PAUSE: Duration = Duration::from_millis(100);
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(1);

type Scout = BaseConsumer<Quiet>;

/// Logs nothing: the service's own clients report an outage.
struct Quiet;

impl ClientContext for Quiet {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, token_file: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        ClientLog::default().generate_oauth_token(token_file)
    }

    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}

/// Lets a consumer that nobody polls take its token (OAUTHBEARER): librdkafka asks for it in a poll. Before each request.
pub fn serve_token<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    // Without an assignment there are no records.
    let _ = consumer.poll(Duration::ZERO);
}

/// The watch over the Kafka clients of one service.
#[derive(Debug)]
pub struct KafkaWatch {
    kafka: KafkaConfig,
    answered: AtomicBool,
    shapes: Mutex<HashMap<Topic, TopicShape>>,
}

/// The size of a topic, as the cluster reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicShape {
    /// How many partitions it has.
    pub partitions: usize,
    /// How many replicas the partition with the fewest has.
    pub replicas: usize,
}

impl KafkaWatch {
    /// Makes the watch; `run` starts it.
    #[must_use]
    pub fn new(kafka: KafkaConfig) -> Arc<Self> {
        Arc::new(Self { kafka, answered: AtomicBool::new(false), shapes: Mutex::default() })
    }

    /// Whether the brokers answered all clients at the last check. That was at
    /// most two seconds ago, plus a second for each client without an answer.
    #[must_use]
    pub fn brokers_answer(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// The partitions and replicas that a topic had at the last check that saw it.
    #[must_use]
    pub fn shape(&self, topic: Topic) -> Option<TopicShape> {
        self.shapes.lock().unwrap_or_else(PoisonError::into_inner).get(&topic).copied()
    }

    /// Checks again and again until `stop` is cancelled. `ask_all` asks
    /// each client of the service with [`KafkaWatch::ask`]; it may block.
    pub async fn run(
        self: Arc<Self>,
        ask_all: impl Fn(&Self) -> bool + Send + Sync + 'static,
        stop: CancellationToken,
    ) {
        let ask_all = Arc::new(ask_all);
        let mut scout = None;
        while !stop.is_cancelled() {
            let (watch, ask_all, mut sent) = (Arc::clone(&self), Arc::clone(&ask_all), scout.take());
            let look = spawn_blocking(move || {
                let answered = watch.sees_a_broker(&mut sent) && ask_all(&watch);
                (answered, sent)
            });
            // A check that panicked ends the watch, and the owner of this task notices.
            let Ok((answered, used)) = look.await else { return };
            scout = used;
            self.answered.store(answered, Ordering::Relaxed);
            let pause = if answered { PAUSE } else { SHORT_PAUSE };
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        }
    }

    /// Asks a client for a topic. If it gets no answer, the brokers
    /// are added to it once more. Blocks for a second at most.
    pub fn ask<C: ClientContext>(&self, client: &Client<C>) -> bool {
        self.renew_login(client);
        match client.fetch_metadata(Some(&self.kafka.names.topic(Topic::Created)), TIMEOUT) {
            // A topic that somebody deleted is not an answer to work with.
            Ok(metadata) => metadata.topics().iter().all(|topic| topic.error().is_none()),
            Err(_) => {
                log::info!(
                    "a Kafka client gets no answer from brokers that other clients reach; its list of brokers is renewed"
                );
                self.name_brokers_to(client);
                false
            }
        }
    }

    #[expect(unsafe_code, reason = "rdkafka has no safe function for it")]
    fn name_brokers_to<C: ClientContext>(&self, client: &Client<C>) {
        let Ok(brokers) = CString::new(self.kafka.brokers.as_str()) else { return };
        // SAFETY: the client outlives the call, and librdkafka copies the list; any thread may call it.
        unsafe { rdkafka::bindings::rd_kafka_brokers_add(client.native_ptr(), brokers.as_ptr()) };
    }

    /// Gives a client the present password, for its next login. Its open connections stay.
    #[expect(unsafe_code, reason = "rdkafka has no safe function for it")]
    fn renew_login<C: ClientContext>(&self, client: &Client<C>) {
        let Some((name, password)) = self.kafka.security.login_from_file() else { return };
        let (Ok(name), Ok(password)) = (CString::new(name), CString::new(password)) else { return };
        // SAFETY: the client outlives the call, and librdkafka copies both; any thread may call it. It returns an error,
        // which must be freed, only for a client without SASL.
        unsafe {
            let error = rdkafka::bindings::rd_kafka_sasl_set_credentials(
                client.native_ptr(),
                name.as_ptr(),
                password.as_ptr(),
            );
            if !error.is_null() {
                rdkafka::bindings::rd_kafka_error_destroy(error);
            }
        }
    }

    fn note_shapes(&self, metadata: &Metadata) {
        for topic in metadata.topics().iter().filter(|topic| topic.error().is_none()) {
            let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
            if let (Some(name), Some(replicas)) = (self.kafka.names.topic_of(topic.name()), replicas) {
                self.note_shape(name, TopicShape { partitions: topic.partitions().len(), replicas });
            }
        }
    }

    pub(super) fn note_shape(&self, topic: Topic, shape: TopicShape) {
        self.shapes.lock().unwrap_or_else(PoisonError::into_inner).insert(topic, shape);
    }

    /// Asks with the watch's own client. A client that failed is
    /// replaced, since it may lose its brokers like any other.
    fn sees_a_broker(&self, scout: &mut Option<Scout>) -> bool {
        if scout.is_none() {
            *scout = self.kafka.client().create_with_context(Quiet).ok();
        }
        let seen = scout.as_ref().is_some_and(|scout| {
            serve_token(scout);
            scout.fetch_metadata(None, TIMEOUT).is_ok_and(|metadata| {
                self.note_shapes(&metadata);
                !metadata.brokers().is_empty()
            })
        });
        if !seen {
            *scout = None;
        }
        seen
    }
}
