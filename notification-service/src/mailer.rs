//! SMTP sessions: a few that stay open, each used by one delivery at a time.
//!
//! lettre's connection is used directly, on a stream of our own: its pool leaves Nagle's algorithm on, knows no
//! time-outs, and hands a connection out again after a cancelled send. Here every phase has a time-out, and a session
//! comes back into the pool only after a complete, orderly exchange; whatever else happens to it drops it.

use connect::Connection;
use lettre::transport::smtp::{authentication::Credentials, extension::ClientId};
use rate::Rate;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tls::Tls;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

mod connect;
mod failure;
mod rate;
#[cfg_attr(not(test), expect(dead_code, reason = "sessions read replies with it next"))]
mod reply;
mod session;
mod starttls;
mod stream;
mod tls;

pub(crate) use failure::{Refusal, RefusalKind, SendError, ServerFailure};
pub(crate) use session::Session;
pub use tls::Certificates;
pub(crate) use tls::certificates;

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
    /// How the connection is protected.
    pub encryption: Encryption,
    /// Certificates that are trusted besides the system's.
    pub trusted: Certificates,
    /// For a server that wants a login.
    pub credentials: Option<SmtpCredentials>,
    /// Emails a second at most.
    pub max_rate: Option<u32>,
}

/// How the connection to the mail server is protected. There is no "if possible": who can read the mail can also
/// suppress the offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    None,
    /// TLS after a greeting in the clear (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// Name and password; `Debug` shows neither.
#[derive(Debug, Clone)]
pub struct SmtpCredentials(Credentials);

impl SmtpCredentials {
    /// Takes them as they are.
    #[must_use]
    pub fn new(username: String, password: String) -> Self {
        Self(Credentials::new(username, password))
    }
}

/// The pool.
pub(crate) struct Mailer {
    config: SmtpConfig,
    hello: ClientId,
    tls: Option<Tls>,
    rate: Option<Mutex<Rate>>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Mailer {
    /// Connects to nothing yet. `domain` is how this client calls itself.
    ///
    /// # Errors
    /// When encryption is asked for and can't be set up.
    pub(crate) fn new(config: SmtpConfig, domain: &str) -> anyhow::Result<Arc<Self>> {
        let encrypted = config.encryption != Encryption::None;
        if config.credentials.is_some() && !encrypted {
            log::warn!("the SMTP password is sent without encryption (SMTP_ENCRYPTION)");
        }
        Ok(Arc::new(Self {
            hello: ClientId::Domain(domain.to_owned()),
            tls: if encrypted { Some(Tls::new(&config)?) } else { None },
            rate: config.max_rate.map(|per_second| Mutex::new(Rate::new(per_second))),
            permits: Arc::new(Semaphore::new(config.connections)),
            idle: Mutex::default(),
            config,
        }))
    }

    /// Waits until fewer than the configured number of sessions are in use and the rate allows another email, then
    /// takes an idle session or opens one.
    ///
    /// # Errors
    /// [`ServerFailure`] when a new session can't be opened.
    ///
    /// Safe to cancel.
    pub(crate) async fn session(self: &Arc<Self>) -> Result<Session, ServerFailure> {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Err(ServerFailure::closing());
        };
        if let Some(rate) = &self.rate {
            let slot = rate.lock().unwrap_or_else(PoisonError::into_inner).reserve(Instant::now());
            tokio::time::sleep_until(slot.into()).await;
        }
        let (connection, reused) = match self.take_idle() {
            Some(connection) => (connection, true),
            None => (self.connect().await?, false),
        };
        Ok(Session::new(Arc::clone(self), connection, permit, reused))
    }

    /// Says goodbye to the server on the idle sessions.
    pub(crate) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let goodbyes = idle.into_iter().map(|mut idle| async move {
            // The answer is of no interest: the session ends either way.
            let _ = idle.connection.smtp.quit().await;
        });
        let _ = tokio::time::timeout(QUIT_TIMEOUT, futures_util::future::join_all(goodbyes)).await;
    }

    /// Sessions in use, and idle ones.
    pub(crate) fn sessions(&self) -> (usize, usize) {
        (self.config.connections - self.permits.available_permits(), self.idle().len())
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|session| session.since.elapsed() < LONGEST_IDLE);
        // The one used last: under a light load the others grow old and go.
        idle.pop().map(|session| session.connection)
    }

    fn put_back(&self, connection: Connection, permit: OwnedSemaphorePermit) {
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

#[cfg(test)]
mod tests;
