//! The embedded broker: the project's expectations of any Kafka, and tests of this broker alone.

use std::time::Instant;

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::producer::FutureRecord;
use rdkafka::{Offset, TopicPartitionList};
use sandbox::broker::{Broker, Storage};
use tempfile::TempDir;

use crate::kafka::*;

mod folder;
mod lifecycle;
mod malformed;

macro_rules! on_a_broker_of_its_own {
    ($($module:ident::$expectation:ident,)*) => {$(
        #[tokio::test]
        async fn $expectation() {
            let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
            $module::$expectation(&broker.bootstrap()).await;
        }
    )*};
}
each_expectation!(on_a_broker_of_its_own);
