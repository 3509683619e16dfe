//! Apache Kafka against the list of expectations that the embedded broker passes, too.

use crate::kafka::*;
use acceptance::{kafka::Kafka, world::show};

macro_rules! on_apache_kafka {
    ($($module:ident::$expectation:ident,)*) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn apache_kafka_does_what_the_tests_with_the_embedded_broker_rely_on() {
            let folder = tempfile::tempdir().expect("a folder");
            let kafka = Kafka::new(folder.path());
            kafka.start().await;
            // By default compaction begins after 15 s.
            let quick = "log.cleaner.backoff.ms=100";
            kafka.configs(&["--alter", "--entity-type", "brokers", "--entity-default", "--add-config", quick]).await;
            $(
                show(stringify!($expectation));
                $module::$expectation(&kafka.bootstrap()).await;
            )*
        }
    };
}
each_expectation!(on_apache_kafka);
