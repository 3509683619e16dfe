//! An outside in which nothing happens by itself: events wait for their acks and queries for their
//! answers until the caller gives them, and time stands still until the caller moves it.
//!
//! A deadline that passes wakes nobody: the caller has to poll the requests again after it has moved the time.
//! For tests, and for `simulated`, which is why it is always compiled.

use crate::{
    log_ends::Offsets,
    publisher::{PublishError, Written},
};
use contract::{event::Event, registration_id::RegistrationId};
use jiff::Timestamp;
use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The outside of one replica, driven by a caller.
pub(crate) struct ByHand(Mutex<State>);

struct State {
    /// What the replica's clock shows.
    now: Timestamp,
    instant: Instant,
    /// The next registration id follows from it.
    seed: u64,
    published: Vec<Published>,
    asked: Vec<Asked>,
}

/// An event that a verb has published. It waits for its ack; if this is dropped, the ack never comes.
pub struct Published {
    /// What is to be written.
    pub event: Event,
    pub(crate) ack: oneshot::Sender<Result<Written, PublishError>>,
}

/// A query of the log-end offsets. If this is dropped, they could not be learnt.
pub struct Asked {
    at: Instant,
    then: Box<dyn FnOnce(Instant, Offsets) + Send>,
}

impl ByHand {
    pub(crate) fn new(now: Timestamp, seed: u64) -> Self {
        let (published, asked) = Default::default();
        Self(Mutex::new(State { now, instant: Instant::now(), seed, published, asked }))
    }

    /// Lets time pass, on both clocks.
    pub(crate) fn advance(&self, time: Duration) {
        let mut state = self.state();
        state.now += time;
        state.instant += time;
    }

    /// Sets the clock of this replica, forwards or back. The monotonic clock goes on.
    pub(crate) fn set(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Takes the events that were published since the last call, the oldest first.
    pub(crate) fn take_published(&self) -> Vec<Published> {
        std::mem::take(&mut self.state().published)
    }

    /// Takes the queries since the last call.
    pub(crate) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.state().now
    }

    /// A moment that is later than the one before.
    pub(crate) fn instant(&self) -> Instant {
        let mut state = self.state();
        state.instant += Duration::from_nanos(1);
        state.instant
    }

    pub(super) fn registration_id(&self) -> RegistrationId {
        let mut state = self.state();
        let octets = [next(&mut state.seed), next(&mut state.seed)];
        format!("{:016x}{:016x}", octets[0], octets[1]).parse().unwrap_or(RegistrationId::NONE)
    }

    pub(super) async fn publish(&self, event: &Event) -> Result<Written, PublishError> {
        let (ack, acked) = oneshot::channel();
        self.state().published.push(Published { event: event.clone(), ack });
        match acked.await {
            Ok(acked) => acked,
            // The caller has dropped it: the ack never comes.
            Err(_) => std::future::pending().await,
        }
    }

    pub(super) fn ask_for_ends(&self, then: Box<dyn FnOnce(Instant, Offsets) + Send>) {
        let at = self.instant();
        self.state().asked.push(Asked { at, then });
    }

    pub(super) async fn within<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.instant() >= deadline => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Published {
    /// The broker has written the record there, and its acknowledgement arrives.
    pub fn acknowledge(self, partition: i32, offset: i64, stamped_at: Timestamp) {
        let topic = self.event.kind().topic();
        // The request may be gone.
        let _ = self.ack.send(Ok(Written { topic, partition, offset, stamped_at: Some(stamped_at) }));
    }

    /// The producer can't take the event: too many wait.
    pub fn refuse(self) {
        let _ = self.ack.send(Err(PublishError::Overloaded));
    }
}

impl Asked {
    /// Answers with log-end offsets, which were learnt after the query.
    pub fn answer(self, ends: Offsets) {
        (self.then)(self.at, ends);
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").field("event", &self.event).finish_non_exhaustive()
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

/// The next of a sequence of numbers (SplitMix64; Steele, Lea and Flood 2014).
pub(crate) fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
