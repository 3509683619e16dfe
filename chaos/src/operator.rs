//! The operator, who forgets accounts: a tombstone in the topic of verified accounts, written as often as it takes.

use crate::chronicle::Chronicle;
use anyhow::Context as _;
use contract::topic::Topic;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// The broker may be away for as long as a fault takes.
const PAUSE: Duration = Duration::from_millis(500);

/// See the module's text.
pub(crate) struct Operator {
    producer: FutureProducer,
    chronicle: Arc<Chronicle>,
}

impl Operator {
    /// Talks to the broker directly, as an operator's own machine does.
    pub(crate) fn new(brokers: &str, chronicle: Arc<Chronicle>) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("partitioner", "murmur2_random");
        config.set("message.timeout.ms", "4000").set("linger.ms", "0");
        Ok(Self { producer: config.create().context("no Kafka producer")?, chronicle })
    }

    /// Forgets the account of this id; ends when the broker has acknowledged it.
    pub(crate) async fn forget(&self, account: &str) {
        loop {
            let tombstone = FutureRecord::<str, [u8]>::to(Topic::Verified.name()).key(account);
            match self.producer.send(tombstone, Duration::ZERO).await {
                Ok(_) => return self.chronicle.note(&format!("operator: forgot {account}")),
                // A tombstone without an ack may be there as well; a second one begins nothing new.
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}
