//! One user service: makes its parts, starts them and stops them.
//!
//! A process may run any number of these, but an actix system only one:
//! when an HTTP server ends, it ends the threads of its actix system.

use crate::{
    config::Config,
    http::{self, Admission, Context, Http, Limits, Proxies, Silence},
    log_ends::Inquirer,
    metrics::Metrics,
    outside::Outside,
    publisher::Publisher,
    replica::Follower,
    signup::{self, Signup},
};
use actix_web::{App, HttpServer, dev::Server, middleware::from_fn, web::Data};
use anyhow::Context as _;
use contract::account_id::AccountId;
use futures_util::FutureExt;
use runtime::{kafka::KafkaWatch, spans::Spans, tasks::Tasks, telemetry};
use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long a connection may go without an answer while it is idle
/// or while a body arrives. The deadline of a request comes on top.
const SILENCE: Duration = Duration::from_secs(90);
/// How often the limits forget clients that have sent nothing lately.
const TIDY_PAUSE: Duration = Duration::from_secs(60);

/// A user service that has its ports and is not serving yet.
pub struct Application {
    config: Config,
    signup: Signup,
    publisher: Arc<Publisher>,
    follower: Arc<Follower>,
    metrics: Arc<Metrics>,
    spans: Spans,
    listener: TcpListener,
    admin_listener: TcpListener,
}

/// Writes the tombstone that forgets an account everywhere, and makes sure that the
/// account stays forgotten. Takes at least `PUBLISH_TIMEOUT` + `MAX_CLOCK_SKEW`.
///
/// # Errors
/// When the broker does not acknowledge the tombstone within half a minute, or the topic can't be read afterwards.
pub async fn forget(config: &Config, id: AccountId) -> anyhow::Result<()> {
    signup::forget(config, id).await.context("the account may not be forgotten; run the command again")
}

impl Application {
    /// Binds the ports and makes all parts. Neither the broker nor anything else has to be up.
    ///
    /// # Errors
    /// When a port is taken or librdkafka refuses its configuration.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let listener = bind("USER_SERVICE_ADDR", config.address)?;
        let admin_listener = bind("USER_SERVICE_ADMIN_ADDR", config.admin_address)?;
        let mut metrics = Metrics::new();
        metrics.show_secrets(config.code_secrets.clone(), config.kafka.security.clone());
        let metrics = Arc::new(metrics);
        let spans = Spans::start(&config.spans)?;
        let (signup, publisher, follower) = connect(&config, Arc::clone(&metrics), spans.clone())
            .context("the Kafka clients can't be made")?;
        if config.code_secrets.get().is_development() || config.id_secret.is_development() {
            log::warn!(
                "CODE_SECRETS or ID_SECRET is the published development secret: anybody can compute every code"
            );
        }
        let application =
            Self { config, signup, publisher, follower, metrics, spans, listener, admin_listener };
        log::info!(
            "version" = env!("CARGO_PKG_VERSION"), "address" = application.address().to_string().as_str(),
            "admin_address" = application.admin_address().to_string().as_str();
            "user service: {:?}", application.config
        );
        Ok(application)
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.config.address)
    }

    /// Where metrics and health are served.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_listener.local_addr().unwrap_or(self.config.admin_address)
    }

    /// Serves until `stop` is cancelled, then finishes the requests in flight. Needs a multi-threaded tokio runtime.
    ///
    /// # Errors
    /// When a task ends before it was asked to stop; `stop` is then cancelled.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.run_with(Tasks::new(stop.clone()), stop).await
    }

    async fn run_with(self, tasks: Tasks, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { config, signup, publisher, follower, metrics, spans, listener, admin_listener } = self;
        // The follower outlives the public server: a verification in flight waits until its
        // attempt is read back. The admin server outlives both, so that metrics and health
        // stay visible. The guards cancel both tokens even when this future is dropped.
        let (stop_the_rest, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let _guards = [stop_the_rest.clone().drop_guard(), stop_admin.clone().drop_guard()];
        let making_topics = tasks.spawn("topic maker", &stop, {
            let (kafka, stop) = (config.kafka.clone(), stop.clone());
            async move {
                kafka.ensure_topics(&stop).await;
                stop.cancelled().await;
                Ok::<_, Infallible>(())
            }
        });
        let the_rest = [
            tasks.spawn_blocking("log reader", &stop_the_rest, {
                let (follower, stop) = (Arc::clone(&follower), stop_the_rest.clone());
                move || follower.run(&stop)
            }),
            tasks.spawn("watch over Kafka clients", &stop_the_rest, {
                let (replica, publisher) = (Arc::clone(signup.replica()), Arc::clone(&publisher));
                let ask = move |watch: &KafkaWatch| {
                    publisher.broker_answers(watch) & follower.broker_answers(watch)
                };
                replica.watch_clients(ask, stop_the_rest.clone()).map(Ok::<_, Infallible>)
            }),
            tasks.spawn("check of topics", &stop_the_rest, {
                let (replica, stop) = (Arc::clone(signup.replica()), stop_the_rest.clone());
                async move { replica.watch_topics(stop).await }.map(Ok::<_, Infallible>)
            }),
            tasks.spawn("watch over the log's end", &stop_the_rest, {
                let (replica, stop) = (Arc::clone(signup.replica()), stop_the_rest.clone());
                async move { replica.watch_end(stop).await }.map(Ok::<_, Infallible>)
            }),
            tasks.spawn("producer", &stop_the_rest, {
                let (publisher, stop) = (Arc::clone(&publisher), stop_the_rest.clone());
                async move { publisher.watch(&stop).await }
            }),
            tasks.spawn("watch over CODE_SECRETS_FILE", &stop_the_rest, {
                config.code_secrets.clone().watch(stop_the_rest.clone()).map(Ok::<_, Infallible>)
            }),
            tasks.spawn(
                "watch over texts",
                &stop_the_rest,
                metrics.texts.clone().watch(Arc::clone(&config.pages), stop_the_rest.clone()),
            ),
            tasks.spawn("log writer", &stop_the_rest, telemetry::watch_writer(stop_the_rest.clone())),
        ];
        let context = Context {
            signup: signup.clone(),
            metrics: Arc::clone(&metrics),
            tasks: tasks.clone(),
            spans: spans.clone(),
        };
        let proxies = Arc::new(Proxies::new(config.trusted_proxies, config.trusted_hops));
        let limits = Data::new(Limits::new(
            config.rate_limit,
            Arc::clone(&proxies),
            config.patience.body,
            config.cors_origins.clone(),
            Arc::clone(&metrics),
        ));
        let silence =
            Silence { of_peer: config.patience.answers, of_service: SILENCE + config.rules.publish_timeout };
        let admission = Admission::new(
            config.max_connections,
            config.max_connections_per_address,
            proxies,
            silence,
            metrics,
        );
        let tidying = tasks.spawn(
            "tidying of limits",
            &stop,
            tidy(limits.clone(), signup.clone(), stop.clone()).map(Ok::<_, Infallible>),
        );
        let admin = serve_admin(admin_listener, context.clone(), stop_admin.clone())?;
        let admin = tasks.spawn("admin server", &stop_admin, admin);
        // The HTTP server has no task of its own: its workers belong to the actix system that runs this future.
        let parts = Http {
            context,
            pages: Data::from(config.pages),
            limits,
            admission: Arc::new(admission),
            origins: config.cors_origins,
            public_url: config.public_url,
            head_timeout: config.patience.head,
            has_docs: config.api_docs,
        };
        let server = http::serve(listener, parts, stop.clone())?;
        tasks.supervise("HTTP server", &stop, server).await;
        let timeout = config.rules.publish_timeout;
        tokio::task::spawn_blocking(move || flush(&publisher, timeout)).await?;
        stop_the_rest.cancel();
        for task in the_rest.into_iter().chain([making_topics, tidying]) {
            task.await?;
        }
        stop_admin.cancel();
        admin.await?;
        tokio::task::spawn_blocking(move || spans.close()).await?;
        log::info!("user service stopped");
        tasks.result()
    }
}

/// Makes the flow with its own producer and consumers; all connect by themselves.
fn connect(
    config: &Config,
    metrics: Arc<Metrics>,
    spans: Spans,
) -> anyhow::Result<(Signup, Arc<Publisher>, Arc<Follower>)> {
    let publisher = Arc::new(Publisher::new(&config.kafka, config.rules.publish_timeout, spans)?);
    let inquirer = Arc::new(Inquirer::new(&config.kafka)?);
    let outside = Outside::Real { publisher: Arc::clone(&publisher), inquirer: Arc::clone(&inquirer) };
    let signup = Signup::new(config, metrics, outside);
    let follower = Follower::new(&config.kafka, Arc::clone(signup.replica().reading()), inquirer)?;
    Ok((signup, publisher, Arc::new(follower)))
}

/// Waits for the acks of everything handed to the producer. Blocks for at most `timeout`.
fn flush(publisher: &Publisher, timeout: Duration) {
    if let Err(error) = publisher.flush(timeout) {
        log::warn!("error" = error.to_string().as_str(); "some events have no ack yet; their requests were answered with 503");
    }
}

fn bind(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("{variable}: can't listen on {address}"))
}

fn serve_admin(listener: TcpListener, context: Context, stop: CancellationToken) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new().configure(http::admin_routes(context.clone())).wrap(from_fn(http::identify))
    })
    .workers(1)
    .shutdown_timeout(1)
    .shutdown_signal(stop.cancelled_owned())
    .listen(listener)?;
    Ok(server.run())
}

async fn tidy(limits: Data<Limits>, signup: Signup, stop: CancellationToken) {
    while tokio::time::timeout(TIDY_PAUSE, stop.cancelled()).await.is_err() {
        limits.tidy();
        signup.tidy();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::env::Env;
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_secs(20);

    /// The status and body of `/health/live`.
    async fn live(address: SocketAddr) -> (u16, String) {
        let answer = reqwest::get(format!("http://{address}/health/live")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_task_that_panics_makes_the_service_not_live_and_ends_it_with_an_error_that_names_it() {
        // Without a broker the shutdown takes some time. The admin server still answers during it.
        let env = Env::from_pairs([
            ("KAFKA_BROKERS", "127.0.0.1:1"),
            ("USER_SERVICE_ADDR", "127.0.0.1:0"),
            ("USER_SERVICE_ADMIN_ADDR", "127.0.0.1:0"),
            ("CODE_SECRETS", "k1:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="),
            ("ID_SECRET", "dnV0c3JxcG9ubWxramloZ2ZlZGNiYTk4NzY1NDMyMTA="),
        ]);
        let application = Application::start(Config::load(env).unwrap()).unwrap();
        let admin = application.admin_address();
        let (stop, fault) = (CancellationToken::new(), CancellationToken::new());
        let tasks = Tasks::new(stop.clone());
        tasks.spawn::<Infallible>("log reader", &stop, {
            let fault = fault.clone();
            async move {
                fault.cancelled().await;
                panic!("a fault")
            }
        });
        let running = tokio::spawn(application.run_with(tasks, stop.clone()));
        assert_eq!(live(admin).await, (200, r#"{"status":"live"}"#.to_owned()));

        fault.cancel();
        let began = Instant::now();
        while live(admin).await != (503, r#"{"status":"log reader panicked"}"#.to_owned()) {
            assert!(began.elapsed() < LIMIT);
        }
        let error = tokio::time::timeout(LIMIT, running).await.unwrap().unwrap().unwrap_err().to_string();
        assert_eq!(error, "a task of the service ended too early: log reader panicked");
        assert!(stop.is_cancelled());
    }
}
