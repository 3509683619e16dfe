//! Writes records of our own: to the retry topic and to the dead-letter topic, with the broker's ack.

use crate::record::Header;
use rdkafka::{
    message::OwnedHeaders,
    producer::{FutureProducer, FutureRecord, Producer},
    util::Timeout,
};
use shared::{
    kafka::{ClientLog, KafkaConfig},
    topic::Topic,
};
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(200);

/// An idempotent producer; cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    producer: FutureProducer<ClientLog>,
}

impl Writer {
    pub(crate) fn new(kafka: &KafkaConfig) -> anyhow::Result<Self> {
        let producer = kafka
            .client()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", "10000")
            .set("queue.buffering.max.kbytes", "65536")
            .create_with_context(ClientLog::default())?;
        Ok(Self { producer })
    }

    /// Writes a record and tries again until the broker has acknowledged it. Dropping the future ends the tries; the
    /// record may then have been written or not.
    pub(crate) async fn write(
        &self,
        topic: Topic,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: &[Header],
    ) {
        loop {
            let mut record = FutureRecord::<[u8], [u8]>::to(topic.name()).headers(owned(headers));
            record.key = key;
            record.payload = payload;
            match self.producer.send(record, Timeout::Never).await {
                Ok(_) => return,
                Err((error, _)) => {
                    log::warn!("kafka.topic" = topic.name(), "error" = error.to_string().as_str(); "record not written; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Whether a broker answers. Blocks for up to `limit`.
    pub(crate) fn broker_answers(&self, limit: Duration) -> bool {
        self.producer.client().fetch_metadata(Some(Topic::Created.name()), limit).is_ok()
    }
}

fn owned(headers: &[Header]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |owned, header| {
        owned.insert(rdkafka::message::Header { key: &header.name, value: header.value.as_deref() })
    })
}
