//! What a notification service consists of, and the order in which its parts start and stop.
//!
//! It starts alone: neither a broker nor a mail server has to be there.

use crate::{
    config::Config,
    consumer::Consumer,
    delivery::Delivery,
    email::{Letterhead, NOTICE_LIFE},
    health::{self, Sources},
    mailer::Mailer,
    mailing::ServerSettings,
    metrics::Metrics,
    status::Status,
    writer::Writer,
};
use anyhow::Context;
use contract::topic::Topic;
use futures_util::FutureExt;
use runtime::{
    kafka::{KafkaWatch, TopicCheck},
    spans::Spans,
    tasks::Tasks,
    telemetry,
    texts_watch::TextsMetrics,
};
use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// The topics that this service reads or writes.
const TOPICS: [Topic; 4] = [Topic::Created, Topic::Verified, Topic::MailRetry, Topic::DeadLetter];

/// A notification service that is bound to its address and not yet running. Any number of them can run in one process.
pub struct Application {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
}

impl Application {
    /// Binds the health address. Nothing else is touched yet.
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
        if config.code_secrets.get().is_development() {
            log::warn!("CODE_SECRETS is the published development secret: anybody can compute every code");
        }
        Ok(Self { config, listener, address })
    }

    /// Where health is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes events and mails until `stop` is cancelled. Then it finishes the deliveries in flight, commits and leaves the
    /// group.
    ///
    /// # Errors
    /// When a part can't be made, or a task ends too early. In that case `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.run_with(Tasks::new(stop.clone()), stop).await
    }

    async fn run_with(self, tasks: Tasks, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { config, listener, .. } = self;
        let status = Arc::new(Status::default());
        let writer = Writer::new(&config.kafka).context("the Kafka producer can't be made")?;
        let mailers = config.smtp.iter().cloned().map(Mailer::new).collect::<anyhow::Result<Vec<_>>>()?;
        let spans = Spans::start(&config.spans)?;
        let closing = spans.clone();
        let watch = KafkaWatch::new(config.kafka.clone());
        let topics =
            TopicCheck::new(config.kafka.clone(), Arc::clone(&watch), &TOPICS, NOTICE_LIFE.unsigned_abs());
        // Health answers until all else has ended. The guard stops it also if this future is dropped.
        let health_stop = CancellationToken::new();
        let _guard = health_stop.clone().drop_guard();
        let texts = TextsMetrics::default();
        let keys = config.code_secrets.clone();
        let (shown, kafka) = (keys.clone(), config.kafka.security.clone());
        let metrics =
            Metrics::new(Arc::clone(&status), mailers.clone(), Arc::clone(&topics), shown, kafka, &texts);
        let metrics = Arc::new(metrics);
        let accepted_after = metrics.accepted_after.clone();
        let sources = Sources {
            status: Arc::clone(&status),
            watch: Arc::clone(&watch),
            topics: Arc::clone(&topics),
            metrics,
            tasks: tasks.clone(),
            servers: mailers.len(),
        };
        let health = health::serve(listener, sources, health_stop.clone())?;
        let watches = [
            tasks.spawn("health server", &health_stop, health),
            tasks.spawn("producer", &health_stop, writer.clone().watch(health_stop.clone())),
            tasks.spawn(
                "watch over texts",
                &health_stop,
                texts.watch(Arc::clone(&config.mails), health_stop.clone()),
            ),
            tasks.spawn(
                "watch over CODE_SECRETS_FILE",
                &health_stop,
                keys.watch(health_stop.clone()).map(Ok::<_, Infallible>),
            ),
            tasks.spawn("log writer", &health_stop, telemetry::watch_writer(health_stop.clone())),
        ];
        let consuming = async {
            // A subscription to a missing topic would wait for the next metadata refresh.
            config.kafka.ensure_topics(&stop).await;
            if stop.is_cancelled() {
                return Ok(());
            }
            let letterhead = Letterhead {
                sender: config.sender,
                public_url: config.public_url,
                secrets: config.code_secrets,
                mails: Arc::clone(&config.mails),
            };
            let delivery = Delivery {
                letterhead,
                mailers,
                writer: writer.clone(),
                group: config.group.group.clone(),
                names: config.kafka.names.clone(),
                accepted_after,
                spans,
            };
            let servers = config.smtp.iter();
            let servers = servers
                .map(|it| ServerSettings { sessions: it.connections, longest_silence: it.longest_silence() });
            let consumer = Consumer::new(
                &config.kafka,
                &config.group,
                config.commit,
                servers.collect(),
                delivery,
                status,
            )?;
            let consumer_answered = consumer.broker_answers();
            let ask_all = move |watch: &KafkaWatch| consumer_answered(watch) & writer.broker_answers(watch);
            let watch_stop = CancellationToken::new();
            let guard = watch_stop.clone().drop_guard();
            let watching = watch.run(ask_all, watch_stop.clone()).map(Ok::<_, Infallible>);
            let checking = topics.run(watch_stop.clone()).map(Ok::<_, Infallible>);
            let watches = [
                tasks.spawn("watch over Kafka clients", &watch_stop, watching),
                tasks.spawn("check of topics", &watch_stop, checking),
            ];
            let ended = consumer.run(stop.clone()).await;
            drop(guard);
            for watch in watches {
                watch.await?;
            }
            ended
        };
        tasks.supervise("consumer", &stop, consuming).await;
        health_stop.cancel();
        for watch in watches {
            watch.await?;
        }
        tokio::task::spawn_blocking(move || closing.close()).await?;
        log::info!("notification-service stopped");
        tasks.result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::env::Env;
    use std::time::{Duration, Instant};

    const LIMIT: Duration = Duration::from_secs(20);

    /// What `/health/live` answers.
    async fn live(address: SocketAddr) -> (u16, String) {
        let answer = reqwest::get(format!("http://{address}/health/live")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_task_that_ends_makes_the_service_not_live_and_ends_it_with_an_error_that_names_it() {
        // Without a broker the stop takes some time, and health still answers meanwhile.
        let env = Env::from_pairs([
            ("KAFKA_BROKERS", "127.0.0.1:1"),
            ("NOTIFICATION_SERVICE_ADDR", "127.0.0.1:0"),
            ("CODE_SECRETS", "k1:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="),
        ]);
        let application = Application::start(Config::load(env).unwrap()).unwrap();
        let address = application.address();
        let (stop, fault) = (CancellationToken::new(), CancellationToken::new());
        let tasks = Tasks::new(stop.clone());
        tasks.spawn("watch", &stop, fault.clone().cancelled_owned().map(Ok::<_, Infallible>));
        let running = tokio::spawn(application.run_with(tasks, stop.clone()));
        assert_eq!(live(address).await, (200, r#"{"status":"live"}"#.to_owned()));

        fault.cancel();
        let began = Instant::now();
        while live(address).await != (503, r#"{"status":"watch ended by itself"}"#.to_owned()) {
            assert!(began.elapsed() < LIMIT);
        }
        let error = tokio::time::timeout(LIMIT, running).await.unwrap().unwrap().unwrap_err().to_string();
        assert_eq!(error, "a task of the service ended too early: watch ended by itself");
        assert!(stop.is_cancelled());
    }
}
