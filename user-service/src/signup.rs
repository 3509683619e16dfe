//! The verbs. Each reads the view, decides by a pure rule, publishes, and answers.
//!
//! ```text
//! register, resend ─► schedule: which place, which mail?  ─► one record in user_account_created
//! verify           ─► attempt in the log ─► read back ─► compared, or beyond a budget ─► user_account_verified
//! ```
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod register;
mod resend;
mod verify;
mod show;
mod forget;
mod desk;

use desk::Desk;
pub(crate) use forget::forget;
pub(crate) use register::Registered;
pub(crate) use resend::{Resent, ResentFor};
pub(crate) use show::Shown;
pub(crate) use verify::{Proof, Verdict};

use crate::{
    config::Config,
    metrics::{Metrics, Numbers},
    outside::Outside,
    publisher::{PublishError, Written},
    replica::{BehindLog, Replica},
    wrong_codes::WrongCodes,
};
use contract::{event::Event, topic::Topic, trace_context::TraceContext};
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The part of `PUBLISH_TIMEOUT` that is left for the answer itself.
const ANSWER_TIME: Duration = Duration::from_millis(100);
/// How long the metrics wait for the log-end offsets.
const NUMBERS_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a replica is not ready after its clock was found to be wrong.
const CLOCK_DOUBT: Duration = Duration::from_secs(60);

/// How the time of an event compares with that of its record, which is the broker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClocksAgree {
    Yes,
    /// The event's time is too late.
    Ahead,
    /// The event's time is too early.
    Behind,
}

impl ClocksAgree {
    fn of(stamped_at: Option<Timestamp>, occurred_at: Timestamp, tolerance: Duration) -> Self {
        let behind = stamped_at.map(|at| at.duration_since(occurred_at)).unwrap_or_default();
        match behind.unsigned_abs() > tolerance {
            false => Self::Yes,
            true if behind.is_negative() => Self::Ahead,
            true => Self::Behind,
        }
    }
}

/// The signup flow of one replica; cheap to clone, shared by all requests.
#[derive(Clone)]
pub(crate) struct Signup(Arc<Inner>);

struct Inner {
    desk: Desk,
    replica: Arc<Replica>,
    outside: Outside,
    metrics: Arc<Metrics>,
    /// `None`: wrong codes are not limited.
    wrong_codes: Option<WrongCodes>,
    /// When the clock of this process was found to be wrong, unless it was right since.
    clock_was_wrong_at: Mutex<Option<Instant>>,
}

/// Why a request is answered with 503; it may succeed later or at another replica.
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
    /// The clocks of the broker and of this process differ by more than services tolerate.
    #[error(
        "the clock of this machine and that of the broker differ by more than MAX_CLOCK_SKEW and PUBLISH_TIMEOUT"
    )]
    WrongClock,
    /// The attempt was not read back, or the log-end offset was not reached, in time.
    #[error(transparent)]
    Behind(#[from] BehindLog),
    /// `MAX_PENDING` registrations are held.
    #[error("MAX_PENDING registrations are held")]
    Full,
}

/// The readiness of this replica, part by part.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    /// The replay is over.
    pub(crate) caught_up: bool,
    /// All records that were in the log five seconds ago have been read.
    pub(crate) at_log_end: bool,
    /// The producer has its id. Without it the first record would wait.
    pub(crate) producer_warm: bool,
    /// The broker answered all clients a moment ago.
    pub(crate) broker_answers: bool,
    /// The clock of this process was not found to be wrong lately.
    pub(crate) clock_agrees: bool,
    /// What is wrong with the topics, if anything is.
    pub(crate) topics: Option<String>,
}

impl Signup {
    /// Makes the flow of a replica that has read nothing.
    pub(crate) fn new(config: &Config, metrics: Arc<Metrics>, outside: Outside) -> Self {
        let (rules, id_secret, max_pending) = (config.rules, config.id_secret.clone(), config.max_pending);
        let (known, counted) = (outside.clone(), Arc::clone(&metrics));
        let replica = Replica::new(&config.kafka, rules, id_secret.clone(), max_pending, counted, known);
        let desk = Desk {
            view: Arc::clone(replica.view()),
            rules,
            max_pending,
            code_secrets: config.code_secrets.clone(),
            id_secret,
        };
        Self(Arc::new(Inner {
            desk,
            replica: Arc::new(replica),
            outside,
            metrics,
            wrong_codes: config.wrong_codes.map(WrongCodes::new),
            clock_was_wrong_at: Mutex::default(),
        }))
    }

    /// The view of the log, and its freshness.
    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.0.replica
    }

    /// Forgets clients that have tried no wrong codes lately.
    pub(crate) fn tidy(&self) {
        if let Some(wrong_codes) = &self.0.wrong_codes {
            wrong_codes.tidy(self.0.outside.instant());
        }
    }

    /// The readiness of this replica.
    #[must_use]
    pub(crate) fn readiness(&self) -> Readiness {
        let replica = &self.0.replica;
        Readiness {
            caught_up: replica.is_caught_up(),
            at_log_end: replica.is_at_end(),
            producer_warm: self.0.outside.is_warm(),
            broker_answers: replica.brokers_answer(),
            clock_agrees: self.clock_agrees(),
            topics: replica.topic_problem(),
        }
    }

    /// Whether the clock of this process was not found to be wrong lately. Only a record can show that it is
    /// right again. So after a while requests are let in again; the time of each of their records is checked.
    fn clock_agrees(&self) -> bool {
        let wrong_at = *self.0.clock_was_wrong_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.0.outside.instant();
        wrong_at.is_none_or(|at| now.saturating_duration_since(at) >= CLOCK_DOUBT)
    }

    /// The values of the gauges.
    pub(crate) async fn numbers(&self) -> Numbers {
        let replica = &self.0.replica;
        let lag = replica.lag(self.0.outside.deadline_in(NUMBERS_TIMEOUT)).await;
        let (replayed, replay_total) = replica.progress();
        Numbers {
            ready: self.readiness().is_ready(),
            registrations: replica.view().held(),
            registrations_limit: self.0.desk.max_pending,
            verified: replica.view().verified(),
            caught_up: replica.is_caught_up(),
            topics_fit: replica.topics_fit(),
            replayed,
            replay_total,
            lag,
        }
    }

    /// Whether this replica may answer: the replay is over, it reads registrations, and the topics are as they must be.
    fn may_answer(&self) -> Result<(), Unavailable> {
        let replica = &self.0.replica;
        if !replica.is_caught_up() {
            return Err(Unavailable::CatchingUp);
        }
        if replica.holds_too_many() {
            return Err(Unavailable::Full);
        }
        replica.topic_problem().map_or(Ok(()), |problem| Err(Unavailable::Topics(problem)))
    }

    /// Writes an event as part of a trace. `Ok`: the broker has acknowledged it, and its time is one that all services accept.
    async fn publish(
        &self,
        event: &Event,
        trace: &TraceContext,
        deadline: Instant,
    ) -> Result<Written, Unavailable> {
        let written = self.0.outside.publish(event, trace, deadline).await.inspect_err(|_| {
            self.0.metrics.publish_failures.inc();
        })?;
        let rules = &self.0.desk.rules;
        let clocks = ClocksAgree::of(written.stamped_at, event.occurred_at(), rules.clock_tolerance());
        let wrong_at = (clocks != ClocksAgree::Yes).then(|| self.0.outside.instant());
        *self.0.clock_was_wrong_at.lock().unwrap_or_else(PoisonError::into_inner) = wrong_at;
        // All services accept a verification that is older than its record.
        if clocks == ClocksAgree::Ahead || (clocks == ClocksAgree::Behind && written.topic != Topic::Verified)
        {
            return Err(Unavailable::WrongClock);
        }
        log::info!(
            "request.id" = event.request_id().as_str(), "trace.id" = trace.trace_id().to_string().as_str(),
            "event.type" = event.kind().name(), "event.id" = event.event_id().to_string().as_str();
            "event published"
        );
        Ok(written)
    }

    fn deadline(&self) -> Instant {
        self.0.outside.deadline_in(self.0.desk.rules.publish_timeout.saturating_sub(ANSWER_TIME))
    }
}

impl Readiness {
    /// Whether requests should be sent here.
    #[must_use]
    pub(crate) const fn is_ready(&self) -> bool {
        self.caught_up
            && self.at_log_end
            && self.producer_warm
            && self.broker_answers
            && self.clock_agrees
            && self.topics.is_none()
    }
}

#[cfg(test)]
mod tests;
