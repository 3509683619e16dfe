//! A broker that speaks the Kafka protocol, inside this process: nisshi-broker, with one node and one listener.
//!
//! Each [`Broker`] has a runtime of its own with two threads. Its SQLite engine blocks the thread it runs on, and
//! tests call librdkafka's blocking functions on their only thread; on a shared runtime one would starve the other.
//! It also makes [`Broker::stop`] complete: when it returns, every connection and database handle is gone.
//!
//! Known differences from Kafka: a look-up of an offset by a time after the last record answers 0 (Kafka: none); a fetch
//! that waits looks again after half of what is left of `fetch.wait.max.ms`, not when a record arrives; no
//! transactions, no commit metadata, and `acks=all` means one copy.
//!
//! The library writes its events to `log` (targets `nisshi_*`, `rama*`) and nothing to stdout.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use nisshi_broker::coordinator::group::administrator::Controller;
use nisshi_storage::ArcDynStorage;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use crate::ports;

type Node = nisshi_broker::broker::Broker<Controller<ArcDynStorage>, ArcDynStorage>;

/// Names the one cluster in its database: data written under another name would not be found again.
const CLUSTER: &str = "sandbox";
const NODE_ID: i32 = 1;
const DATABASE: &str = "broker.db";
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
        let storage = storage_url(&directory)
            .with_context(|| format!("cannot use {} for the broker", directory.display()))?;
        let mut refused = anyhow!("no port to try");
        for port in ports::candidates(port) {
            match start_on(&storage, port).await {
                Ok(runtime) => return Ok(Broker { port, runtime: Some(runtime), _temporary: temporary }),
                Err(error) => refused = error.context(format!("no broker on 127.0.0.1:{port}")),
            }
        }
        Err(refused)
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

/// Starts a node on exactly this port; it runs until its runtime is dropped.
async fn start_on(storage: &Url, port: u16) -> anyhow::Result<Runtime> {
    let runtime =
        Builder::new_multi_thread().worker_threads(2).thread_name("sandbox-broker").enable_all().build()?;
    let (ready, outcome) = oneshot::channel();
    runtime.spawn(run(storage.clone(), port, ready));
    match outcome.await.context("the broker ended while it started").flatten() {
        Ok(()) => Ok(runtime),
        Err(error) => {
            runtime.shutdown_background();
            Err(error)
        }
    }
}

/// Serves until it is dropped. `ready` is told when the port is bound, or why there is no broker.
async fn run(storage: Url, port: u16, ready: oneshot::Sender<anyhow::Result<()>>) {
    let node = match node(storage, port).await {
        Ok(node) => node,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let listening = node.listen(Instant::now());
    tokio::pin!(listening);
    // The first poll of `listen` binds the port or fails: with a socket address there is nothing to wait for.
    let first = tokio::select! {
        biased;
        ended = &mut listening => ended.map_err(Into::into),
        () = std::future::ready(()) => Ok(()),
    };
    let bound = first.is_ok();
    if ready.send(first).is_err() || !bound {
        return;
    }
    if let Err(error) = listening.await {
        log::error!("the broker on port {port} ended: {error}");
    }
}

/// A registered node that does not listen yet.
async fn node(storage: Url, port: u16) -> anyhow::Result<Node> {
    let address = Url::parse(&format!("tcp://127.0.0.1:{port}"))?;
    let mut node = Node::builder()
        .node_id(NODE_ID)
        .cluster_id(CLUSTER)
        .incarnation_id(Uuid::new_v4())
        .listener(address.clone())
        .advertised_listener(address)
        .storage(storage)
        .silent(true)
        .build()
        .await?;
    node.register().await?;
    Ok(node)
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
