//! SMTP sessions: a few that stay open, each used by one delivery at a time.
//!
//! ```text
//!   dial ──► tls ──► hello, login ──► session      one connection, then mail after mail
//!                  wire, reply                     commands out, replies in
//! ```
//!
//! lettre composes the mails; the dialogue is our own, as its parser takes only well-formed replies and its pool knows no
//! time-outs. Here everything that is waited for has one (RFC 5321, section 4.5.3.2), and a session comes back into
//! the pool only after a complete, orderly exchange; whatever else happens to it drops it.

use connect::Connection;
use failure::{Cause, Phase};
use rate::Rate;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};
use tls::Tls;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

mod connect;
mod dial;
mod failure;
mod hello;
mod login;
mod rate;
mod reply;
mod session;
mod tls;
mod wire;

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
    /// For connecting, all addresses of the host together, and for TLS.
    pub timeout: Duration,
    /// For the greeting and for each reply up to that to DATA.
    pub reply_timeout: Duration,
    /// For the reply to the final dot.
    pub final_timeout: Duration,
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
#[derive(Clone)]
pub struct SmtpCredentials {
    username: String,
    password: String,
}

impl SmtpCredentials {
    /// Takes them as they are.
    #[must_use]
    pub fn new(username: String, password: String) -> Self {
        Self { username, password }
    }
}

impl fmt::Debug for SmtpCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpCredentials")
    }
}

/// The pool.
pub(crate) struct Mailer {
    config: SmtpConfig,
    /// How this client calls itself.
    hello: String,
    tls: Option<Tls>,
    rate: Option<Mutex<Rate>>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// The log has it that no greeting comes.
    silence_noted: AtomicBool,
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
            hello: domain.to_owned(),
            tls: if encrypted { Some(Tls::new(&config)?) } else { None },
            rate: config.max_rate.map(|per_second| Mutex::new(Rate::new(per_second))),
            permits: Arc::new(Semaphore::new(config.connections)),
            idle: Mutex::default(),
            silence_noted: AtomicBool::new(false),
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
            let _ = idle.connection.wire.ask("QUIT\r\n").await;
        });
        let _ = timeout(QUIT_TIMEOUT, futures_util::future::join_all(goodbyes)).await;
    }

    /// Sessions in use, and idle ones.
    pub(crate) fn sessions(&self) -> (usize, usize) {
        (self.config.connections - self.permits.available_permits(), self.idle().len())
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|session| session.since.elapsed() < LONGEST_IDLE);
        // The one used last: under a light load the others grow old and go.
        while let Some(Idle { mut connection, .. }) = idle.pop() {
            if connection.wire.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    fn put_back(&self, mut connection: Connection, permit: OwnedSemaphorePermit) {
        if connection.wire.is_quiet() {
            self.idle().push(Idle { connection, since: Instant::now() });
        }
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

/// Bounds a step of a session.
async fn within<T>(
    limit: Duration,
    phase: Phase,
    step: impl Future<Output = Result<T, Cause>>,
) -> Result<T, ServerFailure> {
    let ended = timeout(limit, step).await.unwrap_or(Err(Cause::Timeout));
    ended.map_err(|cause| ServerFailure { phase, cause })
}

#[cfg(test)]
mod tests;
