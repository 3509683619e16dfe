//! The server for its owner: start, stop, restart on the same port, and the received mails.

use crate::{
    ports,
    smtp::{
        mailroom::{Keep, Mailroom, ReceivedMail, SessionCount},
        script::Script,
        session::Session,
    },
};
use anyhow::Context as _;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

/// A running SMTP server on 127.0.0.1; dropping it stops it.
#[derive(Debug)]
pub struct SmtpServer {
    address: SocketAddr,
    mailroom: Arc<Mailroom>,
    script: watch::Sender<Script>,
    /// `None` while stopped.
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl SmtpServer {
    /// Starts a server that accepts and keeps everything (port 0: any free one).
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(port: u16) -> anyhow::Result<SmtpServer> {
        Self::start_keeping(port, Keep::All).await
    }

    /// [`SmtpServer::start`] with another choice of the kept mails.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start_keeping(port: u16, keep: Keep) -> anyhow::Result<SmtpServer> {
        let listener = ports::listen(port).await.context("no port for SMTP")?;
        let server = SmtpServer {
            address: listener.local_addr()?,
            mailroom: Arc::new(Mailroom::new(keep)),
            script: watch::Sender::new(Script::accept_all()),
            accepting: Mutex::new(None),
        };
        server.accept_from(listener);
        Ok(server)
    }

    /// The server's address. It stays the same after [`SmtpServer::restart`].
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the script, for open sessions as well: those that [`hang`](crate::smtp::Action::Hang) ask the new one at
    /// once.
    pub fn set_script(&self, script: Script) {
        self.script.send_replace(script);
    }

    /// Calls `observer` with each mail before the final dot is answered. It must be quick: the session waits.
    pub fn on_mail(&self, observer: impl Fn(&ReceivedMail) + Send + Sync + 'static) {
        self.mailroom.observe(Box::new(observer));
    }

    /// The kept mails, oldest first.
    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.mailroom.mails().clone()
    }

    /// The number of received mails, kept or not.
    pub fn count(&self) -> usize {
        self.mailroom.count()
    }

    /// The numbers of sessions.
    pub fn sessions(&self) -> SessionCount {
        self.mailroom.sessions()
    }

    /// Waits until the kept mails satisfy a condition; false when they don't within `limit`.
    pub async fn wait_for(&self, condition: impl Fn(&[ReceivedMail]) -> bool, limit: Duration) -> bool {
        let mut count = self.mailroom.watch_count();
        let satisfied = async {
            while !condition(&self.mailroom.mails()) {
                if count.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        timeout(limit, satisfied).await.unwrap_or(false)
    }

    /// Waits until this many mails were received, kept or not; false when they weren't within `limit`.
    pub async fn wait_for_count(&self, mails: usize, limit: Duration) -> bool {
        let mut count = self.mailroom.watch_count();
        matches!(timeout(limit, count.wait_for(|count| *count >= mails)).await, Ok(Ok(_)))
    }

    /// Closes the listener and drops all sessions at once, whatever their stage. Mails and counts stay.
    pub async fn stop(&self) {
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = accepting {
            task.abort();
            // The task is cancelled. After this its listener is closed.
            drop(task.await);
        }
    }

    /// Listens again on the same port. The server may be running or stopped.
    ///
    /// # Errors
    /// Another process has taken the port.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.stop().await;
        self.accept_from(ports::listen(self.address.port()).await?);
        Ok(())
    }

    fn accept_from(&self, listener: TcpListener) {
        let task = tokio::spawn(accept(listener, self.mailroom.clone(), self.script.subscribe()));
        *self.accepting.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// Serves until it is dropped; all sessions end with it.
async fn accept(listener: TcpListener, mailroom: Arc<Mailroom>, script: watch::Receiver<Script>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        log::debug!("TCP_NODELAY: {error}");
                    }
                    sessions.spawn(Session::new(stream, mailroom.enter(), script.clone()).run());
                }
                Err(error) => {
                    log::warn!("cannot accept an SMTP session: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}
