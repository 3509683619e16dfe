//! How both services reach Kafka: client settings, the topics, and a log that an outage can't flood.

use crate::env::{self, Env};
use rdkafka::{
    ClientConfig, ClientContext,
    admin::AdminClient,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use std::{
    error::Error,
    sync::Mutex,
    time::{Duration, Instant, SystemTime},
};

mod advice;
mod headers;
#[cfg(target_os = "linux")]
mod leader_hints;
mod names;
mod producer;
mod security;
mod token;
mod topic_check;
mod topic_creation;
mod topic_settings;
mod watch;

pub use headers::{header, headers, owned_headers};
pub use names::Names;
pub use producer::{Acked, Producer, Record};
pub use security::KafkaSecurity;
pub use topic_check::TopicCheck;
pub use watch::{KafkaWatch, TopicShape, serve_token};

/// The brokers, and how missing topics are created.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// Bootstrap list, `host:port[,host:port…]`.
    pub brokers: String,
    /// The names of topics and groups in this Kafka.
    pub names: Names,
    /// Partitions of each topic, fixed at its creation.
    pub partitions: i32,
    /// Replicas of each partition.
    pub replication: i32,
    /// Whether a topic whose settings break a promise makes a service not ready.
    pub check_topics: bool,
    /// The zone of this process, as brokers name theirs (`broker.rack`).
    pub rack: Option<String>,
    /// Encryption and login of a connection.
    pub security: KafkaSecurity,
}

impl KafkaConfig {
    /// Reads `KAFKA_BROKERS`, `KAFKA_TOPIC_PREFIX`, `KAFKA_PARTITIONS`, `KAFKA_REPLICATION`, `KAFKA_TOPIC_SETTINGS`, `KAFKA_CLIENT_RACK` and the variables of [`KafkaSecurity`].
    pub fn from_env(env: &mut Env) -> Self {
        Self {
            brokers: env.or("KAFKA_BROKERS", "localhost:9092".to_owned(), env::text),
            names: env.or("KAFKA_TOPIC_PREFIX", Names::default(), Names::parse),
            partitions: env.or("KAFKA_PARTITIONS", 6, env::number(1..=10_000)),
            replication: env.or("KAFKA_REPLICATION", 1, env::number(1..=100)),
            check_topics: env.or("KAFKA_TOPIC_SETTINGS", true, check_or_ignore),
            rack: env.optional("KAFKA_CLIENT_RACK", env::text),
            security: KafkaSecurity::from_env(env),
        }
    }

    /// The settings that every client of both services starts from.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", concat!("two-step-signup-", env!("CARGO_PKG_VERSION")))
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            // A broker whose machine vanishes does not close its connections. Some ten seconds later its
            // partitions have other leaders, but by default a client waits a minute for the old one.
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "10000")
            // With the defaults (100 ms to 10 s) a service may sleep for seconds after its broker has returned.
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "500")
            .set("retry.backoff.ms", "20")
            .set("retry.backoff.max.ms", "500")
            // An unknown topic is looked up again at once: it may be created a moment later, by the other service.
            .set("topic.metadata.refresh.fast.interval.ms", "50")
            .set("allow.auto.create.topics", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        self.security.apply(&mut client);
        client
    }

    /// The settings that every consumer of both services starts from.
    #[must_use]
    pub fn consumer(&self) -> ClientConfig {
        let mut consumer = self.client();
        consumer
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            // The services write without transactions. By default, an open transaction
            // of anybody would hide all later records for as long as it stays open.
            .set("isolation.level", "read_uncommitted");
        consumer
    }

    /// A client that administers topics. Make one for each task: its token is not renewed.
    fn admin(&self) -> KafkaResult<AdminClient<ClientLog>> {
        let admin: AdminClient<ClientLog> = self.client().create_with_context(ClientLog::default())?;
        self.security.sign_in(admin.inner())?;
        Ok(admin)
    }

    /// Lets a consumer read from a replica in its own zone, if there is one (KIP-392). For readers that can wait: a
    /// follower shows a record up to half a second later than the leader (`replica.fetch.wait.max.ms`).
    pub fn read_in_own_zone(&self, consumer: &mut ClientConfig) {
        if let Some(rack) = &self.rack {
            consumer.set("client.rack", rack);
        }
    }
}

fn check_or_ignore(text: &str) -> Result<bool, &'static str> {
    match text {
        "check" => Ok(true),
        "ignore" => Ok(false),
        _ => Err("check or ignore"),
    }
}

/// A client context whose log of connection errors is limited: during an outage librdkafka reports each try.
#[derive(Debug, Default)]
pub struct ClientLog {
    last_error: Mutex<Option<Instant>>,
}

impl ClientLog {
    const PAUSE: Duration = Duration::from_secs(10);

    fn is_due(&self) -> bool {
        let mut last = self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.is_none_or(|time| time.elapsed() >= Self::PAUSE);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

impl ClientContext for ClientLog {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, token_file: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        Ok(token::read(token_file.unwrap_or_default(), SystemTime::now())?)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        // Connection failures arrive here and in `error`; one of the two is enough.
        if facility == "FAIL" || facility == "ERROR" {
            return;
        }
        log::log!(target: "librdkafka", severity(level), "kafka.facility" = facility; "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // `AllBrokersDown` gives no reason. Each broker's own, such as
        // a wrong password, came before it and would be hidden by it.
        let says_why = error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown);
        if says_why && self.is_due() {
            let advice = advice::advice(reason).map(|advice| format!(": {advice}")).unwrap_or_default();
            let reason = reason.trim_end_matches('.');
            log::warn!(target: "librdkafka", "error" = error.to_string().as_str(); "{reason}{advice} (further ones are not shown for 10 s)");
        }
    }
}

impl ConsumerContext for ClientLog {}

fn severity(level: RDKafkaLogLevel) -> log::Level {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => log::Level::Error,
        RDKafkaLogLevel::Warning => log::Level::Warn,
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => log::Level::Info,
        RDKafkaLogLevel::Debug => log::Level::Debug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::topic::Topic;
    use rdkafka::{
        Message,
        consumer::{BaseConsumer, Consumer},
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, Producer as _},
    };

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn a_consumer_reads_on_however_another_producer_has_compressed() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(Topic::Created.name(), 1, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", brokers.as_str())]));
        let consumer: BaseConsumer = kafka.consumer().set("group.id", "codecs").create().unwrap();
        consumer.subscribe(&[Topic::Created.name()]).unwrap();
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let producer: BaseProducer = kafka.client().set("compression.type", codec).create().unwrap();
            let value = codec.repeat(100);
            producer.send(BaseRecord::<str, str>::to(Topic::Created.name()).payload(&value)).unwrap();
            producer.flush(LIMIT).unwrap();
            let began = Instant::now();
            let read = loop {
                assert!(began.elapsed() < LIMIT, "{codec}");
                // Events that are no records end a poll, too.
                if let Some(record) = consumer.poll(Duration::from_millis(100)) {
                    break record.unwrap().payload().map(<[u8]>::to_vec);
                }
            };
            assert_eq!(read, Some(value.into_bytes()), "{codec}");
        }
    }

    #[test]
    fn an_open_transaction_hides_nothing() {
        let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", "127.0.0.1:1")]));
        assert_eq!(kafka.consumer().get("isolation.level"), Some("read_uncommitted"));
    }
}
