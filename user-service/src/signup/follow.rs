//! From the log into the view: a replay of the last window, then the tail.
//!
//! Every replica reads all partitions by itself (`assign`, nothing is ever committed). Until the replay has reached
//! the ends that the partitions had when it began, the replica knows less than the log and takes no requests.

use super::{
    offsets::{Inquirer, Offsets, Partition},
    replay::Replay,
    view::View,
};
use crate::config::REPLAY_SLACK;
use jiff::Timestamp;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};
use shared::{
    event::{Event, header},
    kafka::{ClientLog, KafkaConfig, KafkaWatch},
    topic::Topic,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

/// How soon the thread notices that it should end.
const POLL: Duration = Duration::from_millis(100);

/// Reads the log into a view.
pub(crate) struct Follower {
    consumer: BaseConsumer<ClientLog>,
    inquirer: Inquirer,
    view: Arc<View>,
    window: Duration,
    /// The next offset of each partition, once they are assigned.
    next: OnceLock<HashMap<Partition, AtomicI64>>,
    caught_up: AtomicBool,
    replayed: AtomicU64,
    replay_total: AtomicU64,
    moved: Notify,
    ends: Mutex<Option<(Instant, Arc<Offsets>)>>,
}

/// The log's end could not be learnt or reached in time.
#[derive(Debug, thiserror::Error)]
#[error("this replica has not reached the end of the log in time")]
pub(crate) struct BehindLog;

impl Follower {
    /// Makes the follower; `run` makes it read.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(crate) fn new(kafka: &KafkaConfig, view: Arc<View>, window: Duration) -> Result<Self, KafkaError> {
        let mut settings = kafka.client();
        settings
            // `assign` needs a group id; nothing is committed under it.
            .set("group.id", "user-service-view")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            // Bounds what a replay keeps in memory ahead of the view.
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.queue.backoff.ms", "20")
            // Kafka answers a waiting fetch as soon as there is a record; brokers that look again only after a while
            // would delay every verification by that while.
            .set("fetch.wait.max.ms", "100");
        Ok(Self {
            consumer: settings.create_with_context(ClientLog::default())?,
            inquirer: Inquirer::new(&settings)?,
            view,
            window,
            next: OnceLock::new(),
            caught_up: AtomicBool::new(false),
            replayed: AtomicU64::new(0),
            replay_total: AtomicU64::new(0),
            moved: Notify::new(),
            ends: Mutex::new(None),
        })
    }

    /// Whether the replay is over.
    #[must_use]
    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Reads until `stop` is cancelled. Blocks its thread.
    pub(crate) fn run(&self, stop: &CancellationToken) {
        let Some(mut replay) = self.begin(stop) else { return };
        self.replay_total.store(replay.total.unsigned_abs(), Ordering::Relaxed);
        while !stop.is_cancelled() {
            match self.consumer.poll(POLL) {
                Some(Ok(record)) => {
                    self.take(&record);
                    replay.advance(&record);
                    self.replayed.store(replay.read.unsigned_abs(), Ordering::Relaxed);
                }
                // The client's context reports what is wrong with the connection; it recovers by itself.
                Some(Err(error)) => {
                    log::debug!("error" = error.to_string().as_str(); "nothing read from the log")
                }
                None => {}
            }
            if !self.is_caught_up() && replay.is_over() {
                replay.report_end();
                self.caught_up.store(true, Ordering::Release);
            }
        }
    }

    /// Whether the broker answers both clients. Blocks for a second each at most.
    pub(crate) fn broker_answers(&self, watch: &KafkaWatch) -> bool {
        watch.ask(self.consumer.client()) & self.inquirer.broker_answers(watch)
    }

    /// How many records the replay has read, and of how many.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.replayed.load(Ordering::Relaxed), self.replay_total.load(Ordering::Relaxed))
    }

    /// How many records of the log are not in the view; `None` when the log's ends are not known by the deadline.
    pub(crate) async fn lag(self: &Arc<Self>, deadline: Instant) -> Option<u64> {
        let ends =
            tokio::time::timeout_at(deadline.into(), self.ends_since(Instant::now())).await.ok()?.ok()?;
        let next = self.next.get()?;
        let behind = |(partition, end): (&Partition, &i64)| {
            next.get(partition).map_or(0, |next| (end - next.load(Ordering::Acquire)).max(0).unsigned_abs())
        };
        Some(ends.iter().map(behind).sum())
    }

    /// Waits until this replica has read what was in the log when this was called.
    ///
    /// # Errors
    /// [`BehindLog`] when `deadline` passes first.
    pub(crate) async fn reach_end(self: &Arc<Self>, deadline: Instant) -> Result<(), BehindLog> {
        tokio::time::timeout_at(deadline.into(), async {
            let ends = self.ends_since(Instant::now()).await?;
            loop {
                let moved = self.moved.notified();
                tokio::pin!(moved);
                // From here on no progress is missed, also none between the check and the wait.
                moved.as_mut().enable();
                if self.has_reached(&ends) {
                    return Ok(());
                }
                moved.await;
            }
        })
        .await
        .map_err(|_| BehindLog)?
    }

    /// The partitions' ends, asked for at `since` or later. One query serves all who wait for it.
    async fn ends_since(self: &Arc<Self>, since: Instant) -> Result<Arc<Offsets>, BehindLog> {
        let mut known = self.ends.lock().await;
        if let Some((_, ends)) = known.as_ref().filter(|(asked, _)| *asked >= since) {
            return Ok(Arc::clone(ends));
        }
        let asked = Instant::now();
        let follower = Arc::clone(self);
        let ends = tokio::task::spawn_blocking(move || {
            follower.inquirer.ends(follower.next.get().into_iter().flat_map(HashMap::keys))
        })
        .await
        .map_err(|_| BehindLog)?
        .inspect_err(
            |error| log::warn!("error" = error.to_string().as_str(); "the ends of the log are not known"),
        )
        .map_err(|_| BehindLog)?;
        let ends = Arc::new(ends);
        *known = Some((asked, Arc::clone(&ends)));
        Ok(ends)
    }

    fn has_reached(&self, ends: &Offsets) -> bool {
        self.next.get().is_some_and(|next| {
            ends.iter().all(|(partition, end)| {
                next.get(partition).is_some_and(|offset| offset.load(Ordering::Acquire) >= *end)
            })
        })
    }

    fn begin(&self, stop: &CancellationToken) -> Option<Replay> {
        let mut pause = Duration::from_millis(50);
        while !stop.is_cancelled() {
            match self.assign() {
                Ok(replay) => return Some(replay),
                Err(error) => {
                    log::info!("error" = error.to_string().as_str(); "the log can't be read yet; trying again")
                }
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(500));
        }
        None
    }

    /// Assigns all partitions, each from where the last window begins.
    fn assign(&self) -> KafkaResult<Replay> {
        let (start, end) = self.inquirer.span(Timestamp::now() - self.window - REPLAY_SLACK)?;
        let mut assignment = TopicPartitionList::new();
        for ((topic, partition), offset) in &start {
            assignment.add_partition_offset(topic.name(), *partition, Offset::Offset(*offset))?;
        }
        // Before the assignment: the first record may arrive at once.
        let next = start.iter().map(|(partition, offset)| (*partition, AtomicI64::new(*offset))).collect();
        let _ = self.next.set(next);
        self.consumer.assign(&assignment)?;
        Ok(Replay::new(&start, end))
    }

    fn take(&self, record: &BorrowedMessage<'_>) {
        let Some(topic) = Topic::from_name(record.topic()) else { return };
        match record.payload() {
            Some(payload) => match Event::decode(header(record.headers(), "ce_type"), payload) {
                Ok(event) => self.view.apply(event),
                Err(error) => log::warn!(
                    "kafka.topic" = record.topic(), "kafka.partition" = record.partition(),
                    "kafka.offset" = record.offset(), "error" = error.to_string().as_str();
                    "a record is not understood and is passed over"
                ),
            },
            None if topic == Topic::Verified => self.forget(record),
            None => {}
        }
        if let Some(next) = self.next.get().and_then(|next| next.get(&(topic, record.partition()))) {
            next.store(record.offset() + 1, Ordering::Release);
        }
        self.moved.notify_waiters();
    }

    fn forget(&self, record: &BorrowedMessage<'_>) {
        let id = record.key().and_then(|key| std::str::from_utf8(key).ok()).and_then(|key| key.parse().ok());
        let written_at =
            record.timestamp().to_millis().and_then(|time| Timestamp::from_millisecond(time).ok());
        if let Some(id) = id {
            self.view.forget(id, written_at.unwrap_or_else(Timestamp::now));
        }
    }
}
