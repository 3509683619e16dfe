//! A producer whose sends are futures, and whose acks mean that the record is in the log.
//!
//! rdkafka's own (`FutureProducer`, as of 0.39) polls for acks every 100 ms and spins through the last millisecond of
//! each wait. That takes nearly one percent of a core in an idle service. This one does the same with longer waits.

use rdkafka::{
    ClientConfig, ClientContext, Message,
    client::{Client, OAuthToken},
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{DeliveryResult, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long one poll waits. An ack ends it at once; dropping the producer may have to wait this long.
const POLL: Duration = Duration::from_millis(500);

/// The pause between two checks whether the producer is broken.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// A record's offset until a broker's answer sets it (`RD_KAFKA_OFFSET_INVALID`).
const OFFSET_NEVER_TOLD: i64 = -1001;

type Ack = KafkaResult<Acked>;

/// The place of an acknowledged record in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// Its partition.
    pub partition: i32,
    /// Its offset. Not reliable if the broker had the record already: then it may
    /// be below zero, or counted from the offset of another record of the batch.
    pub offset: i64,
    /// Its time stamp in milliseconds since 1970: the broker's, if
    /// the topic has `LogAppendTime` and the broker has returned it.
    pub stamped_at: Option<i64>,
}

/// An idempotent producer. Dropping it fails all records without an ack; that blocks for a second at most.
pub struct Producer<C: ClientContext + 'static> {
    client: Arc<BaseProducer<Acks<C>>>,
    stop: Arc<AtomicBool>,
    polling: Option<JoinHandle<()>>,
}

/// A record to be written.
#[derive(Debug)]
pub struct Record<'a> {
    /// Name of the topic.
    pub topic: &'a str,
    /// `None`: the key decides.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: OwnedHeaders,
}

impl<C: ClientContext + 'static> Producer<C> {
    /// Makes the producer. It connects by itself, now or when the broker appears.
    /// `context` receives its log, errors and statistics. The producer is idempotent,
    /// with `acks=all` and one request at a time to each broker, whatever `config` says.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration, or the producer's thread can't be started.
    pub fn new(config: &ClientConfig, context: C) -> anyhow::Result<Self> {
        let mut config = config.clone();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // With more than one request in flight, librdkafka can take the second's ack for the first's, although the first
            // was refused. A leader that knows nothing of the producer yet accepts the second alone, and the first is lost.
            .set("max.in.flight.requests.per.connection", "1");
        Self::start(&config, context)
    }

    fn start(config: &ClientConfig, context: C) -> anyhow::Result<Self> {
        let client: Arc<BaseProducer<Acks<C>>> = Arc::new(config.create_with_context(Acks(context))?);
        let stop = Arc::new(AtomicBool::new(false));
        let polling = std::thread::Builder::new().name("kafka acks".to_owned()).spawn({
            let (client, stop) = (Arc::clone(&client), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    client.poll(POLL);
                }
            }
        })?;
        Ok(Self { client, stop, polling: Some(polling) })
    }

    /// Writes a record, waits for the broker's ack, and returns the record's place in the log.
    ///
    /// The first poll hands the record over. If the future is dropped after that, the record may or may not be written.
    ///
    /// # Errors
    /// When the record is not known to be in the log.
    /// `MessageProduction(QueueFull)` at once, if too many records wait for acks.
    pub async fn send(&self, record: Record<'_>) -> KafkaResult<Acked> {
        let Record { topic, partition, key, payload, headers } = record;
        let (acked, ack) = oneshot::channel::<Ack>();
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, Box::new(acked)).headers(headers);
        (record.partition, record.key, record.payload) = (partition, key, payload);
        self.client.send(record).map_err(|(error, _)| error)?;
        ack.await.unwrap_or(Err(KafkaError::Canceled))
    }

    /// Waits until all records that were handed over have acks. Blocks.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub fn flush(&self, timeout: Duration) -> KafkaResult<()> {
        self.client.flush(timeout)
    }

    /// Waits until `stop` is cancelled, and checks once a second whether the producer is broken for good.
    ///
    /// # Errors
    /// What broke the producer.
    pub async fn watch(&self, stop: &CancellationToken) -> Result<(), String> {
        while tokio::time::timeout(LOOK_PAUSE, stop.cancelled()).await.is_err() {
            if let Some(reason) = self.fatal_error() {
                return Err(reason);
            }
        }
        Ok(())
    }

    /// What broke the producer for good, if anything did. Then only a restart of the process helps.
    #[must_use]
    pub fn fatal_error(&self) -> Option<String> {
        if self.polling.as_ref().is_some_and(JoinHandle::is_finished) {
            return Some("the thread that takes its acks has ended".to_owned());
        }
        self.client().fatal_error().map(|(code, reason)| format!("{code}: {reason}"))
    }

    /// The underlying client.
    #[must_use]
    pub fn client(&self) -> &Client<impl ClientContext + use<C>> {
        self.client.client()
    }
}

impl<C: ClientContext + 'static> Drop for Producer<C> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The thread must not outlive the producer. Its result says nothing.
        let _ = self.polling.take().map(JoinHandle::join);
    }
}

/// Hands acks to the futures that wait for them, and all else to the user's context.
struct Acks<C>(C);

impl<C: ClientContext + 'static> ProducerContext for Acks<C> {
    type DeliveryOpaque = Box<oneshot::Sender<Ack>>;

    fn delivery(&self, result: &DeliveryResult<'_>, acked: Self::DeliveryOpaque) {
        let ack = match result {
            // No broker has acknowledged this one: see `new`. One request at a time makes this rare, not impossible.
            Ok(record) if record.offset() == OFFSET_NEVER_TOLD => {
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::Inconsistent))
            }
            Ok(record) => Ok(Acked {
                partition: record.partition(),
                offset: record.offset(),
                stamped_at: record.timestamp().to_millis(),
            }),
            Err((error, _)) => Err(error.clone()),
        };
        // The future may have been dropped.
        let _ = acked.send(ack);
    }
}

impl<C: ClientContext> ClientContext for Acks<C> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = C::ENABLE_REFRESH_OAUTH_TOKEN;

    fn generate_oauth_token(&self, token_file: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.0.generate_oauth_token(token_file)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.0.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.stats_raw(statistics);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::ClientLog;
    use rdkafka::{
        consumer::{BaseConsumer, Consumer},
        mocking::MockCluster,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };
    use std::time::Instant;

    fn nobody_listens(message_timeout_ms: &str) -> Producer<ClientLog> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1").set("message.timeout.ms", message_timeout_ms);
        // Only one record may wait.
        config.set("queue.buffering.max.messages", "1");
        Producer::new(&config, ClientLog::default()).unwrap()
    }

    fn record() -> Record<'static> {
        Record { topic: "t", partition: None, key: None, payload: Some(b"p"), headers: OwnedHeaders::new() }
    }

    #[tokio::test]
    async fn a_record_fails_in_its_time_and_at_once_when_too_much_waits() {
        let producer = nobody_listens("100");
        let (first, second) = tokio::join!(producer.send(record()), producer.send(record()));
        assert_eq!(first.unwrap_err().rdkafka_error_code(), Some(RDKafkaErrorCode::MessageTimedOut));
        assert_eq!(second.unwrap_err().rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
    }

    /// Sends two records while the leader refuses the first request.
    /// Returns how many were acknowledged and how many written.
    async fn while_the_leader_refuses_a_request(
        start: impl Fn(&ClientConfig, ClientLog) -> anyhow::Result<Producer<ClientLog>>,
    ) -> (usize, i64) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        config.set("enable.idempotence", "true").set("linger.ms", "0");
        let producer = start(&config, ClientLog::default()).unwrap();
        producer.send(record()).await.unwrap();

        cluster.broker_round_trip_time(1, Duration::from_millis(400)).unwrap();
        cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION],
        );
        let while_the_first_is_under_way = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            producer.send(record()).await
        };
        let (first, second) = tokio::join!(producer.send(record()), while_the_first_is_under_way);
        let reader: BaseConsumer = config.create().unwrap();
        let (_, written) = reader.fetch_watermarks("t", 0, Duration::from_secs(5)).unwrap();
        (usize::from(first.is_ok()) + usize::from(second.is_ok()), written - 1)
    }

    #[tokio::test]
    async fn a_request_that_the_leader_refused_is_repeated_before_the_next() {
        assert_eq!(while_the_leader_refuses_a_request(Producer::new).await, (2, 2));
    }

    #[tokio::test]
    async fn no_record_is_acknowledged_by_the_ack_of_another() {
        // With several requests in flight, as is librdkafka's default.
        assert_eq!(while_the_leader_refuses_a_request(Producer::start).await, (1, 1));
    }

    #[tokio::test]
    async fn its_end_waits_for_no_ack() {
        let producer = nobody_listens("60000");
        let send = tokio::time::timeout(Duration::from_millis(10), producer.send(record()));
        assert!(send.await.is_err());
        let began = Instant::now();
        drop(producer);
        assert!(began.elapsed() < 10 * POLL, "{:?}", began.elapsed());
    }
}
