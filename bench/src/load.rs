//! Requests to one service: each after the answer to the one before (closed loop), or at a rate, whatever the answers (open
//! loop).
//!
//! In the open loop a request's latency counts from the time at which it was due, not from the time at which a connection
//! was free. So if a server stalls, the requests that come due meanwhile are late, and the figures show it.

mod connection;
mod schedule;

use crate::{latency::Latencies, process::monotonic_ns};
use anyhow::Context as _;
use bytes::Bytes;
pub(crate) use connection::Connection;
pub(crate) use schedule::Schedule;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, mpsc};

/// The body of the n-th request; `None` ends the load.
pub(crate) type Bodies = Arc<dyn Fn(u64) -> Option<Bytes> + Send + Sync>;

/// The addresses and the path of the requests.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) path: &'static str,
}

/// One request and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// The number of the request, from 0.
    pub(crate) number: u64,
    /// When it was due, from the start of the load.
    pub(crate) due: Duration,
    /// From the due time until the answer was read.
    pub(crate) latency: Duration,
    /// Status of the answer; 0 if the connection broke.
    pub(crate) status: u16,
}

/// All requests of one load.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) samples: Vec<Sample>,
    /// When the load began, in nanoseconds of the machine's monotonic clock.
    pub(crate) began_ns: u64,
    pub(crate) elapsed: Duration,
}

impl Target {
    pub(crate) fn new(address: SocketAddr, path: &'static str) -> Self {
        Self { addresses: vec![address], path }
    }

    async fn connect(&self, count: usize) -> anyhow::Result<Vec<Connection>> {
        let mut connections = Vec::with_capacity(count);
        for address in self.addresses.iter().cycle().take(count) {
            connections.push(Connection::open(*address, self.path).await?);
        }
        Ok(connections)
    }
}

impl Measured {
    /// Expects this status in all answers.
    ///
    /// # Errors
    /// When an answer has another status: the figures would not be those of this work.
    pub(crate) fn all_answered(self, status: u16) -> anyhow::Result<Self> {
        match self.samples.iter().find(|sample| sample.status != status) {
            None => Ok(self),
            Some(other) => {
                anyhow::bail!("request {} was answered {}, not {status}", other.number, other.status)
            }
        }
    }

    /// Answers per second.
    #[expect(clippy::cast_precision_loss, reason = "some millions at most")]
    pub(crate) fn rate(&self) -> f64 {
        self.samples.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// (second, milliseconds) of this percentile, for each second in which requests were due.
    pub(crate) fn by_second(&self, percent: f64) -> Vec<(f64, f64)> {
        let mut seconds: BTreeMap<u32, Vec<Duration>> = BTreeMap::new();
        for sample in &self.samples {
            let second = u32::try_from(sample.due.as_secs()).unwrap_or(u32::MAX);
            seconds.entry(second).or_default().push(sample.latency);
        }
        let point =
            |(second, times)| Some((f64::from(second), Latencies::of(times).ok()?.percentile_ms(percent)));
        seconds.into_iter().filter_map(point).collect()
    }

    /// The latency of all requests.
    pub(crate) fn latencies(&self) -> impl Iterator<Item = Duration> {
        self.samples.iter().map(|sample| sample.latency)
    }
}

/// Keeps this many connections busy for this long. Then it waits for the requests in flight.
///
/// # Errors
/// When a connection can't be opened.
pub(crate) async fn closed_loop(
    target: &Target,
    connections: u16,
    length: Duration,
    bodies: &Bodies,
) -> anyhow::Result<Measured> {
    let numbers = Arc::new(AtomicU64::new(0));
    let connections = target.connect(connections.into()).await?;
    let (began, began_ns) = (Instant::now(), monotonic_ns());
    let busy: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (numbers, bodies) = (Arc::clone(&numbers), Arc::clone(bodies));
            tokio::spawn(async move {
                let mut samples = Vec::new();
                while began.elapsed() < length {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let Some(body) = bodies(number) else { break };
                    let due = began.elapsed();
                    let status = connection.post(body).await;
                    samples.push(Sample { number, due, latency: began.elapsed() - due, status });
                }
                samples
            })
        })
        .collect();
    finish(busy, began, began_ns).await
}

/// Sends requests when they are due, over `connections` open connections.
///
/// # Errors
/// When a connection can't be opened.
pub(crate) async fn open_loop(
    target: &Target,
    connections: u16,
    schedule: Schedule,
    bodies: &Bodies,
) -> anyhow::Result<Measured> {
    let (due_now, due) = mpsc::unbounded_channel::<(u64, Duration)>();
    let due = Arc::new(Mutex::new(due));
    let connections = target.connect(connections.into()).await?;
    let (began, began_ns) = (Instant::now(), monotonic_ns());
    let abandoned = Arc::new(AtomicBool::new(false));
    let guard = Abandon(Arc::clone(&abandoned));
    // A thread of its own: the runtime's timers have a resolution of a millisecond, which is more than an answer takes.
    let clock = std::thread::spawn(move || {
        for (number, due) in schedule.moments() {
            std::thread::sleep((began + due).saturating_duration_since(Instant::now()));
            if abandoned.load(Ordering::Relaxed) || due_now.send((number, due)).is_err() {
                return;
            }
        }
    });
    let busy: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (next, bodies) = (Arc::clone(&due), Arc::clone(bodies));
            tokio::spawn(async move {
                let mut samples = Vec::new();
                loop {
                    let Some((number, due)) = next.lock().await.recv().await else { break };
                    let Some(body) = bodies(number) else { break };
                    let status = connection.post(body).await;
                    let latency = began.elapsed().saturating_sub(due);
                    samples.push(Sample { number, due, latency, status });
                }
                samples
            })
        })
        .collect();
    let measured = finish(busy, began, began_ns).await;
    // If the bodies ended before the schedule, the clock's thread is still running.
    drop(guard);
    clock.join().ok().context("the load's clock failed")?;
    measured
}

/// Ends the clock's thread when the load is dropped early.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn finish(
    busy: Vec<tokio::task::JoinHandle<Vec<Sample>>>,
    began: Instant,
    began_ns: u64,
) -> anyhow::Result<Measured> {
    let mut samples = Vec::new();
    for connection in busy {
        samples.extend(connection.await?);
    }
    let elapsed = began.elapsed();
    samples.sort_unstable_by_key(|sample| sample.number);
    Ok(Measured { samples, began_ns, elapsed })
}
