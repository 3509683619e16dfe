//! Events into the log: an answer of 2xx is sent only after the broker has acknowledged them.
//!
//! Idempotent and `acks=all`. Nothing queues up behind a broker that is away: a full queue and a late ack are errors
//! at once, and the request becomes a 503. A record that timed out may be in the log after all, which is why
//! what was decided counts until it is known to be not.

use contract::{account_id::AccountId, event::Event, topic::Topic};
use jiff::Timestamp;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedHeaders,
};
use runtime::kafka::{self, Acked, ClientLog, KafkaConfig, KafkaWatch, Producer, Record};
use serde::Deserialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// The one producer of a user service; shared by all requests.
pub(crate) struct Publisher {
    producer: Producer<Context>,
    has_producer_id: Arc<AtomicBool>,
}

/// Where a record stands in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) topic: Topic,
    pub(crate) partition: i32,
    /// Not right when the broker did not tell it (below zero for one record, or one of a batch).
    pub(crate) offset: i64,
    /// Its time stamp, the broker's.
    pub(crate) stamped_at: Option<Timestamp>,
}

/// The event is not known to be in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// No ack in time, or the broker refused the record.
    #[error("not acknowledged by the broker: {0}")]
    NotAcknowledged(KafkaError),
    /// No ack before the request's deadline.
    #[error("not acknowledged by the broker in time")]
    Late,
    /// Too much is waiting for acks already.
    #[error("too many events are waiting for the broker")]
    Overloaded,
    /// The event has no JSON form.
    #[error("the event can't be written: {0}")]
    Encoding(#[from] serde_json::Error),
}

impl Publisher {
    /// Makes the producer; it connects by itself, now or when the broker appears.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(crate) fn new(kafka: &KafkaConfig, publish_timeout: Duration) -> anyhow::Result<Self> {
        let ack_timeout = publish_timeout.saturating_sub(Duration::from_secs(1));
        let context = Context::default();
        let has_producer_id = Arc::clone(&context.has_producer_id);
        let mut config = kafka.client();
        config
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .set("message.timeout.ms", ack_timeout.as_millis().to_string())
            .set("queue.buffering.max.kbytes", "65536")
            // Tells when the producer id is there: the first send would wait for it, about half a second.
            .set("statistics.interval.ms", "500");
        Ok(Self { producer: Producer::new(&config, context)?, has_producer_id })
    }

    /// Writes an event, waits for the broker's ack, but not beyond `deadline`, and answers where it stands.
    ///
    /// # Errors
    /// [`PublishError`]. After `NotAcknowledged` and `Late` the event may or may not be in the log.
    pub(crate) async fn publish(&self, event: &Event, deadline: Instant) -> Result<Written, PublishError> {
        let encoded = event.encode()?;
        let record = Record {
            topic: encoded.topic.name(),
            partition: None,
            key: Some(encoded.key.as_bytes()),
            payload: Some(&encoded.payload),
            headers: kafka::owned_headers(&encoded.headers),
        };
        // librdkafka looks for late records once a second only.
        let sent = tokio::time::timeout_at(deadline.into(), self.producer.send(record)).await;
        Ok(Written::of(encoded.topic, sent.map_err(|_| PublishError::Late)??))
    }

    /// Writes the tombstone that forgets an account, waits for the broker's ack, and answers where it stands.
    ///
    /// # Errors
    /// As for [`Publisher::publish`].
    pub(crate) async fn forget(&self, id: AccountId) -> Result<Written, PublishError> {
        let (topic, key) = (Topic::Verified.name(), id.to_string());
        let headers = OwnedHeaders::new();
        let record = Record { topic, partition: None, key: Some(key.as_bytes()), payload: None, headers };
        Ok(Written::of(Topic::Verified, self.producer.send(record).await?))
    }

    /// Whether the producer has what its first record needs.
    #[must_use]
    pub(crate) fn is_warm(&self) -> bool {
        self.has_producer_id.load(Ordering::Relaxed)
    }

    /// Whether the broker answers the producer. Blocks for a second at most.
    pub(crate) fn broker_answers(&self, watch: &KafkaWatch) -> bool {
        watch.ask(self.producer.client())
    }

    /// Waits until `stop` is cancelled or the producer is broken for good.
    ///
    /// # Errors
    /// What broke it: only a restart helps.
    pub(crate) async fn watch(&self, stop: &CancellationToken) -> Result<(), String> {
        self.producer.watch(stop).await
    }

    /// Waits until everything handed over has its ack. Blocks.
    ///
    /// # Errors
    /// When that takes longer than `timeout`; what is left may or may not be in the log.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.producer.flush(timeout)
    }
}

impl Written {
    fn of(topic: Topic, acked: Acked) -> Self {
        let stamped_at = acked.stamped_at.and_then(|time| Timestamp::from_millisecond(time).ok());
        Self { topic, partition: acked.partition, offset: acked.offset, stamped_at }
    }
}

impl From<KafkaError> for PublishError {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => Self::Overloaded,
            other => Self::NotAcknowledged(other),
        }
    }
}

/// Logs as every client does, and watches for the producer id.
#[derive(Default)]
struct Context {
    log: ClientLog,
    has_producer_id: Arc<AtomicBool>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }

    /// Twice a second: to read all of the statistics took most of an idle service's CPU time.
    fn stats_raw(&self, statistics: &[u8]) {
        let statistics = serde_json::from_slice::<Statistics>(statistics);
        let assigned = statistics.is_ok_and(|it| it.eos.is_some_and(|eos| eos.idemp_state == "Assigned"));
        self.has_producer_id.store(assigned, Ordering::Relaxed);
    }
}

/// What is of interest of librdkafka's statistics.
#[derive(Deserialize)]
struct Statistics {
    eos: Option<ExactlyOnce>,
}

#[derive(Deserialize)]
struct ExactlyOnce {
    idemp_state: String,
}
