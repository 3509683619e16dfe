//! SMTP sessions: a few that stay open. One delivery at a time uses each.
//!
//! ```text
//!   dial ──► tls ──► hello, login ──► session      one connection, then mail after mail
//!                  wire, reply                     commands out, replies in
//! ```
//!
//! lettre composes the mails. The SMTP dialogue is our own: lettre's parser accepts only well-formed replies, and its pool
//! has no time-outs. Here every wait has a time-out (RFC 5321, section 4.5.3.2). A session returns to the pool only after a
//! complete, orderly exchange; otherwise it is dropped.

use crate::server_number::ServerNumber;
use judgement::Judgement;
use pool::{Permit, Pool};
use rate::Rate;
use runtime::secret::Secret;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tls::Tls;
use tokio::{sync::Mutex, time::timeout};

mod connect;
mod credentials;
mod dial;
#[expect(missing_docs, reason = "public for the simulator alone")]
mod failure;
mod hello;
mod judgement;
mod limits;
mod login;
#[expect(missing_docs, reason = "public for the simulator alone")]
mod phase;
mod pool;
mod rate;
mod reply;
mod session;
mod tls;
mod wire;

pub(crate) use credentials::client_key;
pub use credentials::{ClientKey, Mechanism, SmtpCredentials};
pub(crate) use failure::SendError;
pub use failure::{Cause, Phase, Refusal, RefusalKind, ServerFailure, Status};
pub(crate) use hello::hello_name;
pub(crate) use session::Session;
pub use tls::Certificates;
pub(crate) use tls::certificates;

/// Time limit for QUIT, for all sessions together.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// How to reach a mail server, and its limits.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Which server it is.
    pub number: ServerNumber,
    /// Name or IP address of the mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name of this client in EHLO.
    pub hello: String,
    /// The most sessions. Each serves one delivery at a time.
    pub connections: usize,
    /// Time-out for connecting, to all addresses of the host together, and for TLS. With another server beside this one,
    /// also how long it may be silent, in addition to the time between two emails.
    pub timeout: Duration,
    /// Time-out for the greeting and for each reply up to the one to DATA.
    pub reply_timeout: Duration,
    /// Time-out for the reply to the final dot.
    pub final_timeout: Duration,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// Certificates that are trusted besides the system's.
    pub trusted: Certificates,
    /// This client's certificate, for a server that asks for one.
    pub client_key: Option<Secret<ClientKey>>,
    /// The login, for a server that wants one.
    pub credentials: Option<SmtpCredentials>,
    /// The least time from the start of an email to that of the next: the rate that the provider allows.
    pub mail_interval: Option<Duration>,
}

impl SmtpConfig {
    /// How long the server may end no email while it has some. The wait for the rate is not its fault.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.timeout.saturating_add(self.mail_interval.unwrap_or_default())
    }
}

/// How the connection to the mail server is protected. There is no opportunistic TLS: an attacker who can read the mail can
/// also suppress the offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Without TLS.
    None,
    /// TLS after a greeting in clear text (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// The SMTP client of one server with its pool of sessions.
pub(crate) struct Mailer {
    config: SmtpConfig,
    tls: Option<Tls>,
    rate: Option<Mutex<Rate>>,
    pool: Arc<Pool>,
    refusals: Refusals,
    accepted: AtomicU64,
    /// The log has a line about a missing greeting.
    silence_noted: AtomicBool,
}

impl Mailer {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When encryption is configured and can't be set up.
    pub(crate) fn new(config: SmtpConfig) -> anyhow::Result<Arc<Self>> {
        let encrypted = config.encryption != Encryption::None;
        if config.credentials.is_some() && !encrypted {
            let variable = config.number.naming("SMTP_ENCRYPTION");
            log::warn!("the secret of the SMTP login is sent without encryption ({variable})");
        }
        Ok(Arc::new(Self {
            tls: if encrypted { Some(Tls::new(&config)?) } else { None },
            rate: config.mail_interval.map(|interval| Mutex::new(Rate::new(interval))),
            pool: Pool::new(config.connections, config.number),
            refusals: Refusals::default(),
            accepted: AtomicU64::new(0),
            silence_noted: AtomicBool::new(false),
            config,
        }))
    }

    /// Host and port of the mail server, as they are configured.
    pub(crate) fn server(&self) -> (&str, u16) {
        (&self.config.host, self.config.port)
    }

    /// Waits until the number of sessions in use and the rate allow another email. Then it takes an idle session or opens
    /// one. If the server refuses a further connection, that connection counts as one too many, and the wait continues until
    /// another session ends.
    ///
    /// # Errors
    /// [`ServerFailure`] when no session can be opened, and no other session is left to wait for.
    ///
    /// Safe to cancel.
    pub(crate) async fn session(self: &Arc<Self>) -> Result<Session, ServerFailure> {
        let permit = self.pool.permit().await;
        if let Some(rate) = &self.rate {
            let arrived = Instant::now();
            // One task sleeps, the others wait for the lock. A cancelled wait takes no slot.
            let mut rate = rate.lock().await;
            let slot = rate.slot(arrived);
            tokio::time::sleep_until(slot.into()).await;
            rate.take(slot);
        }
        self.open(permit).await
    }

    /// The same after [`SendError::NextSession`], without the wait for the rate: the email has its slot already. At a slow rate
    /// another one would cost a minute, and the server would count as silent.
    ///
    /// # Errors
    /// As for [`Mailer::session`].
    ///
    /// Safe to cancel.
    pub(crate) async fn next_session(self: &Arc<Self>) -> Result<Session, ServerFailure> {
        let permit = self.pool.permit().await;
        self.open(permit).await
    }

    async fn open(self: &Arc<Self>, mut permit: Permit) -> Result<Session, ServerFailure> {
        loop {
            if let Some(idle) = permit.take_idle() {
                return Ok(Session::reused(Arc::clone(self), idle, permit));
            }
            let failure = match self.connect().await {
                Ok(connection) => return Ok(Session::fresh(Arc::clone(self), connection, permit)),
                Err(failure) => failure,
            };
            let one_too_many = failure.may_be_one_too_many();
            if failure.cause.status().is_some() {
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

    /// Sends QUIT on the idle sessions.
    pub(crate) async fn close(&self) {
        let goodbyes = self.pool.take_all_idle().into_iter().map(|mut idle| async move {
            // The answer does not matter: the session ends anyway.
            let _ = idle.connection.wire.ask("QUIT\r\n").await;
        });
        let _ = timeout(QUIT_TIMEOUT, futures_util::future::join_all(goodbyes)).await;
    }

    /// The numbers of sessions: in use, idle, and allowed in use.
    pub(crate) fn sessions(&self) -> (usize, usize, usize) {
        self.pool.sessions()
    }

    /// The files of secrets: the variable of each, and whether its present content is in use.
    pub(crate) fn secret_files(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let login = self.config.credentials.as_ref().and_then(|credentials| credentials.secret.file());
        login.into_iter().chain(self.config.client_key.as_ref().and_then(Secret::file))
    }

    /// The number of emails that the server accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The number of refusals of each judgement.
    pub(crate) fn refusals(&self) -> [(Judgement, u64); 8] {
        Judgement::ALL.map(|judgement| (judgement, self.refusals.of(judgement)))
    }
}

/// Counts refusals by judgement.
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

/// Limits the time of a step of a session.
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
