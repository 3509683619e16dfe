//! Which sessions there are: those in use, each with a permit, and those that wait for the next email.
//!
//! A semaphore would do if the number of permits were fixed; it follows what the server allows ([`Limits`]).

use super::{connect::Connection, limits::Limits};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::timeout_at};

/// An older one is not tried: the server, or a router on the way, has probably forgotten it.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

pub(super) struct Pool {
    state: Mutex<State>,
    /// A permit may be free.
    freed: Notify,
}

struct State {
    limits: Limits,
    in_use: usize,
    idle: Vec<Idle>,
}

/// A connection that waits for the next email.
pub(super) struct Idle {
    pub(super) connection: Connection,
    /// Transactions that it has had.
    pub(super) mails: u32,
    since: Instant,
}

/// The right to use one session; ends when it is dropped.
pub(super) struct Permit {
    pool: Arc<Pool>,
    /// When it was given.
    began: Instant,
    /// Sessions in use then, this one included.
    in_use: usize,
}

impl Pool {
    pub(super) fn new(sessions: usize) -> Arc<Self> {
        let state = State { limits: Limits::new(sessions), in_use: 0, idle: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), freed: Notify::new() })
    }

    /// Waits until fewer sessions are in use than the server allows. Safe to cancel.
    pub(super) async fn permit(self: &Arc<Self>) -> Permit {
        loop {
            if let Some(permit) = self.try_permit() {
                return permit;
            }
            let freed = self.freed.notified();
            let stalled_at = self.state().limits.stalled_at();
            match stalled_at {
                None => freed.await,
                // Free or not, that is looked at again.
                Some(stalled) => drop(timeout_at(stalled.into(), freed).await),
            }
        }
    }

    fn try_permit(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state();
        let in_use = state.in_use;
        if in_use >= state.limits.sessions() {
            state.limits.all_in_use(in_use, Instant::now());
        }
        if in_use >= state.limits.sessions() {
            return None;
        }
        state.in_use += 1;
        if state.in_use < state.limits.sessions() {
            // Whoever is woken wakes the next one.
            self.freed.notify_one();
        }
        Some(Permit { pool: Arc::clone(self), began: Instant::now(), in_use: state.in_use })
    }

    /// Those that wait, for their end.
    pub(super) fn take_all_idle(&self) -> Vec<Idle> {
        std::mem::take(&mut self.state().idle)
    }

    /// Sessions in use, idle ones, and how many may be in use.
    pub(super) fn sessions(&self) -> (usize, usize, usize) {
        let state = self.state();
        (state.in_use, state.idle.len(), state.limits.sessions())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The idle session that was used last: under a light load the others grow old and go.
    pub(super) fn take_idle(&self) -> Option<Idle> {
        let now = Instant::now();
        let mut state = self.pool.state();
        state.idle.retain(|idle| now < idle.since + LONGEST_IDLE);
        while let Some(mut idle) = state.idle.pop() {
            if idle.connection.wire.is_quiet() {
                return Some(idle);
            }
        }
        None
    }

    /// Keeps the connection for the next email, if it may have one: else it comes back, to be ended.
    pub(super) fn put_back(&self, mut connection: Connection, mails: u32) -> Option<Connection> {
        let now = Instant::now();
        let mut state = self.pool.state();
        let full = state.limits.mails_of_a_session(now).is_some_and(|most| mails >= most);
        if full || state.in_use + state.idle.len() > state.limits.sessions() {
            return Some(connection);
        }
        if !connection.wire.is_quiet() {
            return None;
        }
        state.idle.push(Idle { connection, mails, since: now });
        None
    }

    /// Whether this is the only session.
    pub(super) fn is_alone(&self) -> bool {
        let state = self.pool.state();
        state.in_use + state.idle.len() <= 1
    }

    /// The server accepted an email.
    pub(super) fn accepted(&self) {
        if self.pool.state().limits.accepted(Instant::now()) {
            self.pool.freed.notify_one();
        }
    }

    /// The server refused this session as one too many.
    pub(super) fn is_one_too_many(&self) {
        let mut state = self.pool.state();
        let in_use = state.in_use.max(self.in_use);
        if state.limits.one_too_many(in_use, self.began, Instant::now()) {
            // Idle ones count at the server as well.
            state.idle.clear();
            let allowed = state.limits.sessions();
            drop(state);
            log::warn!(
                "smtp.sessions" = in_use, "smtp.sessions_allowed" = allowed;
                "the mail server takes fewer sessions at a time; SMTP_CONNECTIONS of all replicas together may be lower"
            );
        }
    }

    /// The server takes nothing although there is no other session.
    pub(super) fn is_no_limit(&self) {
        let mut state = self.pool.state();
        state.limits.number_is_not_the_reason();
        drop(state);
        self.pool.freed.notify_one();
    }

    /// The server refused to go on in a session that had had so many mails: those that have had as many are not used again.
    pub(super) fn session_is_full(&self, mails: u32) {
        let now = Instant::now();
        let mut state = self.pool.state();
        if state.limits.mails_of_a_session(now) != Some(mails) {
            log::info!("smtp.mails" = mails; "the mail server takes so many mails in a session; sessions end before that");
        }
        state.limits.session_is_full(mails, now);
        state.idle.retain(|idle| idle.mails < mails);
    }

    /// What was taken for a full session was something else: a fresh one is refused as well.
    pub(super) fn is_no_limit_of_mails(&self) {
        self.pool.state().limits.sessions_are_not_full();
    }

    /// Drops all idle sessions: one of them turned out to be closed, so the others probably are.
    pub(super) fn forget_idle(&self) {
        self.pool.state().idle.clear();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.state().in_use -= 1;
        self.pool.freed.notify_one();
    }
}
