//! The flow: who registers gets exactly one record into the log, who verifies gets a rank from the log.
//!
//! ```text
//! register ─► registration (what next?) ─► publisher ─► log ─► follow ─► view ─► registration …
//! verify   ─► attempt ─► publisher ─► log ─► follow ─► rank ─► compared, or beyond the budget
//! ```
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod identity;
mod register;
mod resend;
mod verify;
mod registration;
mod pending;
mod notice;
mod attempts;
mod view;
mod accept;
mod follow;
mod replay;
mod offsets;

pub use identity::IdSecret;
pub(crate) use pending::Person;
pub use pending::Rules;
pub(crate) use resend::Resent;
pub(crate) use verify::{Proof, Shown, Verdict};

use crate::{
    config::{Config, REPLAY_SLACK},
    metrics::{Metrics, Numbers},
    publisher::{PublishError, Publisher},
};
use accept::Acceptance;
use follow::{BehindLog, Follower};
use jiff::Timestamp;
use shared::{
    account_id::AccountId,
    code_secrets::CodeSecrets,
    event::Event,
    kafka::{KafkaWatch, TopicCheck},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use view::{Standing, View};

/// What is left of `PUBLISH_TIMEOUT` for the answer itself.
const ANSWER_TIME: Duration = Duration::from_millis(100);
/// How long the look at the log's ends may take when numbers are asked for.
const NUMBERS_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two looks at the log's ends.
const END_PAUSE: Duration = Duration::from_secs(1);
/// The same while this replica is not there.
const SHORT_END_PAUSE: Duration = Duration::from_millis(100);
/// How long it may take to get there.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// The signup flow of one replica; cheap to clone, shared by all requests.
#[derive(Clone)]
pub(crate) struct Signup(Arc<Inner>);

struct Inner {
    view: Arc<View>,
    follower: Arc<Follower>,
    publisher: Publisher,
    watch: Arc<KafkaWatch>,
    topics: Arc<TopicCheck>,
    rules: Rules,
    metrics: Arc<Metrics>,
    max_pending: u64,
    timeout: Duration,
    code_secrets: CodeSecrets,
    id_secret: IdSecret,
}

/// Nothing was decided; the same request may succeed later or at another replica.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    /// The replay is not over.
    #[error("this replica is still reading the log")]
    CatchingUp,
    /// Settings or partitions of the topics break a promise.
    #[error("the topics are not as they have to be: {0}")]
    Topics(String),
    /// The event is not known to be in the log.
    #[error(transparent)]
    NotPublished(#[from] PublishError),
    /// The attempt was not read back, or the log's end was not reached, in time.
    #[error(transparent)]
    Behind(#[from] BehindLog),
    /// `MAX_PENDING` registrations wait for their codes.
    #[error("too many registrations are pending")]
    Full,
}

/// How ready this replica is, part by part.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    /// The replay is over.
    pub(crate) caught_up: bool,
    /// All that was in the log five seconds ago has been read.
    pub(crate) at_log_end: bool,
    /// The producer has what its first record needs.
    pub(crate) producer_warm: bool,
    /// The broker answered all clients a moment ago.
    pub(crate) broker_answers: bool,
    /// What is wrong with the topics, if anything is.
    pub(crate) topics: Option<String>,
}

impl Signup {
    /// Makes the flow with its own producer and consumer; both connect by themselves.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(crate) fn new(config: &Config, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let view = Arc::new(View::new(config.rules));
        let watch = KafkaWatch::new(config.kafka.clone());
        let must_be_read = config.rules.window.saturating_add(REPLAY_SLACK);
        let acceptance = Acceptance { window: config.rules.window, id_secret: config.id_secret.clone() };
        let follower = Follower::new(&config.kafka, Arc::clone(&view), acceptance, Arc::clone(&metrics))?;
        Ok(Self(Arc::new(Inner {
            follower: Arc::new(follower),
            view,
            publisher: Publisher::new(&config.kafka, config.publish_timeout)?,
            topics: TopicCheck::new(config.kafka.clone(), Arc::clone(&watch), &offsets::TOPICS, must_be_read),
            watch,
            rules: config.rules,
            metrics,
            max_pending: config.max_pending,
            timeout: config.publish_timeout,
            code_secrets: config.code_secrets.clone(),
            id_secret: config.id_secret.clone(),
        })))
    }

    /// Follows the log until `stop` is cancelled. Blocks its thread.
    pub(crate) fn follow(&self, stop: &CancellationToken) {
        self.0.follower.run(stop);
    }

    /// Waits for the acks of everything handed to the producer. Blocks for at most `timeout`.
    pub(crate) fn flush(&self, timeout: Duration) {
        if let Err(error) = self.0.publisher.flush(timeout) {
            log::warn!("error" = error.to_string().as_str(); "some events have no ack yet; their requests were answered with 503");
        }
    }

    /// Looks at the topics' settings, until `stop` is cancelled.
    pub(crate) async fn watch_topics(self, stop: CancellationToken) {
        Arc::clone(&self.0.topics).run(stop).await;
    }

    /// Goes to the log's end again and again until `stop` is cancelled, so that requests need not, and this replica is ready.
    pub(crate) async fn watch_end(self, stop: CancellationToken) {
        let mut pause = SHORT_END_PAUSE;
        while tokio::time::timeout(pause, stop.cancelled()).await.is_err() {
            if self.0.follower.is_caught_up() && self.0.watch.brokers_answer() {
                let reached = self.0.follower.reach_end(deadline_in(END_TIMEOUT));
                // Who needs to be there and is not goes by itself, and tells.
                let reached = stop.run_until_cancelled(reached).await;
                pause = if matches!(reached, Some(Ok(()))) { END_PAUSE } else { SHORT_END_PAUSE };
            }
        }
    }

    /// Watches whether the broker answers, until `stop` is cancelled.
    pub(crate) async fn watch_clients(self, stop: CancellationToken) {
        let (watch, signup) = (Arc::clone(&self.0.watch), self);
        let reported = AtomicBool::new(false);
        let ask_all = move |watch: &KafkaWatch| {
            if let Some(problem) = signup.moved_partitions()
                && !reported.swap(true, Ordering::Relaxed)
            {
                log::error!("not ready, because {problem}");
            }
            signup.0.publisher.broker_answers(watch) & signup.0.follower.broker_answers(watch)
        };
        watch.run(ask_all, stop).await;
    }

    /// How ready this replica is.
    #[must_use]
    pub(crate) fn readiness(&self) -> Readiness {
        Readiness {
            caught_up: self.0.follower.is_caught_up(),
            at_log_end: self.0.follower.is_at_end(Instant::now()),
            producer_warm: self.0.publisher.is_warm(),
            broker_answers: self.0.watch.brokers_answer(),
            topics: self.topic_problem(),
        }
    }

    /// Waits until `stop` is cancelled or the producer is broken for good.
    ///
    /// # Errors
    /// What broke it: only a restart helps.
    pub(crate) async fn watch_producer(self, stop: CancellationToken) -> Result<(), String> {
        self.0.publisher.watch(&stop).await
    }

    /// What the parts know of themselves.
    pub(crate) async fn numbers(&self) -> Numbers {
        let lag = self.0.follower.lag(deadline_in(NUMBERS_TIMEOUT)).await;
        let (replayed, replay_total) = self.0.follower.progress();
        Numbers {
            ready: self.readiness().is_ready(),
            registrations: self.0.view.registrations(),
            registrations_limit: self.0.max_pending,
            verified: self.0.view.verified(),
            caught_up: self.0.follower.is_caught_up(),
            topics_fit: self.moved_partitions().or_else(|| self.0.topics.broken_promises()).is_none(),
            replayed,
            replay_total,
            lag,
        }
    }

    /// Whether this replica may answer: it knows what the log says, and the log keeps what it is to keep.
    fn may_answer(&self) -> Result<(), Unavailable> {
        if !self.0.follower.is_caught_up() {
            return Err(Unavailable::CatchingUp);
        }
        self.topic_problem().map_or(Ok(()), |problem| Err(Unavailable::Topics(problem)))
    }

    fn topic_problem(&self) -> Option<String> {
        self.moved_partitions().or_else(|| self.0.topics.problem())
    }

    fn moved_partitions(&self) -> Option<String> {
        self.0.follower.moved_partitions(&self.0.watch)
    }

    /// What is known of an id. That it has no code to try is certain only at the end of the log as of now: also when
    /// something is known of it, as attempts may be read before the registration that they belong to.
    async fn standing(&self, id: AccountId, deadline: Instant) -> Result<Standing, Unavailable> {
        let known = self.0.view.standing(id);
        if known.registration.as_ref().is_some_and(|registration| registration.has_code(now())) {
            return Ok(known);
        }
        self.0.follower.reach_end(deadline).await?;
        Ok(self.0.view.standing(id))
    }

    /// What is known of an id that is to get another mail. A new code is begun only at the end of the log as of now: with the
    /// last attempt at the old one somebody may have verified at another replica.
    async fn at_end_if_used_up(
        &self,
        id: AccountId,
        known: Standing,
        deadline: Instant,
    ) -> Result<Standing, Unavailable> {
        if !known.registration.as_ref().is_some_and(|registration| registration.is_used_up(&self.0.rules)) {
            return Ok(known);
        }
        self.0.follower.reach_end(deadline).await?;
        Ok(self.0.view.standing(id))
    }

    /// Writes an event and, once the broker has acknowledged it, takes it in.
    async fn publish(&self, event: Event, deadline: Instant) -> Result<(), Unavailable> {
        let written = self.0.publisher.publish(&event, deadline).await.inspect_err(|_| {
            self.0.metrics.publish_failures.inc();
        })?;
        log::info!(
            "request.id" = event.request_id().as_str(), "event.type" = event.kind().name(),
            "event.id" = event.event_id().to_string().as_str();
            "event published"
        );
        let event_id = event.event_id();
        self.0.view.apply_own(event);
        self.0.follower.note_own(written, event_id);
        Ok(())
    }

    fn deadline(&self) -> Instant {
        deadline_in(self.0.timeout.saturating_sub(ANSWER_TIME))
    }
}

fn deadline_in(time: Duration) -> Instant {
    let now = Instant::now();
    // Only a time-out of billions of years has no end.
    now.checked_add(time).unwrap_or(now)
}

/// A moment so much later, or the last one that there is: what a record says may lie anywhere.
fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Now, in the milliseconds that events have.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

impl Readiness {
    /// Whether requests should be sent here.
    #[must_use]
    pub(crate) const fn is_ready(&self) -> bool {
        self.caught_up
            && self.at_log_end
            && self.producer_warm
            && self.broker_answers
            && self.topics.is_none()
    }
}

#[cfg(test)]
mod tests;
