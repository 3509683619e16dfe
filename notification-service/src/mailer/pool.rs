//! The sessions: those in use, each with a permit, and the idle ones.
//!
//! A semaphore has a fixed number of permits. Here the number follows the server's limits ([`Limits`]).

use super::{connect::Connection, limits::Limits};
use crate::server_number::ServerNumber;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::timeout_at};

/// An older idle session is not used: the server, or a router on the way, has probably dropped it.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

pub(super) struct Pool {
    state: Mutex<State>,
    /// For log lines.
    server: ServerNumber,
    /// Notified when a permit may be free.
    freed: Notify,
}

struct State {
    limits: Limits,
    in_use: usize,
    idle: Vec<Idle>,
}

/// An idle connection.
pub(super) struct Idle {
    pub(super) connection: Connection,
    /// Transactions so far.
    pub(super) mails: u32,
    since: Instant,
}

/// The right to use one session, until it is dropped.
pub(super) struct Permit {
    pool: Arc<Pool>,
    /// When it was granted.
    began: Instant,
    /// Sessions in use at that time, including this one.
    in_use: usize,
}

impl Pool {
    pub(super) fn new(sessions: usize, server: ServerNumber) -> Arc<Self> {
        let state = State { limits: Limits::new(sessions), in_use: 0, idle: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), server, freed: Notify::new() })
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
                // Either way, the loop tries again.
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
            // Each waiter that gets a permit wakes the next one.
            self.freed.notify_one();
        }
        Some(Permit { pool: Arc::clone(self), began: Instant::now(), in_use: state.in_use })
    }

    /// Takes all idle sessions, to close them.
    pub(super) fn take_all_idle(&self) -> Vec<Idle> {
        std::mem::take(&mut self.state().idle)
    }

    /// The numbers of sessions: in use, idle, and allowed in use.
    pub(super) fn sessions(&self) -> (usize, usize, usize) {
        let state = self.state();
        (state.in_use, state.idle.len(), state.limits.sessions())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Takes the most recently used idle session. Under a light load the others grow old and are dropped.
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

    /// Keeps the connection for the next email. Returns it, to be closed, if a limit forbids that.
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

    /// Notes that the server accepted an email.
    pub(super) fn accepted(&self) {
        if self.pool.state().limits.accepted(Instant::now()) {
            self.pool.freed.notify_one();
        }
    }

    /// Notes that the server refused this session as one too many.
    pub(super) fn is_one_too_many(&self) {
        let mut state = self.pool.state();
        let in_use = state.in_use.max(self.in_use);
        if state.limits.one_too_many(in_use, self.began, Instant::now()) {
            // The server counts idle sessions, too.
            state.idle.clear();
            let allowed = state.limits.sessions();
            drop(state);
            log::warn!(
                "smtp.sessions" = in_use, "smtp.sessions_allowed" = allowed;
                "the mail server takes fewer sessions at a time; {} of all replicas together may be lower",
                self.pool.server.naming("SMTP_CONNECTIONS")
            );
        }
    }

    /// Notes that the server refused the only session: the number of sessions is not the reason.
    pub(super) fn is_no_limit(&self) {
        let mut state = self.pool.state();
        state.limits.number_is_not_the_reason();
        drop(state);
        self.pool.freed.notify_one();
    }

    /// Notes that the server refused another mail after `mails` in a session. Drops idle sessions that have had as many.
    pub(super) fn session_is_full(&self, mails: u32) {
        let now = Instant::now();
        let mut state = self.pool.state();
        if state.limits.mails_of_a_session(now) != Some(mails) {
            log::info!("smtp.mails" = mails; "the mail server limits the mails of a session; sessions end at that number");
        }
        state.limits.session_is_full(mails, now);
        state.idle.retain(|idle| idle.mails < mails);
    }

    /// Notes that a fresh session was refused as well: the number of mails is not the reason.
    pub(super) fn is_no_limit_of_mails(&self) {
        self.pool.state().limits.sessions_are_not_full();
    }

    /// Drops all idle sessions: one was closed by the server, so the others probably are.
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
