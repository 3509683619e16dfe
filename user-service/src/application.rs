//! One user service: its parts, their start and their end. Any number of them run in one process.

use crate::{
    config::Config,
    http::{self, Context},
    publisher::Publisher,
    signup::Signup,
};
use actix_web::{App, HttpServer, dev::Server, middleware::from_fn};
use anyhow::Context as _;
use shared::account_id::AccountId;
use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long requests that are under way may take to finish when the service stops, in seconds.
const DRAIN_SECONDS: u64 = 20;
/// How long an idle connection is kept; longer than what proxies commonly keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A user service that has its port and is not serving yet.
pub struct Application {
    config: Config,
    signup: Signup,
    listener: TcpListener,
    address: SocketAddr,
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
    /// Takes the port and makes all parts; neither the broker nor anything else has to be there.
    ///
    /// # Errors
    /// When the port is taken or librdkafka refuses its configuration.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.address)
            .with_context(|| format!("USER_SERVICE_ADDR: can't listen on {}", config.address))?;
        let address = listener.local_addr()?;
        let signup = Signup::new(&config).context("the Kafka clients can't be made")?;
        if config.code_secrets.is_development() || config.id_secret.is_development() {
            log::warn!(
                "CODE_SECRETS or ID_SECRET is the published development secret: anybody can compute every code"
            );
        }
        log::info!("version" = env!("CARGO_PKG_VERSION"), "address" = address.to_string().as_str(); "user service: {config:?}");
        Ok(Self { config, signup, listener, address })
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled, then finishes what is under way. Needs a multi-threaded tokio runtime.
    ///
    /// # Errors
    /// When a part fails.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let topics = tokio::spawn({
            let (kafka, stop) = (self.config.kafka.clone(), stop.clone());
            async move { kafka.ensure_topics(&stop).await }
        });
        // The follower outlives the server: a verification that is under way waits for its attempt to be read back.
        // The guard ends its thread also when this future is dropped.
        let stop_following = CancellationToken::new();
        let _guard = stop_following.clone().drop_guard();
        let following = tokio::task::spawn_blocking({
            let (signup, stop) = (self.signup.clone(), stop_following.clone());
            move || signup.follow(&stop)
        });
        let tasks = TaskTracker::new();
        let context =
            Context { signup: self.signup.clone(), runtime: Handle::current(), tasks: tasks.clone() };
        let server = serve(self.listener, context, self.config.cors_origins.clone(), stop.clone())?;
        let served = server.await;
        // Also when the server failed: the other parts then end with it.
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        let (signup, timeout) = (self.signup, self.config.publish_timeout);
        tokio::task::spawn_blocking(move || signup.flush(timeout)).await?;
        stop_following.cancel();
        following.await?;
        topics.await?;
        log::info!("user service stopped");
        served.context("the HTTP server failed")
    }
}

fn serve(
    listener: TcpListener,
    context: Context,
    origins: Vec<String>,
    stop: CancellationToken,
) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .configure(http::routes(context.clone()))
            .wrap(http::cors(&origins))
            .wrap(from_fn(http::identify))
            .wrap(http::default_headers())
    })
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(REQUEST_TIMEOUT)
    .tcp_nodelay(true)
    .shutdown_timeout(DRAIN_SECONDS)
    .shutdown_signal(stop.cancelled_owned())
    .listen(listener)?;
    Ok(server.run())
}
