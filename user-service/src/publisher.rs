//! Writes events to the log. A 2xx is answered only after the broker has acknowledged them.
//!
//! The producer is idempotent and uses `acks=all`. Nothing queues up while the broker is away: a full queue
//! and a late ack are errors at once, and the request gets a 503. A record that timed out may be in the log
//! after all. If the client repeats the request, both records ask for the same mail, which goes out once.

use contract::{account_id::AccountId, event::Event, topic::Topic, trace_context::TraceContext};
use jiff::Timestamp;
use rdkafka::{
    ClientContext,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedHeaders,
};
use runtime::{
    kafka::{self, Acked, ClientLog, KafkaConfig, KafkaWatch, Names, Producer, Record},
    spans::{Kind, Spans},
};
use serde::Deserialize;
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// The one producer of a user service, shared by all requests.
pub(crate) struct Publisher {
    producer: Producer<Context>,
    names: Names,
    spans: Spans,
    has_producer_id: Arc<AtomicBool>,
}

/// The place of a record in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) topic: Topic,
    pub(crate) partition: i32,
    /// Not reliable for a record that a broker had already: it may be below
    /// zero, or counted from the offset of another record of the batch.
    pub(crate) offset: i64,
    /// Its time stamp, the broker's.
    pub(crate) stamped_at: Option<Timestamp>,
}

/// Why an event is not known to be in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// No ack in time, or the broker refused the record.
    #[error("not acknowledged by the broker: {0}")]
    NotAcknowledged(KafkaError),
    /// No ack before the request's deadline.
    #[error("not acknowledged by the broker in time")]
    Late,
    /// Too many events wait for acks already.
    #[error("too many events are waiting for the broker")]
    Overloaded,
    /// The event has no JSON form.
    #[error("the event can't be written: {0}")]
    Encoding(#[from] serde_json::Error),
}

impl PublishError {
    /// Its name in a span.
    fn name(&self) -> &'static str {
        match self {
            Self::NotAcknowledged(_) => "not_acknowledged",
            Self::Late => "late",
            Self::Overloaded => "overloaded",
            Self::Encoding(_) => "encoding",
        }
    }
}

impl Publisher {
    /// Makes the producer. It connects by itself, now or when the broker appears.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(crate) fn new(kafka: &KafkaConfig, publish_timeout: Duration, spans: Spans) -> anyhow::Result<Self> {
        let ack_timeout = publish_timeout.saturating_sub(Duration::from_secs(1));
        let context = Context::default();
        let has_producer_id = Arc::clone(&context.has_producer_id);
        let mut config = kafka.client();
        config
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .set("message.timeout.ms", ack_timeout.as_millis().to_string())
            .set("queue.buffering.max.kbytes", "65536")
            // The statistics show when the producer has its id. The
            // first send would wait for the id, about half a second.
            .set("statistics.interval.ms", "500");
        let producer = Producer::new(&config, context)?;
        Ok(Self { producer, names: kafka.names.clone(), spans, has_producer_id })
    }

    /// Writes an event as part of a trace, waits for the broker's ack until `deadline`, and returns the record's place in the log.
    ///
    /// # Errors
    /// [`PublishError`]. After `NotAcknowledged` and `Late` the event may or may not be in the log.
    pub(crate) async fn publish(
        &self,
        event: &Event,
        trace: &TraceContext,
        deadline: Instant,
    ) -> Result<Written, PublishError> {
        let encoded = event.encode()?;
        let topic = self.names.topic(encoded.topic);
        let mut span = self.spans.begin(Kind::Producer, format_args!("send {topic}"), Some(trace));
        span.of_kafka("send", &topic);
        let headers: Vec<_> = encoded.headers.into_iter().chain(span.trace().headers()).collect();
        let record = Record {
            topic: &topic,
            partition: None,
            key: Some(encoded.key.as_bytes()),
            payload: Some(&encoded.payload),
            headers: kafka::owned_headers(&headers),
        };
        // librdkafka checks for late records only once a second, so the deadline is enforced here.
        let sent = tokio::time::timeout_at(deadline.into(), self.producer.send(record)).await;
        let sent = sent.map_err(|_| PublishError::Late).and_then(|sent| Ok(sent?));
        match &sent {
            Ok(acked) => span.at_place(acked.partition, acked.offset),
            Err(error) => span.fail(error.name()),
        }
        Ok(Written::of(encoded.topic, sent?))
    }

    /// Writes the tombstone that forgets an account, waits for the broker's ack, and returns its place in the log.
    ///
    /// # Errors
    /// As for [`Publisher::publish`].
    pub(crate) async fn forget(&self, id: AccountId) -> Result<Written, PublishError> {
        let (topic, key) = (&self.names.topic(Topic::Verified), id.to_string());
        let headers = OwnedHeaders::new();
        let record = Record { topic, partition: None, key: Some(key.as_bytes()), payload: None, headers };
        Ok(Written::of(Topic::Verified, self.producer.send(record).await?))
    }

    /// Whether the producer has its id. Without it the first record would wait.
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
    /// What broke the producer; only a restart helps.
    pub(crate) async fn watch(&self, stop: &CancellationToken) -> Result<(), String> {
        self.producer.watch(stop).await
    }

    /// Waits until all records that were handed over have acks. Blocks.
    ///
    /// # Errors
    /// When that takes longer than `timeout`; the remaining records may or may not be in the log.
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

/// Logs as every client does, and notes whether the producer has its id.
#[derive(Default)]
struct Context {
    log: ClientLog,
    has_producer_id: Arc<AtomicBool>,
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = ClientLog::ENABLE_REFRESH_OAUTH_TOKEN;

    fn generate_oauth_token(&self, token_file: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.log.generate_oauth_token(token_file)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }

    /// Called twice a second. It parses two fields only: parsing
    /// all statistics took most of an idle service's CPU time.
    fn stats_raw(&self, statistics: &[u8]) {
        let statistics = serde_json::from_slice::<Statistics>(statistics);
        let assigned = statistics.is_ok_and(|it| it.eos.is_some_and(|eos| eos.idemp_state == "Assigned"));
        self.has_producer_id.store(assigned, Ordering::Relaxed);
    }
}

/// The part of librdkafka's statistics that is read.
#[derive(Deserialize)]
struct Statistics {
    eos: Option<ExactlyOnce>,
}

#[derive(Deserialize)]
struct ExactlyOnce {
    idemp_state: String,
}
