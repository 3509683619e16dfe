//! Start, run, stop: what a notification service consists of, and the order in which it goes.
//!
//! It starts alone: neither a broker nor a mail server has to be there.

use crate::{
    config::Config,
    consumer::Consumer,
    delivery::Delivery,
    email::{Letterhead, NOTICE_LIFE},
    health::{self, Sources},
    mailer::Mailer,
    metrics::Metrics,
    status::Status,
    writer::Writer,
};
use anyhow::Context;
use shared::{
    kafka::{KafkaWatch, TopicCheck},
    topic::Topic,
};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

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
    /// When a part can't be made, or the Kafka client ends with a fatal error.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { config, listener, .. } = self;
        let status = Arc::new(Status::default());
        let writer = Writer::new(&config.kafka).context("the Kafka producer can't be made")?;
        let mailer = Mailer::new(config.smtp.clone(), config.mail_from.email.domain())?;
        let watch = KafkaWatch::new(config.kafka.clone());
        let topics = TopicCheck::new(
            config.kafka.clone(),
            Arc::clone(&watch),
            &Topic::ALL,
            NOTICE_LIFE.unsigned_abs(),
        );
        // Health answers until all else has ended.
        let health_stop = CancellationToken::new();
        let metrics = Arc::new(Metrics::new(Arc::clone(&status), Arc::clone(&mailer), Arc::clone(&topics)));
        let accepted_after = metrics.accepted_after.clone();
        let sources = Sources {
            status: Arc::clone(&status),
            watch: Arc::clone(&watch),
            topics: Arc::clone(&topics),
            metrics,
            writer: writer.clone(),
        };
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
            let consumer_answered = consumer.broker_answers();
            let ask_all = move |watch: &KafkaWatch| consumer_answered(watch) & writer.broker_answers(watch);
            let watching = tokio::spawn({
                let (watching, checking) =
                    (watch.run(ask_all, health_stop.clone()), topics.run(health_stop.clone()));
                async move { tokio::join!(watching, checking) }
            });
            let ended = consumer.run(stop).await;
            health_stop.cancel();
            watching.await.context("the watch over the Kafka clients ended in a bug")?;
            ended
        };
        health_stop.cancel();
        health.await.context("health ended in a bug")??;
        log::info!("notification-service stopped");
        ended
    }
}
