//! Start, run, stop: what a notification service consists of, and the order in which it goes.
//!
//! It starts alone: neither a broker nor a mail server has to be there.

use crate::{
    config::Config,
    consumer::Consumer,
    delivery::Delivery,
    email::Letterhead,
    health::{self, Sources},
    mailer::Mailer,
    metrics::Metrics,
    status::Status,
    writer::Writer,
};
use anyhow::Context;
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long a consumer without a broker may take to end.
const STUCK_DRAIN: Duration = Duration::from_secs(20);

/// A notification service that is bound to its address and not yet running. Any number of them can run in one process.
pub struct Application {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
}

impl Application {
    /// Binds the address for health. Nothing else is touched yet.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.address)
            .with_context(|| format!("NOTIFICATION_SERVICE_ADDR: can't listen on {}", config.address))?;
        let address = listener.local_addr().context("the listener has no address")?;
        log::info!(
            "version" = env!("CARGO_PKG_VERSION"), "address" = address.to_string().as_str();
            "notification-service started: {config:?}"
        );
        if config.code_secrets.is_development() {
            log::warn!("CODE_SECRETS has the well-known development secret: anybody can compute every code");
        }
        Ok(Self { config, listener, address })
    }

    /// Where health is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes events and mails until `stop` is cancelled, then finishes what is under way, commits and leaves the
    /// group.
    ///
    /// # Errors
    /// When a part can't be made, or the Kafka client ends with a fatal error; [`shared::kafka::StuckClient`] when a
    /// new service with the same configuration would work.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { config, listener, .. } = self;
        let status = Arc::new(Status::default());
        let writer = Writer::new(&config.kafka).context("the Kafka producer can't be made")?;
        let mailer = Mailer::new(config.smtp.clone(), config.mail_from.email.domain())?;
        // Health answers until all else has ended.
        let health_stop = CancellationToken::new();
        let metrics = Arc::new(Metrics::new(Arc::clone(&status), Arc::clone(&mailer)));
        let accepted_after = metrics.accepted_after.clone();
        let sources = Sources { status: Arc::clone(&status), writer: writer.clone(), metrics };
        let health = tokio::spawn(health::serve(listener, sources, health_stop.clone())?);

        // A subscription to a topic that is not there yet would wait for the next look at the cluster.
        config.kafka.ensure_topics(&stop).await;
        let letterhead = Letterhead {
            from: config.mail_from,
            public_url: config.public_url,
            secrets: config.code_secrets,
        };
        let delivery = Delivery { letterhead, mailer, writer: writer.clone(), accepted_after };
        let ended = if stop.is_cancelled() {
            Ok(())
        } else {
            let sessions = config.smtp.connections;
            let consumer =
                Consumer::new(&config.kafka, &config.group, config.commit, sessions, delivery, status)?;
            let (answers, round) = (consumer.broker_answers(writer), stop.child_token());
            let mut running = Box::pin(consumer.run(round.clone()));
            tokio::select! {
                ended = &mut running => ended,
                stuck = config.kafka.until_stuck(answers) => {
                    round.cancel();
                    // Without a broker there is nothing to commit; what can be finished is.
                    if tokio::time::timeout(STUCK_DRAIN, running).await.is_err() {
                        log::warn!("the consumer did not end in order");
                    }
                    Err(stuck.into())
                }
            }
        };
        health_stop.cancel();
        health.await.context("health ended in a bug")??;
        log::info!("notification-service stopped");
        ended
    }
}
