//! The state of the log: registrations in moka, accounts beside them.
//!
//! It is a view, never a store: a start rebuilds it from the topics, and the follower keeps it up to date. The cache
//! has no capacity limit, since at capacity moka would refuse new entries, and a mailed code would be unknown. Only
//! admission is bounded. A decision of this replica counts from its own moment, before its record is read back.

mod apply;

use super::{
    registration::Registration,
    tags::{Mailbox, Tags},
};
use crate::rules::{Account, Circumstances, Decision, Outlook, Place, Rules};
use contract::{account_id::AccountId, event::EventId, registration_id::RegistrationId};
use foldhash::fast::RandomState;
use jiff::Timestamp;
use moka::{Expiry, sync::Cache};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The number of locks that share the accounts: this many changes may run at once, each to another account.
const STRIPES: usize = 64;
/// The bits of an id's first octet that select its stripe.
const STRIPE_BITS: u8 = 63;

/// The view; all methods may be called from any thread.
pub(crate) struct View {
    // All keys are ids that a service made: random ones, and MACs. Nobody can choose keys that collide.
    registrations: Cache<RegistrationId, Registration, RandomState>,
    held: Arc<AtomicU64>,
    stripes: [Mutex<Stripe>; STRIPES],
    tags: Mutex<Tags>,
    awaited: Mutex<HashMap<EventId, Vec<oneshot::Sender<()>>>>,
    rules: Rules,
}

/// The accounts under one lock: some bits of their ids are equal.
#[derive(Default)]
struct Stripe {
    accounts: HashMap<AccountId, Account, RandomState>,
    verified: HashSet<AccountId, RandomState>,
}

/// Waits until a record is read back; dropping it gives up waiting.
pub(crate) struct Awaited<'a> {
    view: &'a View,
    event_id: EventId,
    read: oneshot::Receiver<()>,
}

/// Room for one registration; it counts as held until this is dropped.
pub(crate) struct Room<'a>(&'a AtomicU64);

/// When moka removes a registration. Whether one has expired is decided by its own time, not by moka.
struct EndsAt(Rules);

impl View {
    /// Makes an empty view.
    #[must_use]
    pub(crate) fn new(rules: Rules) -> Self {
        let held = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&held);
        let registrations = Cache::builder()
            .expire_after(EndsAt(rules))
            // The listener also bounds moka's upkeep to 100 ms at a time. Without one,
            // a request that finds a million registrations expired removes them all.
            .eviction_listener(move |_, _, cause| {
                if cause.was_evicted() {
                    counted.fetch_sub(1, Ordering::Relaxed);
                }
            })
            .build_with_hasher(RandomState::default());
        let stripes = std::array::from_fn(|_| Mutex::default());
        Self { registrations, held, stripes, tags: Mutex::default(), awaited: Mutex::default(), rules }
    }

    /// The registration with this id, if the log has it and it has not expired.
    #[must_use]
    pub(crate) fn registration(&self, id: RegistrationId, now: Timestamp) -> Option<Registration> {
        self.registrations.get(&id).filter(|registration| now < registration.ends_at(&self.rules))
    }

    /// Calls `look` with the state of an account, and whether it is verified.
    pub(crate) fn look_at<T>(&self, id: AccountId, look: impl FnOnce(&Account, bool) -> T) -> T {
        let stripe = self.stripe(id);
        let is_verified = stripe.verified.contains(&id);
        match stripe.accounts.get(&id) {
            Some(account) => look(account, is_verified),
            None => look(&Account::default(), is_verified),
        }
    }

    /// The number of registrations that are held, including those about to be published.
    #[must_use]
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Takes room for a registration, unless `limit` of them are held.
    pub(crate) fn take_room(&self, limit: u64) -> Option<Room<'_>> {
        let room = Room(&self.held);
        (self.held.fetch_add(1, Ordering::Relaxed) < limit).then_some(room)
    }

    /// How many accounts are verified.
    pub(crate) fn verified(&self) -> u64 {
        let count = |stripe: &Mutex<Stripe>| locked(stripe).verified.len();
        u64::try_from(self.stripes.iter().map(count).fold(0, usize::saturating_add)).unwrap_or(u64::MAX)
    }

    /// Decides what an accepted request leads to. A place that it takes counts at once, for all requests.
    pub(crate) fn decide(&self, id: AccountId, mailbox: Option<Mailbox>, now: Timestamp) -> Decision {
        let mut stripe = self.stripe(id);
        let is_verified = stripe.verified.contains(&id);
        let account = stripe.accounts.entry(id).or_default();
        let mut tags = locked(&self.tags);
        let circumstances = self.circumstances(account, is_verified, mailbox, &tags, now);
        let decision = Decision::of(account, circumstances, now, &self.rules);
        if let Some(place) = decision.taken {
            account.take(place);
            if let Some(mailbox) = mailbox {
                tags.take(mailbox, place.window);
            }
        }
        decision
    }

    /// What the schedule still allows an account. It takes no place.
    pub(crate) fn outlook(&self, id: AccountId, mailbox: Option<Mailbox>, now: Timestamp) -> Outlook {
        self.look_at(id, |account, is_verified| {
            let circumstances = self.circumstances(account, is_verified, mailbox, &locked(&self.tags), now);
            Outlook::of(account, circumstances, now, &self.rules)
        })
    }

    fn circumstances(
        &self,
        account: &Account,
        is_verified: bool,
        mailbox: Option<Mailbox>,
        tags: &Tags,
        now: Timestamp,
    ) -> Circumstances {
        let taken = mailbox.map(|mailbox| tags.taken(mailbox, account.window(now, &self.rules)));
        let is_over_tag_limit = taken.is_some_and(|taken| taken >= self.rules.max_tagged_mails);
        Circumstances { is_verified, is_over_tag_limit }
    }

    /// Gives back a place whose record has no ack, unless a record of that place has been read.
    pub(crate) fn give_back(&self, id: AccountId, mailbox: Option<Mailbox>, place: Place) {
        let mut stripe = self.stripe(id);
        if stripe.accounts.entry(id).or_default().give_back(place)
            && let Some(mailbox) = mailbox
        {
            locked(&self.tags).give_back(mailbox, place.window);
        }
    }

    /// Registers the wait for an attempt or a verification that is about to be published.
    #[must_use]
    pub(crate) fn await_record(&self, event_id: EventId) -> Awaited<'_> {
        let (sender, read) = oneshot::channel();
        locked(&self.awaited).entry(event_id).or_default().push(sender);
        Awaited { view: self, event_id, read }
    }

    /// Removes expired data, guesses only if told so.
    pub(crate) fn tidy(&self, now: Timestamp, with_guesses: bool) {
        self.registrations.run_pending_tasks();
        for stripe in &self.stripes {
            let mut stripe = locked(stripe);
            stripe.accounts.retain(|_, account| account.tidy(now, with_guesses, &self.rules));
            if stripe.accounts.capacity() / 4 > stripe.accounts.len() {
                stripe.accounts.shrink_to_fit();
            }
        }
        locked(&self.tags).tidy(*self.rules.held(now).start());
    }

    /// Wakes the requests that wait until this record is read.
    fn wake(&self, event_id: EventId) {
        for waiting in locked(&self.awaited).remove(&event_id).into_iter().flatten() {
            // The request may have given up at this moment.
            let _ = waiting.send(());
        }
    }

    fn stripe(&self, id: AccountId) -> MutexGuard<'_, Stripe> {
        locked(&self.stripes[usize::from(id.as_bytes()[0] & STRIPE_BITS)])
    }
}

impl Awaited<'_> {
    /// Waits until the record is read; returns whether it was.
    pub(crate) async fn read(mut self) -> bool {
        (&mut self.read).await.is_ok()
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.read.close();
        let mut awaited = locked(&self.view.awaited);
        if let Some(waiting) = awaited.get_mut(&self.event_id) {
            waiting.retain(|sender| !sender.is_closed());
            if waiting.is_empty() {
                awaited.remove(&self.event_id);
            }
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Expiry<RegistrationId, Registration> for EndsAt {
    fn expire_after_create(
        &self,
        _: &RegistrationId,
        registration: &Registration,
        _: Instant,
    ) -> Option<Duration> {
        let left = registration.ends_at(&self.0).duration_since(Timestamp::now());
        Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
