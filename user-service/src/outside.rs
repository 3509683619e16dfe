//! What the verbs and the view get from outside: acks, log-end offsets, the time, random ids.
//!
//! They get these from here alone. So a test or the simulator can decide what happens next: when an ack comes, what the clock
//! shows, which id a registration gets. Records that are read from the log don't come this way: the reader of
//! the log hands them to `Reading::take`.

use crate::{
    log_ends::{Inquirer, Offsets, Partition},
    publisher::{PublishError, Publisher, Written},
};
use contract::{event::Event, registration_id::RegistrationId, trace_context::TraceContext};
use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The outside of one replica; cheap to clone.
#[derive(Clone)]
pub(crate) enum Outside {
    /// Kafka, and the clock and the random numbers of this machine.
    Real { publisher: Arc<Publisher>, inquirer: Arc<Inquirer> },
    /// A caller decides everything.
    ByHand(Arc<by_hand::ByHand>),
}

impl Outside {
    /// Now, in whole milliseconds, as events have it.
    pub(crate) fn now(&self) -> Timestamp {
        let now = match self {
            Self::Real { .. } => Timestamp::now(),
            Self::ByHand(hand) => hand.now(),
        };
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Now, by the monotonic clock.
    pub(crate) fn instant(&self) -> Instant {
        match self {
            Self::Real { .. } => Instant::now(),
            Self::ByHand(hand) => hand.instant(),
        }
    }

    /// The moment at which this time from now is over.
    pub(crate) fn deadline_in(&self, time: Duration) -> Instant {
        let now = self.instant();
        // Only a time-out of billions of years can't be added.
        now.checked_add(time).unwrap_or(now)
    }

    /// A random id for a new registration.
    pub(crate) fn registration_id(&self) -> RegistrationId {
        match self {
            Self::Real { .. } => RegistrationId::random(),
            Self::ByHand(hand) => hand.registration_id(),
        }
    }

    /// The result of `work`; `None` if `deadline` passes first.
    pub(crate) async fn within<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
        match self {
            Self::Real { .. } => tokio::time::timeout_at(deadline.into(), work).await.ok(),
            Self::ByHand(hand) => hand.within(deadline, work).await,
        }
    }

    /// Writes an event as part of a trace, waits for the broker's ack until `deadline`, and returns the place of the record.
    ///
    /// # Errors
    /// As for [`Publisher::publish`].
    pub(crate) async fn publish(
        &self,
        event: &Event,
        trace: &TraceContext,
        deadline: Instant,
    ) -> Result<Written, PublishError> {
        match self {
            Self::Real { publisher, .. } => publisher.publish(event, trace, deadline).await,
            Self::ByHand(hand) => {
                let acked = hand.within(deadline, hand.publish(event)).await;
                acked.unwrap_or(Err(PublishError::Late))
            }
        }
    }

    /// Asks for the log-end offsets of these partitions. Calls `then` with them and with the moment of the query, even
    /// if no request waits for them any more. If they can't be learnt, it logs that and drops `then`.
    pub(crate) fn ask_for_ends(
        &self,
        partitions: Vec<Partition>,
        then: impl FnOnce(Instant, Offsets) + Send + 'static,
    ) {
        match self {
            Self::Real { inquirer, .. } => {
                let inquirer = Arc::clone(inquirer);
                tokio::task::spawn_blocking(move || {
                    let asked = Instant::now();
                    match inquirer.ends(&partitions) {
                        Ok(ends) => then(asked, ends),
                        Err(error) => {
                            log::warn!("error" = error.to_string().as_str(); "the ends of the log are not known")
                        }
                    }
                });
            }
            Self::ByHand(hand) => hand.ask_for_ends(Box::new(then)),
        }
    }

    /// Whether the producer has its id. Without it the first record would wait.
    pub(crate) fn is_warm(&self) -> bool {
        match self {
            Self::Real { publisher, .. } => publisher.is_warm(),
            Self::ByHand(_) => true,
        }
    }
}

pub(crate) mod by_hand;
