//! The embedded broker: the project's expectations of any Kafka, and tests of this broker alone.

use crate::kafka::*;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    producer::FutureRecord,
};
use sandbox::broker::{Broker, Storage};
use std::time::Instant;
use tempfile::TempDir;

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
