//! A broker that speaks Kafka's protocol, inside this process: one node, one replica, on 127.0.0.1.
//!
//! ```text
//!   mod          start and stop, the folder's lock, retention and compaction by the clock
//!   connection   frames in, frames out
//!   requests     the supported requests, and the function that answers each
//!   lengths      checks the lengths of lists in a request
//!   produce, fetch, list_offsets                records
//!   metadata, topic_admin, configs              topics
//!   consumers, group_admin                      groups as requests see them
//!   group        one group's members and generations
//!   offsets      the committed offsets of groups, on disk
//!   topics       all topics, on disk
//!   log          one partition, on disk
//! ```
//!
//! Each [`Broker`] has a runtime of its own with two threads. They read and write files, and tests call librdkafka's
//! blocking functions on their only thread; on a shared runtime one would starve the other. Its own runtime also makes
//! [`Broker::stop`] complete: when it returns, every connection and file is closed.
//!
//! Differences from Kafka: no transactions, no groups of the newer protocol, no automatic creation of topics, no security.
//! Compressed batches are not compacted, and a search for a time does not decode them. `acks=all` means one replica.

mod connection;
mod requests;
mod lengths;
mod produce;
mod fetch;
mod list_offsets;
mod metadata;
mod topic_admin;
mod configs;
mod consumers;
mod group_admin;
mod group;
mod offsets;
mod topics;
mod log;

use crate::{
    broker::{consumers::Groups, offsets::Offsets, topics::Topics},
    ports,
};
use anyhow::{Context as _, bail, ensure};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::{Instant, sleep},
};

const HOST: &str = "127.0.0.1";
const CLUSTER: &str = "sandbox";
/// Locked by the process that uses a folder.
const LOCK_FILE: &str = "lock";
/// The database of an earlier broker.
const OLD_DATABASE: &str = "broker.db";
/// Kafka waits longer (`log.cleaner.backoff.ms`). Here a check that finds nothing to do costs a few comparisons.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(1);
/// Kafka's `log.retention.check.interval.ms`, and its delay of the first check.
const RETENTION_INTERVAL: Duration = Duration::from_mins(5);
const FIRST_RETENTION: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long [`Broker::stop`] waits for a running compaction.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the records are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Storage {
    /// In a temporary directory, which is deleted with the broker.
    Temporary,
    /// In this directory, which is created when missing. Acknowledged records survive any end of the process, but perhaps
    /// not a power cut.
    Directory(PathBuf),
}

/// A running broker. Dropping it also stops it, without waiting.
#[derive(Debug)]
pub struct Broker {
    port: u16,
    runtime: Option<Runtime>,
    /// Removed on drop.
    _temporary: Option<TempDir>,
}

/// What all connections share.
struct Node {
    port: u16,
    topics: Topics,
    offsets: Offsets,
    groups: Groups,
    _lock: File,
}

impl Broker {
    /// Starts a broker on 127.0.0.1 (port 0: any free one), and returns when it accepts connections.
    ///
    /// # Errors
    /// The port is taken; or the directory can't be written, is used by another broker, or has data of another format.
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
            let node = open(&directory, port)
                .with_context(|| format!("cannot use {} for the broker", directory.display()))?;
            tokio::spawn(serve(listener, Arc::new(node)));
            Ok(port)
        };
        runtime.spawn(start).await?
    }

    /// The address for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("{HOST}:{}", self.port)
    }

    /// Ends all connections and closes all files. Afterwards the port is free and the directory can be opened.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let stopped = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_TIMEOUT)).await;
            if let Err(error) = stopped {
                ::log::warn!("the broker did not stop gracefully: {error}");
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

impl Drop for Node {
    /// Syncs everything, so that a graceful stop leaves nothing to the page cache.
    fn drop(&mut self) {
        for (name, topic) in self.topics.all() {
            for partition in topic.partitions() {
                if let Err(error) = partition.log().sync() {
                    ::log::warn!("the broker can't sync {name}: {error}");
                }
            }
        }
    }
}

/// Whether a broker runs on this directory.
pub fn is_in_use(directory: &Path) -> bool {
    let lock = File::open(directory.join(LOCK_FILE));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Serves until it is dropped; all connections end with it.
async fn serve(listener: TcpListener, node: Arc<Node>) {
    let mut tasks = JoinSet::new();
    let expiring = node.clone();
    tasks.spawn(async move { expiring.groups.expire().await });
    tasks.spawn(maintain(node.clone()));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tasks.spawn(converse(stream, node.clone()))),
                Err(error) => {
                    ::log::warn!("cannot accept a connection to the broker: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = tasks.join_next() => if let Err(error) = ended {
                ::log::error!("a connection to the broker ended in a bug: {error}");
            },
        }
    }
}

async fn converse(stream: TcpStream, node: Arc<Node>) {
    if let Err(error) = connection::converse(stream, node).await {
        ::log::debug!("a connection to the broker ended: {error:#}");
    }
}

/// Runs retention and compaction at their intervals, one after the other.
async fn maintain(node: Arc<Node>) {
    let mut retention = Instant::now() + FIRST_RETENTION;
    loop {
        sleep(COMPACTION_INTERVAL).await;
        let shortens = Instant::now() >= retention;
        if shortens {
            retention = Instant::now() + RETENTION_INTERVAL;
        }
        let node = node.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || maintain_all(&node, shortens)).await {
            ::log::error!("retention and compaction ended in a bug: {error}");
        }
    }
}

fn maintain_all(node: &Node, shortens: bool) {
    for (name, topic) in node.topics.all() {
        let settings = topic.settings();
        for partition in topic.partitions() {
            let shortened = if shortens { partition.shorten(now_ms(), &settings) } else { Ok(()) };
            if let Err(error) = shortened.and_then(|()| partition.compact(now_ms(), &settings)) {
                ::log::warn!("retention and compaction of {name} failed: {error}");
            }
        }
    }
}

fn open(directory: &Path, port: u16) -> anyhow::Result<Node> {
    fs::create_dir_all(directory)?;
    ensure!(
        !directory.join(OLD_DATABASE).exists(),
        "{OLD_DATABASE} in it has the records of the broker that was here before, in a format that this one can't \
         read. Nothing was changed: move the folder away, as `cargo run -- --fresh` does, or use another one"
    );
    let lock_file = directory.join(LOCK_FILE);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_file);
    let lock = lock.with_context(|| format!("cannot write {}", lock_file.display()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            bail!("another process uses it: end that one, or use another folder")
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    Ok(Node {
        port,
        topics: Topics::open(directory)?,
        offsets: Offsets::open(directory).context("cannot open the offsets that groups have committed")?,
        groups: Groups::default(),
        _lock: lock,
    })
}

/// The system clock, in milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
