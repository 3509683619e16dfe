//! The received mails and the counts of sessions, shared by the server's sessions and its owner.

use jiff::Timestamp;
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::watch;

/// A mail as received.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceivedMail {
    /// The name that the client gave in `EHLO` or `HELO`.
    pub helo: String,
    /// The envelope's sender; empty for a bounce.
    pub from: String,
    /// The envelope's recipients.
    pub recipients: Vec<String>,
    /// The `Message-ID` header's value.
    pub message_id: Option<String>,
    /// Headers and body, without the dots that SMTP adds. Empty with [`Keep::Envelopes`].
    pub data: Vec<u8>,
    /// When the final dot arrived.
    pub received_at: Timestamp,
}

/// Which mails a server keeps. All mails are counted and passed to observers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Keep {
    /// Every mail with its data: for tests.
    #[default]
    All,
    /// Every mail without its data: for load tests.
    Envelopes,
    /// No mail.
    Nothing,
}

/// The numbers of a server's sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionCount {
    /// All since the server was created, over all restarts.
    pub opened: usize,
    /// Open now.
    pub open: usize,
    /// The most that were open at once.
    pub peak: usize,
}

type Observer = Box<dyn Fn(&ReceivedMail) + Send + Sync>;

pub(super) struct Mailroom {
    keep: Keep,
    mails: Mutex<Vec<ReceivedMail>>,
    observers: RwLock<Vec<Observer>>,
    /// The number of received mails. A task that waits for the next mail watches it.
    count: watch::Sender<usize>,
    opened: AtomicUsize,
    open: AtomicUsize,
    peak: AtomicUsize,
}

impl Mailroom {
    pub(super) fn new(keep: Keep) -> Mailroom {
        Mailroom {
            keep,
            mails: Mutex::default(),
            observers: RwLock::default(),
            count: watch::Sender::new(0),
            opened: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    pub(super) fn observe(&self, observer: Observer) {
        self.observers.write().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    pub(super) fn receive(&self, mut mail: ReceivedMail) {
        for observer in self.observers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            observer(&mail);
        }
        if self.keep != Keep::Nothing {
            if self.keep == Keep::Envelopes {
                mail.data = Vec::new();
            }
            self.mails().push(mail);
        }
        self.count.send_modify(|count| *count += 1);
    }

    pub(super) fn mails(&self) -> MutexGuard<'_, Vec<ReceivedMail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        *self.count.borrow()
    }

    pub(super) fn watch_count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    pub(super) fn sessions(&self) -> SessionCount {
        SessionCount {
            opened: self.opened.load(Ordering::SeqCst),
            open: self.open.load(Ordering::SeqCst),
            peak: self.peak.load(Ordering::SeqCst),
        }
    }

    /// Counts a session until the pass is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> SessionPass {
        let number = self.opened.fetch_add(1, Ordering::SeqCst) + 1;
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(open, Ordering::SeqCst);
        SessionPass { mailroom: self.clone(), number }
    }
}

impl fmt::Debug for Mailroom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailroom").field("count", &self.count()).field("sessions", &self.sessions()).finish()
    }
}

/// An open session in the count, with access to the mailroom.
#[derive(Debug)]
pub(super) struct SessionPass {
    pub(super) mailroom: Arc<Mailroom>,
    /// The session's number, from 1.
    pub(super) number: usize,
}

impl Drop for SessionPass {
    fn drop(&mut self) {
        self.mailroom.open.fetch_sub(1, Ordering::SeqCst);
    }
}
