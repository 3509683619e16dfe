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

use judgement::Judgement;
use pool::Pool;
use rate::Rate;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tls::Tls;
use tokio::{sync::Mutex, time::timeout};

mod connect;
mod dial;
mod failure;
mod hello;
mod judgement;
mod limits;
mod login;
mod pool;
mod rate;
mod reply;
mod session;
mod tls;
mod wire;

pub(crate) use failure::{Cause, Phase, Refusal, RefusalKind, SendError, ServerFailure, Status};
pub(crate) use session::Session;
pub use tls::Certificates;
pub(crate) use tls::certificates;

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
    pool: Arc<Pool>,
    refusals: Refusals,
    /// The log has a line about a greeting that does not come.
    silence_noted: AtomicBool,
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
            pool: Pool::new(config.connections),
            refusals: Refusals::default(),
            silence_noted: AtomicBool::new(false),
            config,
        }))
    }

    /// Waits until fewer sessions are in use than the server allows and the rate allows another email, then takes an idle
    /// session or opens one. A further connection that the server refuses is one too many: then it waits for another's end.
    ///
    /// # Errors
    /// [`ServerFailure`] when no session can be opened, and there is no other whose end could be waited for.
    ///
    /// Safe to cancel.
    pub(crate) async fn session(self: &Arc<Self>) -> Result<Session, ServerFailure> {
        let mut permit = self.pool.permit().await;
        if let Some(rate) = &self.rate {
            let arrived = Instant::now();
            // One waits for its time, the others for the lock: a wait that is called off has taken nothing.
            let mut rate = rate.lock().await;
            let slot = rate.slot(arrived);
            tokio::time::sleep_until(slot.into()).await;
            rate.take(slot);
        }
        loop {
            if let Some(idle) = permit.take_idle() {
                return Ok(Session::reused(Arc::clone(self), idle, permit));
            }
            let failure = match self.connect().await {
                Ok(connection) => return Ok(Session::fresh(Arc::clone(self), connection, permit)),
                Err(failure) => failure,
            };
            let one_too_many = failure.may_be_one_too_many();
            if matches!(failure.cause, Cause::Reply(_)) {
                let judgement = if one_too_many { Judgement::Connections } else { Judgement::Server };
                self.refusals.count(judgement);
            }
            if !one_too_many || permit.is_alone() {
                permit.is_no_limit();
                return Err(failure);
            }
            permit.is_one_too_many();
            drop(permit);
            permit = self.pool.permit().await;
        }
    }

    /// Says goodbye to the server on the idle sessions.
    pub(crate) async fn close(&self) {
        let goodbyes = self.pool.take_all_idle().into_iter().map(|mut idle| async move {
            // The answer is of no interest: the session ends either way.
            let _ = idle.connection.wire.ask("QUIT\r\n").await;
        });
        let _ = timeout(QUIT_TIMEOUT, futures_util::future::join_all(goodbyes)).await;
    }

    /// Sessions in use, idle ones, and how many may be in use.
    pub(crate) fn sessions(&self) -> (usize, usize, usize) {
        self.pool.sessions()
    }

    /// Replies that refused something, by what they were about.
    pub(crate) fn refusals(&self) -> [(Judgement, u64); 8] {
        Judgement::ALL.map(|judgement| (judgement, self.refusals.of(judgement)))
    }
}

/// Counts replies by what they are about.
#[derive(Debug, Default)]
struct Refusals([AtomicU64; 8]);

impl Refusals {
    fn count(&self, judgement: Judgement) {
        self.counter(judgement).fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, judgement: Judgement) -> u64 {
        self.counter(judgement).load(Ordering::Relaxed)
    }

    fn counter(&self, judgement: Judgement) -> &AtomicU64 {
        &self.0[judgement as usize]
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
