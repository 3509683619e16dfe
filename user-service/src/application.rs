//! One user service: its parts, their start and their end. Any number of them run in one process, but only one in an actix
//! system: when its HTTP server ends, so do the system's threads.

use crate::{
    config::Config,
    http::{self, Context, Limits},
    metrics::Metrics,
    publisher::Publisher,
    signup::Signup,
};
use actix_web::{
    App, HttpServer,
    dev::Server,
    middleware::{Condition, from_fn},
    web::Data,
};
use anyhow::Context as _;
use shared::account_id::AccountId;
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long requests that are under way may take to finish when the service stops, in seconds.
const DRAIN_SECONDS: u64 = 20;
/// How long an idle connection is kept; longer than what proxies commonly keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How often clients are forgotten that have not been here lately.
const TIDY_PAUSE: Duration = Duration::from_secs(60);

/// A user service that has its ports and is not serving yet.
pub struct Application {
    config: Config,
    signup: Signup,
    metrics: Arc<Metrics>,
    listener: TcpListener,
    admin_listener: TcpListener,
}

/// Writes the tombstone that forgets an account, everywhere and for ever.
///
/// # Errors
/// When the broker does not acknowledge it within `PUBLISH_TIMEOUT`.
pub async fn forget(config: &Config, id: AccountId) -> anyhow::Result<()> {
    let publisher = Publisher::new(&config.kafka, config.publish_timeout)?;
    publisher.forget(id).await.context("the account is not forgotten; run the command again")
}

impl Application {
    /// Takes the ports and makes all parts; neither the broker nor anything else has to be there.
    ///
    /// # Errors
    /// When a port is taken or librdkafka refuses its configuration.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let listener = bind("USER_SERVICE_ADDR", config.address)?;
        let admin_listener = bind("USER_SERVICE_ADMIN_ADDR", config.admin_address)?;
        let metrics = Arc::new(Metrics::new());
        let signup = Signup::new(&config, Arc::clone(&metrics)).context("the Kafka clients can't be made")?;
        if config.code_secrets.is_development() || config.id_secret.is_development() {
            log::warn!(
                "CODE_SECRETS or ID_SECRET is the published development secret: anybody can compute every code"
            );
        }
        let application = Self { config, signup, metrics, listener, admin_listener };
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

    /// Serves until `stop` is cancelled, then finishes what is under way. Needs a multi-threaded tokio runtime.
    ///
    /// # Errors
    /// When a part fails.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { config, signup, metrics, listener, admin_listener } = self;
        let topics = tokio::spawn({
            let (kafka, stop) = (config.kafka.clone(), stop.clone());
            async move { kafka.ensure_topics(&stop).await }
        });
        // The follower and the admin server outlive the public one: a verification that is under way waits for its
        // attempt to be read back, and can be watched. The guard ends them also when this future is dropped.
        let stop_the_rest = CancellationToken::new();
        let _guard = stop_the_rest.clone().drop_guard();
        let following = tokio::task::spawn_blocking({
            let (signup, stop) = (signup.clone(), stop_the_rest.clone());
            move || signup.follow(&stop)
        });
        let context = Context { signup: signup.clone(), metrics: Arc::clone(&metrics) };
        let limits = Limits::new(config.rate_limit, config.trusted_proxies, metrics);
        let limits = Data::new(limits);
        let tidying = tokio::spawn(tidy(limits.clone(), stop.clone()));
        let admin = tokio::spawn(serve_admin(admin_listener, context.clone(), stop_the_rest.clone())?);
        let watching = tokio::spawn(signup.clone().watch(stop_the_rest.clone()));
        let served = serve(listener, context, limits, config.cors_origins, stop.clone())?.await;
        // Also when the server failed: the other parts then end with it.
        stop.cancel();
        let timeout = config.publish_timeout;
        tokio::task::spawn_blocking(move || signup.flush(timeout)).await?;
        stop_the_rest.cancel();
        following.await?;
        topics.await?;
        tidying.await?;
        watching.await?;
        admin.await?.context("the admin server failed")?;
        log::info!("user service stopped");
        served.context("the HTTP server failed")
    }
}

fn bind(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("{variable}: can't listen on {address}"))
}

fn serve(
    listener: TcpListener,
    context: Context,
    limits: Data<Limits>,
    origins: Vec<String>,
    stop: CancellationToken,
) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .configure(http::routes(context.clone(), limits.clone()))
            .wrap(from_fn(http::limit))
            .wrap(Condition::new(!origins.is_empty(), http::cors(&origins)))
            .wrap(from_fn(http::identify))
            .wrap(http::default_headers())
    })
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_TIMEOUT)
    .tcp_nodelay(true)
    .shutdown_timeout(DRAIN_SECONDS)
    .shutdown_signal(stop.cancelled_owned())
    .listen(listener)?;
    Ok(server.run())
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

async fn tidy(limits: Data<Limits>, stop: CancellationToken) {
    while tokio::time::timeout(TIDY_PAUSE, stop.cancelled()).await.is_err() {
        limits.tidy();
    }
}
