//! Writes to the retry topic and the dead-letter topic, and waits for the broker's ack.

use crate::header::Header;
use contract::topic::{MAX_COPIED_RECORD, Topic};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedHeaders,
};
use runtime::kafka::{self, ClientLog, KafkaConfig, KafkaWatch, Names, Producer};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An idempotent producer; cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    producer: Arc<Producer<ClientLog>>,
    names: Names,
}

/// The topic refuses this record, however often it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the topic does not take the record: {0}")]
pub(crate) struct NotTaken(RDKafkaErrorCode);

/// A record to be written.
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: Topic,
    /// `None`: the partitioner chooses by key.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) headers: Vec<Header>,
}

impl Writer {
    pub(crate) fn new(kafka: &KafkaConfig) -> anyhow::Result<Self> {
        let mut config = kafka.client();
        config
            .set("linger.ms", "0")
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", "10000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("message.max.bytes", MAX_COPIED_RECORD.to_string());
        Ok(Self {
            producer: Arc::new(Producer::new(&config, ClientLog::default())?),
            names: kafka.names.clone(),
        })
    }

    /// Writes a record until the broker acknowledges it, at growing intervals. It also waits for a missing right, which an
    /// operator can grant. Dropping the future ends this; the record may have been written or not.
    ///
    /// # Errors
    /// [`NotTaken`] when a repetition can't help.
    pub(crate) async fn write(&self, outgoing: &Outgoing<'_>) -> Result<(), NotTaken> {
        let name = self.names.topic(outgoing.topic);
        let mut pause = PAUSE;
        loop {
            let &Outgoing { partition, key, payload, .. } = outgoing;
            let (topic, headers) = (name.as_str(), owned(&outgoing.headers));
            match self.producer.send(kafka::Record { topic, partition, key, payload, headers }).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    if let Some(code) = refusal(&error) {
                        return Err(NotTaken(code));
                    }
                    log::warn!("kafka.topic" = outgoing.topic.name(), "error" = error.to_string().as_str(); "record not written; trying again");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Waits until `stop` is cancelled or the producer is broken for good.
    ///
    /// # Errors
    /// The reason. Only a restart helps: without a producer no refused mail can be put aside.
    pub(crate) async fn watch(self, stop: CancellationToken) -> Result<(), String> {
        self.producer.watch(&stop).await
    }

    /// Whether a broker answers the producer. Blocks for a second at most.
    pub(crate) fn broker_answers(&self, watch: &KafkaWatch) -> bool {
        watch.ask(self.producer.client())
    }
}

/// The error code, if the fault is in the record itself.
fn refusal(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    use RDKafkaErrorCode::{InvalidRecord, InvalidTimestamp, MessageBatchTooLarge, MessageSizeTooLarge};
    let code = error.rdkafka_error_code()?;
    matches!(code, MessageSizeTooLarge | MessageBatchTooLarge | InvalidRecord | InvalidTimestamp)
        .then_some(code)
}

fn owned(headers: &[Header]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |owned, header| {
        owned.insert(rdkafka::message::Header { key: &header.name, value: header.value.as_deref() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::{
        mocking::MockCluster,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };
    use runtime::env::Env;

    const RECORD: Outgoing<'_> = Outgoing {
        topic: Topic::MailRetry,
        partition: Some(0),
        key: None,
        payload: Some(b"p"),
        headers: Vec::new(),
    };

    #[tokio::test]
    async fn a_producer_that_is_broken_for_good_is_reported() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(Topic::MailRetry.name(), 1, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", brokers.as_str())]));
        let writer = Writer::new(&kafka).unwrap();
        writer.write(&RECORD).await.unwrap();
        assert_eq!(writer.producer.fatal_error(), None);

        cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
        );
        let write = tokio::time::timeout(Duration::from_secs(2), writer.write(&RECORD)).await;
        assert!(write.is_err(), "{write:?}");
        let watched = tokio::time::timeout(Duration::from_secs(5), writer.watch(CancellationToken::new()));
        watched.await.expect("in time").expect_err("it is broken");
    }

    #[tokio::test]
    async fn what_no_repetition_cures_is_not_repeated() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(Topic::MailRetry.name(), 1, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", brokers.as_str())]));
        let writer = Writer::new(&kafka).unwrap();
        let limit = Duration::from_secs(5);
        // The client itself refuses this size, so no broker is needed.
        let large = vec![0; 2 * usize::try_from(MAX_COPIED_RECORD).unwrap()];
        let record = Outgoing { payload: Some(&large), headers: Vec::new(), ..RECORD };
        let written = tokio::time::timeout(limit, writer.write(&record)).await.unwrap();
        assert_eq!(written, Err(NotTaken(RDKafkaErrorCode::MessageSizeTooLarge)));

        for (answer, code) in [
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RDKafkaErrorCode::MessageSizeTooLarge),
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD, RDKafkaErrorCode::InvalidRecord),
        ] {
            cluster.request_errors(RDKafkaApiKey::Produce, &[answer]);
            let written = tokio::time::timeout(limit, writer.write(&RECORD)).await.unwrap();
            assert_eq!(written, Err(NotTaken(code)));
        }
        // An operator may grant the right meanwhile.
        cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
        );
        assert_eq!(tokio::time::timeout(limit, writer.write(&RECORD)).await.unwrap(), Ok(()));
    }
}
