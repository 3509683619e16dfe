//! The operator, who forgets accounts: repeats a tombstone in the topic of verified accounts until it is acknowledged.

use crate::chronicle::Chronicle;
use anyhow::Context as _;
use contract::topic::Topic;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// The pause between two tries, while a fault keeps the broker away.
const PAUSE: Duration = Duration::from_millis(500);

/// Writes tombstones.
pub(crate) struct Operator {
    producer: FutureProducer,
    chronicle: Arc<Chronicle>,
}

impl Operator {
    /// Connects to the broker directly, as an operator's own machine does.
    pub(crate) fn new(brokers: &str, chronicle: Arc<Chronicle>) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("partitioner", "murmur2_random");
        config.set("message.timeout.ms", "4000").set("linger.ms", "0");
        Ok(Self { producer: config.create().context("no Kafka producer")?, chronicle })
    }

    /// Forgets the account with this id. Returns when the broker has acknowledged the tombstone.
    pub(crate) async fn forget(&self, account: &str) {
        loop {
            let tombstone = FutureRecord::<str, [u8]>::to(Topic::Verified.name()).key(account);
            match self.producer.send(tombstone, Duration::ZERO).await {
                Ok(_) => return self.chronicle.note(&format!("operator: forgot {account}")),
                // A tombstone without an ack may be in the log, too. A second one changes nothing.
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}
