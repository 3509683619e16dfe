//! The log as this process knows it: one view, and how fresh it is.
//!
//! ```text
//! log ──► follow ──► reading ──► accept ──► view     replay: its progress
//!                       └── progress, end: is the view fresh enough for a decision?
//! ```

mod registration;
mod tags;
mod view;
mod accept;
mod reading;
mod progress;
mod replay;
mod follow;

use crate::{
    identity::IdSecret,
    log_ends,
    metrics::Metrics,
    outside::Outside,
    publisher::Written,
    rules::{Freshness, Question, Rules},
};
pub(crate) use accept::Acceptance;
#[cfg(test)]
pub(crate) use accept::Accepted;
use contract::{event::EventId, registration_id::RegistrationId};
pub(crate) use follow::Follower;
pub use reading::Record;
pub(crate) use reading::{BehindLog, Reading};
pub(crate) use registration::Registration;
use runtime::kafka::{KafkaConfig, KafkaWatch, TopicCheck};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
pub(crate) use tags::Mailbox;
use tokio_util::sync::CancellationToken;
pub(crate) use view::{Room, View};

/// The pause between two checks that the view is at the log-end offset.
const END_PAUSE: Duration = Duration::from_secs(1);
/// The same pause while the view is behind.
const SHORT_END_PAUSE: Duration = Duration::from_millis(100);
/// How long one check may take to reach the log-end offset.
pub(crate) const END_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest time that a replica reads back: attempts are kept for a day, and older ones no longer count.
const LONGEST_LOOK_BACK: Duration = Duration::from_secs(24 * 60 * 60);

/// The log as one process knows it; cheap to share.
pub(crate) struct Replica {
    view: Arc<View>,
    reading: Arc<Reading>,
    watch: Arc<KafkaWatch>,
    topics: Arc<TopicCheck>,
    moved_is_reported: AtomicBool,
}

impl Replica {
    /// Makes the replica; a [`Follower`] reads the log into it.
    pub(crate) fn new(
        kafka: &KafkaConfig,
        rules: Rules,
        id_secret: IdSecret,
        max_pending: u64,
        metrics: Arc<Metrics>,
        outside: Outside,
    ) -> Self {
        let view = Arc::new(View::new(rules));
        let watch = KafkaWatch::new(kafka.clone());
        let must_be_read = rules.link_ttl.max(rules.window.saturating_mul(3)).min(LONGEST_LOOK_BACK);
        let acceptance = Acceptance { rules, id_secret };
        let reading = Reading::new(Arc::clone(&view), acceptance, max_pending, metrics, outside);
        Self {
            view,
            reading: Arc::new(reading),
            topics: TopicCheck::new(kafka.clone(), Arc::clone(&watch), &log_ends::TOPICS, must_be_read),
            watch,
            moved_is_reported: AtomicBool::new(false),
        }
    }

    /// The view, fresh or stale.
    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The part that takes the records of the log in.
    pub(crate) fn reading(&self) -> &Arc<Reading> {
        &self.reading
    }

    /// The registration with this id. Before it answers that there is none, it reads to the present log-end offset.
    ///
    /// # Errors
    /// [`BehindLog`] when `deadline` passes first.
    pub(crate) async fn registration(
        &self,
        id: RegistrationId,
        deadline: Instant,
    ) -> Result<Option<Registration>, BehindLog> {
        if let Some(known) = self.view.registration(id, self.reading.outside.now()) {
            return Ok(Some(known));
        }
        self.reach(Question::IsUnknown, deadline).await?;
        Ok(self.view.registration(id, self.reading.outside.now()))
    }

    /// Waits until the view is fresh enough for this decision.
    ///
    /// # Errors
    /// [`BehindLog`] when `deadline` passes first.
    pub(crate) async fn reach(&self, question: Question, deadline: Instant) -> Result<(), BehindLog> {
        self.reading.reach(Freshness::of(question), deadline).await
    }

    /// Notes a record of this process that is in the view already.
    pub(crate) fn note_own(&self, written: Written, event: EventId) {
        self.reading.note_own(written, event);
    }

    /// Checks the topics' settings until `stop` is cancelled.
    pub(crate) async fn watch_topics(&self, stop: CancellationToken) {
        Arc::clone(&self.topics).run(stop).await;
    }

    /// Checks again and again, until `stop` is cancelled, that the view is at the
    /// log-end offset. So this replica is ready, and requests need not wait for that.
    pub(crate) async fn watch_end(&self, stop: CancellationToken) {
        let mut pause = SHORT_END_PAUSE;
        while tokio::time::timeout(pause, stop.cancelled()).await.is_err() {
            if self.reading.is_caught_up() && self.watch.brokers_answer() {
                let deadline = self.reading.outside.deadline_in(END_TIMEOUT);
                let reached = self.reading.reach(Freshness::END, deadline);
                // A failure is not reported: a request that needs the log-end
                // offset waits for it itself, and reports why it can't.
                let reached = stop.run_until_cancelled(reached).await;
                pause = if matches!(reached, Some(Ok(()))) { END_PAUSE } else { SHORT_END_PAUSE };
            }
        }
    }

    /// Whether the topics' settings have been checked, or need not be.
    pub(crate) fn has_checked_topics(&self) -> bool {
        self.topics.has_looked()
    }

    /// Watches until `stop` is cancelled whether the brokers answer all clients, which `ask` asks.
    pub(crate) async fn watch_clients(
        self: Arc<Self>,
        ask: impl Fn(&KafkaWatch) -> bool + Send + Sync + 'static,
        stop: CancellationToken,
    ) {
        let (watch, replica) = (Arc::clone(&self.watch), self);
        let ask_all = move |watch: &KafkaWatch| {
            if let Some(problem) = replica.moved_partitions()
                && !replica.moved_is_reported.swap(true, Ordering::Relaxed)
            {
                log::error!("not ready, because {problem}");
            }
            ask(watch)
        };
        watch.run(ask_all, stop).await;
    }

    /// Whether the replay is over.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.reading.is_caught_up()
    }

    /// Whether everything that was in the log five seconds ago has been read, and there is room for more.
    pub(crate) fn is_at_end(&self) -> bool {
        self.reading.is_at_end()
    }

    /// Whether reading registrations is paused, because there are too many.
    pub(crate) fn holds_too_many(&self) -> bool {
        self.reading.holds_too_many()
    }

    /// Whether the brokers answered all clients a moment ago.
    pub(crate) fn brokers_answer(&self) -> bool {
        self.watch.brokers_answer()
    }

    /// What is wrong with the topics, if anything is.
    pub(crate) fn topic_problem(&self) -> Option<String> {
        self.moved_partitions().or_else(|| self.topics.problem())
    }

    /// Whether no topic is known to break a promise.
    pub(crate) fn topics_fit(&self) -> bool {
        self.moved_partitions().or_else(|| self.topics.broken_promises()).is_none()
    }

    /// How many records of the log are not in the view; `None` when the log-end offsets are not known by the deadline.
    pub(crate) async fn lag(&self, deadline: Instant) -> Option<u64> {
        self.reading.lag(deadline).await
    }

    /// How many records the replay has read, and how many it has to read.
    pub(crate) fn progress(&self) -> (u64, u64) {
        self.reading.replayed()
    }

    fn moved_partitions(&self) -> Option<String> {
        self.reading.moved_partitions(&self.watch)
    }
}
