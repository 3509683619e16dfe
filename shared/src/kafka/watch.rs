//! A watch over clients that don't find back to their brokers.
//!
//! librdkafka 2.12 can lose its last broker: one that has just returned may answer a look at the cluster with no broker at
//! all, and the client then forgets even those it was configured with (confluentinc/librdkafka#5301). No setting
//! prevents it and only a new client helps, so the service that has such a client ends, and is started anew.

use super::{ClientLog, KafkaConfig};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// How often the clients are looked at.
const PAUSE: Duration = Duration::from_secs(2);
/// How many looks in a row a client may miss that a new client does not.
const MISSES: u32 = 3;
/// How long one look may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A client has lost all its brokers, though there are some.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a Kafka client does not find back to its broker, though a new client reaches it at once")]
pub struct StuckClient;

/// Runs a service until it ends; anew, when only new Kafka clients help.
///
/// `run` makes the service and runs it until its token is cancelled, which `stop` does too.
///
/// # Errors
/// What `run` ended with, except [`StuckClient`] before `stop` was cancelled.
pub async fn run_anew_when_stuck(
    stop: &CancellationToken,
    run: impl AsyncFn(CancellationToken) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    loop {
        match run(stop.child_token()).await {
            Err(error) if error.is::<StuckClient>() && !stop.is_cancelled() => {
                log::error!("{error:#}; starting anew");
            }
            ended => return ended,
        }
    }
}

impl KafkaConfig {
    /// Returns when a client keeps missing a broker that a new client reaches; without such a client, never.
    ///
    /// `answers` asks all clients for the cluster's metadata within the given time, and may block for as long.
    pub async fn until_stuck(
        &self,
        answers: impl Fn(Duration) -> bool + Clone + Send + 'static,
    ) -> StuckClient {
        let mut misses = 0;
        while misses < MISSES {
            tokio::time::sleep(PAUSE).await;
            let (kafka, answers) = (self.clone(), answers.clone());
            // A look that failed in a bug says nothing.
            let missed =
                spawn_blocking(move || !answers(TIMEOUT) && kafka.reaches_a_broker()).await.unwrap_or(false);
            misses = if missed { misses + 1 } else { 0 };
        }
        StuckClient
    }

    fn reaches_a_broker(&self) -> bool {
        let fresh: Result<BaseConsumer<ClientLog>, _> =
            self.client().create_with_context(ClientLog::default());
        let metadata = fresh.and_then(|fresh| fresh.fetch_metadata(None, TIMEOUT));
        metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
    }
}
