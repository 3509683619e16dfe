//! SMTP sessions: a few that stay open, each used by one delivery at a time.
//!
//! lettre's connection is used directly, on a stream of our own: its pool leaves Nagle's algorithm on, knows no
//! time-outs, and hands a connection out again after a cancelled send. Here every phase has a time-out, and a session
//! comes back into the pool only after a complete, orderly exchange; whatever else happens to it drops it.

use lettre::transport::smtp::{client::AsyncSmtpConnection, extension::ClientId};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

mod connect;
mod failure;
mod session;

pub(crate) use failure::{Refusal, RefusalKind, SendError, ServerFailure};
pub(crate) use session::Session;

/// An older one is not tried: the server, or a router on the way, has probably forgotten it.
const LONGEST_IDLE: Duration = Duration::from_secs(60);
/// For a polite end of all sessions together.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Where and how email is handed over.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Name or IP address of the mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Sessions at most, each a delivery at a time.
    pub connections: usize,
    /// For each phase: connect, greeting, each command, the content.
    pub timeout: Duration,
}

/// The pool.
pub(crate) struct Mailer {
    config: SmtpConfig,
    hello: ClientId,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Mailer {
    /// Connects to nothing yet. `domain` is how this client calls itself.
    pub(crate) fn new(config: SmtpConfig, domain: &str) -> Arc<Self> {
        Arc::new(Self {
            hello: ClientId::Domain(domain.to_owned()),
            permits: Arc::new(Semaphore::new(config.connections)),
            idle: Mutex::default(),
            config,
        })
    }

    /// Waits until fewer than the configured number of sessions are in use, then takes an idle one or opens one.
    ///
    /// # Errors
    /// [`ServerFailure`] when a new session can't be opened.
    ///
    /// Safe to cancel.
    pub(crate) async fn session(self: &Arc<Self>) -> Result<Session, ServerFailure> {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Err(ServerFailure::closing());
        };
        let (connection, reused) = match self.take_idle() {
            Some(connection) => (connection, true),
            None => (connect::connect(&self.config, &self.hello).await?, false),
        };
        Ok(Session::new(Arc::clone(self), connection, permit, reused))
    }

    /// Says goodbye to the server on the idle sessions.
    pub(crate) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let goodbyes = idle.into_iter().map(|mut idle| async move {
            // The answer is of no interest: the session ends either way.
            let _ = idle.connection.quit().await;
        });
        let _ = tokio::time::timeout(QUIT_TIMEOUT, futures_util::future::join_all(goodbyes)).await;
    }

    /// Sessions in use, and idle ones.
    pub(crate) fn sessions(&self) -> (usize, usize) {
        (self.config.connections - self.permits.available_permits(), self.idle().len())
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle();
        idle.retain(|session| session.since.elapsed() < LONGEST_IDLE);
        // The one used last: under a light load the others grow old and go.
        idle.pop().map(|session| session.connection)
    }

    fn put_back(&self, connection: AsyncSmtpConnection, permit: OwnedSemaphorePermit) {
        self.idle().push(Idle { connection, since: Instant::now() });
        drop(permit);
    }

    /// Drops all idle sessions: one of them turned out to be closed, so the others probably are.
    fn forget_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
