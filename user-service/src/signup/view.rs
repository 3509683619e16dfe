//! What the log says: pending registrations in moka, verified accounts in a set.
//!
//! A view, never a store: rebuilt from the topics at start and followed ever after. The cache has no capacity limit
//! (at capacity moka would refuse new entries, and a mailed code would be unknown); only admission is bounded. Its
//! time to live merely tidies up: what a registration may do is decided from its own times.

use super::{later, pending::Rules, registration::Registration};
use crate::config::REPLAY_SLACK;
use foldhash::fast::RandomState;
use jiff::Timestamp;
use moka::sync::Cache;
use shared::{
    account_id::AccountId,
    event::{Event, EventId},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::oneshot;

/// How many changes may be under way at once, each to another id.
const STRIPES: usize = 64;
/// The bits of an id that tell its stripe.
const STRIPE_BITS: u8 = 63;

/// The view; all methods may be called from any thread.
pub(crate) struct View {
    // Only ids that a service derived are ever put in, and those are MACs: nobody can choose some that collide.
    registrations: Cache<AccountId, Registration, RandomState>,
    changing: [Mutex<()>; STRIPES],
    count: Arc<AtomicU64>,
    verified: RwLock<HashSet<AccountId, RandomState>>,
    awaited: Mutex<HashMap<EventId, oneshot::Sender<u32>>>,
    rules: Rules,
}

/// What is known of an id at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// What the log of the last window says, if it says anything.
    pub(crate) registration: Option<Registration>,
    /// Whether the account is verified.
    pub(crate) verified: bool,
}

/// Waits for an attempt to be read back; dropping it gives up waiting.
pub(crate) struct AwaitedAttempt<'a> {
    view: &'a View,
    event_id: EventId,
    rank: oneshot::Receiver<u32>,
}

impl View {
    /// Makes an empty view.
    #[must_use]
    pub(crate) fn new(rules: Rules) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let registrations = Cache::builder()
            .time_to_live(rules.window.saturating_add(REPLAY_SLACK.saturating_mul(2)))
            // Also bounds moka's upkeep to 100 ms at a time: without a listener, a request that finds a million registrations
            // expired removes them all.
            .eviction_listener(move |_, _, cause| {
                if cause.was_evicted() {
                    counted.fetch_sub(1, Ordering::Relaxed);
                }
            })
            .build_with_hasher(RandomState::default());
        let changing = std::array::from_fn(|_| Mutex::default());
        let (verified, awaited) = (RwLock::default(), Mutex::default());
        Self { registrations, changing, count, verified, awaited, rules }
    }

    /// What is known of an id.
    #[must_use]
    pub(crate) fn standing(&self, id: AccountId) -> Standing {
        let verified = self.verified.read().unwrap_or_else(PoisonError::into_inner).contains(&id);
        Standing { registration: self.registrations.get(&id), verified }
    }

    /// How many registrations the cache holds: moka's own count is settled only from time to time.
    #[must_use]
    pub(crate) fn registrations(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// How many accounts are verified.
    pub(crate) fn verified(&self) -> u64 {
        let verified = self.verified.read().unwrap_or_else(PoisonError::into_inner).len();
        u64::try_from(verified).unwrap_or(u64::MAX)
    }

    /// Takes in an event of this replica's own, so that it is visible before the follower reads it back.
    ///
    /// Attempts are left to the follower: only the log's order gives them a rank.
    pub(crate) fn apply_own(&self, event: Event) {
        if !matches!(event, Event::Attempt(_)) {
            self.apply(event);
        }
    }

    /// Takes in an event as it was read from the log, each record once and in the order of its partition.
    pub(crate) fn apply(&self, event: Event) {
        let id = event.account_id();
        match event {
            Event::Created(event) | Event::CodeResent(event) => {
                self.change(id, |known| known.with_pending(event.into()));
            }
            Event::AccountExists(event) => self.change(id, |known| known.with_notice(event, &self.rules)),
            Event::RegistrationRepeated(_) => {}
            Event::Verified(_) => {
                self.verified.write().unwrap_or_else(PoisonError::into_inner).insert(id);
            }
            Event::Attempt(attempt) => {
                let mut rank = u32::MAX;
                self.change(id, |known| {
                    let (known, its_rank) =
                        known.with_attempt(attempt.window, attempt.generation, attempt.event_id);
                    rank = its_rank;
                    known
                });
                if let Some(waiter) = self.awaited().remove(&attempt.event_id) {
                    // The request may have given up in this very moment.
                    let _ = waiter.send(rank);
                }
            }
        }
    }

    /// Takes in a tombstone: the account and everything pending before it is gone.
    pub(crate) fn forget(&self, id: AccountId, at: Timestamp) {
        self.verified.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        // Of an older one nothing is pending any more, and the compacted topic keeps many of those.
        if Timestamp::now() < later(at, self.rules.window.saturating_add(REPLAY_SLACK)) {
            self.change(id, |known| known.with_forgotten(at));
        }
    }

    /// Announces an attempt that is about to be published.
    #[must_use]
    pub(crate) fn await_attempt(&self, event_id: EventId) -> AwaitedAttempt<'_> {
        let (sender, rank) = oneshot::channel();
        self.awaited().insert(event_id, sender);
        AwaitedAttempt { view: self, event_id, rank }
    }

    /// Changes what is known of one id, one change after the other.
    fn change(&self, id: AccountId, change: impl FnOnce(Registration) -> Registration) {
        // moka's `and_compute_with` keeps a further map of who is changing what, and costs more.
        let stripe = &self.changing[usize::from(id.as_bytes()[0] & STRIPE_BITS)];
        let _changing = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.registrations.get(&id).unwrap_or_else(|| {
            self.count.fetch_add(1, Ordering::Relaxed);
            Registration::default()
        });
        self.registrations.insert(id, change(known));
    }

    fn awaited(&self) -> std::sync::MutexGuard<'_, HashMap<EventId, oneshot::Sender<u32>>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AwaitedAttempt<'_> {
    /// The attempt's rank in the log, from 1; waits until the follower has read it.
    pub(crate) async fn rank(mut self) -> Option<u32> {
        (&mut self.rank).await.ok()
    }
}

impl Drop for AwaitedAttempt<'_> {
    fn drop(&mut self) {
        self.view.awaited().remove(&self.event_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{event, request_id::RequestId};
    use std::{sync::Barrier, time::Duration};

    #[test]
    fn of_changes_at_the_same_time_none_is_lost() {
        const THREADS: u32 = 4;
        const TIMES: u32 = 25;
        let window = Duration::from_secs(3600);
        let view = View::new(Rules {
            code_ttl: window,
            code_attempts: 5,
            resend_cooldown: Duration::ZERO,
            max_sends: 5,
            window,
        });
        let attempt = |id| event::Attempt {
            event_id: EventId::random(),
            occurred_at: Timestamp::now(),
            version: event::VERSION,
            id,
            window: 500_000,
            generation: 0,
            request_id: RequestId::random(),
        };
        let ids: Vec<_> = (0..50).map(|number| AccountId::from_derived([number; 16])).collect();
        let together = Barrier::new(THREADS as usize);
        std::thread::scope(|threads| {
            for _ in 0..THREADS {
                threads.spawn(|| {
                    for id in &ids {
                        together.wait();
                        (0..TIMES).for_each(|_| view.apply(Event::Attempt(attempt(*id))));
                    }
                });
            }
        });
        let counted = |id| view.standing(id).registration.map(|known| known.attempts(500_000, 0));
        assert!(ids.iter().all(|id| counted(*id) == Some(THREADS * TIMES)));
        assert_eq!(view.registrations(), 50);
    }
}
