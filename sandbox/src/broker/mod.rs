//! A broker that speaks the Kafka protocol, inside this process: nisshi-broker's services on a listener of our own.
//!
//! ```text
//!   mod      start and stop, connections, retention and compaction
//!   groups   consumer groups as requests see them, with offsets in the storage
//!   group    one group's members and generations
//! ```
//!
//! The library's own listener writes to stdout and comes with its own, slow, group coordinator; its storage and
//! protocol are used as they are.
//!
//! Each [`Broker`] has a runtime of its own with two threads. Its SQLite engine blocks the thread it runs on, and
//! tests call librdkafka's blocking functions on their only thread; on a shared runtime one would starve the other.
//! It also makes [`Broker::stop`] complete: when it returns, every connection and database handle is gone.
//!
//! Known differences from Kafka: a look-up of an offset by a time after the last record answers 0 (Kafka: none); a fetch
//! that waits looks again after half of what is left of `fetch.wait.max.ms`, not when a record arrives; no
//! transactions, no commit metadata, and `acks=all` means one copy.
//!
//! The library reports through `tracing`, many times for each request, which without a subscriber ends up in `log`. The
//! broker's threads therefore have a subscriber that ignores everything. (A side effect of `tracing`: once any thread
//! has one, events of `tracing` no longer reach `log` anywhere in the process.)

mod groups;
mod group;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use nisshi_storage::{ArcDynStorage, BrokerRegistrationRequest, Storage as _, StorageContainer};
use rama::{Context, Service as _};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tracing::subscriber::NoSubscriber;
use url::Url;
use uuid::Uuid;

use crate::broker::groups::Groups;
use crate::ports;

/// Names the one cluster in its database: data written under another name would not be found again.
const CLUSTER: &str = "sandbox";
const NODE_ID: i32 = 1;
const DATABASE: &str = "broker.db";
/// The library's own interval for retention and compaction.
const MAINTENANCE_INTERVAL: Duration = Duration::from_mins(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long [`Broker::stop`] waits for an SQLite statement that is under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the records are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Storage {
    /// In a directory of the system's for temporary files: gone with the broker.
    Temporary,
    /// In this directory, which is created when missing. What was acknowledged survives the end of the process,
    /// however it ends, but perhaps not a power cut.
    Directory(PathBuf),
}

/// A running broker; dropping it stops it too, without waiting for that.
#[derive(Debug)]
pub struct Broker {
    port: u16,
    runtime: Option<Runtime>,
    /// Removed on drop.
    _temporary: Option<TempDir>,
}

impl Broker {
    /// Starts a broker on 127.0.0.1, with any free port for 0, and returns once it accepts connections.
    ///
    /// # Errors
    /// The port is taken, or the directory or its database can't be written.
    pub async fn start(storage: Storage, port: u16) -> anyhow::Result<Broker> {
        let (directory, temporary) = match storage {
            Storage::Directory(directory) => (directory, None),
            Storage::Temporary => {
                let temporary = TempDir::with_prefix("sandbox-broker-")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sandbox-broker")
            .on_thread_start(ignore_tracing)
            .enable_all()
            .build()?;
        let mut broker = Broker { port, runtime: Some(runtime), _temporary: temporary };
        broker.port = broker.serve_on(port, directory).await?;
        Ok(broker)
    }

    async fn serve_on(&self, port: u16, directory: PathBuf) -> anyhow::Result<u16> {
        let runtime = self.runtime.as_ref().context("the broker has stopped")?;
        let start = async move {
            let listener = ports::listen(port).await.context("no port for the broker")?;
            let port = listener.local_addr()?.port();
            let storage = open(&directory, port)
                .await
                .with_context(|| format!("cannot use {} for the broker", directory.display()))?;
            let groups = Groups::new(storage.clone())?;
            tokio::spawn(serve(listener, storage, groups));
            Ok(port)
        };
        runtime.spawn(start).await?
    }

    /// The address for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends all connections and closes the database; afterwards the port is free and the directory can be opened.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let stopped = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_TIMEOUT)).await;
            if let Err(error) = stopped {
                log::warn!("the broker did not stop in order: {error}");
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Ignores the tracing of this thread, for as long as it lives.
fn ignore_tracing() {
    std::mem::forget(tracing::subscriber::set_default(NoSubscriber::new()));
}

/// Serves until it is dropped, and all connections with it.
async fn serve(listener: TcpListener, storage: ArcDynStorage, groups: Groups) {
    let mut connections = JoinSet::new();
    connections.spawn(groups.clone().expire());
    let mut maintenance = interval(MAINTENANCE_INTERVAL);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, storage.clone(), groups.clone()));
                }
                Err(error) => {
                    log::warn!("cannot accept a connection to the broker: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = maintenance.tick() => {
                let storage = storage.clone();
                connections.spawn(async move {
                    if let Err(error) = storage.maintain(SystemTime::now()).await {
                        log::warn!("the broker's retention and compaction failed: {error}");
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, storage: ArcDynStorage, groups: Groups) {
    let conversation = async {
        stream.set_nodelay(true)?;
        let service = nisshi_broker::service::services(CLUSTER, groups, storage, None)?;
        service.serve(Context::default(), stream).await
    };
    if let Err(error) = conversation.await {
        log::debug!("a connection to the broker ended: {error}");
    }
}

async fn open(directory: &Path, port: u16) -> anyhow::Result<ArcDynStorage> {
    let storage = StorageContainer::builder()
        .cluster_id(CLUSTER)
        .node_id(NODE_ID)
        .advertised_listener(Url::parse(&format!("tcp://127.0.0.1:{port}"))?)
        .storage(storage_url(directory)?)
        .silent(true)
        .build()
        .await?;
    let registration = BrokerRegistrationRequest {
        broker_id: NODE_ID,
        cluster_id: CLUSTER.to_owned(),
        incarnation_id: Uuid::new_v4(),
        rack: None,
    };
    storage.register_broker(registration).await?;
    Ok(Arc::new(storage))
}

/// The library's name for the database in a directory. It appends the path to the current directory after taking one
/// slash off, and does not decode it: what a URL has to escape can't be opened.
fn storage_url(directory: &Path) -> anyhow::Result<Url> {
    std::fs::create_dir_all(directory)?;
    let directory = directory.canonicalize()?;
    let current = env::current_dir()?.canonicalize()?;
    let path = directory.strip_prefix(current).unwrap_or(&directory).join(DATABASE);
    let path = path.to_str().context("its path is not UTF-8")?;
    let url = Url::parse(&format!("sqlite:///{path}"))?;
    ensure!(url.path().strip_prefix('/') == Some(path), "its path has spaces or special characters");
    Ok(url)
}
