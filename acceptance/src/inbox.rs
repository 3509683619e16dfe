//! The mail server's inbox: the mails of each recipient, as a reader sees them.

use jiff::Timestamp;
use sandbox::smtp::{ReceivedMail, Script, SmtpServer};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// The subject of mails with a code.
pub const VERIFY: &str = "Verify Account";
/// The subject of confirmations.
pub const VERIFIED: &str = "Account Verified";

/// An SMTP server and all mails that it accepted, by recipient.
#[derive(Debug)]
pub struct Inbox {
    server: SmtpServer,
    received: Arc<Received>,
}

/// One mail as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The decoded subject.
    pub subject: String,
    /// The `Message-ID`; empty if there is none.
    pub message_id: String,
    /// The `X-Trace-Id`; empty if there is none.
    pub trace_id: String,
    /// The text part.
    pub text: String,
    /// When the server had the complete mail.
    pub received_at: Timestamp,
}

#[derive(Debug)]
struct Received {
    by_recipient: Mutex<HashMap<String, Vec<Arc<ReceivedMail>>>>,
    count: watch::Sender<usize>,
}

impl Inbox {
    /// Chooses a port, without listening.
    pub async fn new() -> Self {
        let server = SmtpServer::start(0).await.expect("a port for SMTP");
        server.stop().await;
        let received = Arc::new(Received { by_recipient: Mutex::default(), count: watch::Sender::new(0) });
        let observed = Arc::clone(&received);
        server.on_mail(move |mail| observed.take(mail));
        Self { server, received }
    }

    /// Starts to listen.
    pub async fn start(&self) {
        self.server.restart().await.expect("the port is still free");
    }

    /// The server's address, even before it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Changes the server's behaviour from its next step on.
    pub fn set_script(&self, script: Script) {
        self.server.set_script(script);
    }

    /// The number of received mails.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.received.count.borrow()
    }

    /// All mails to an address with this subject, oldest first.
    #[must_use]
    pub fn mails(&self, address: &str, subject: &str) -> Vec<Mail> {
        let received = self.received.lock().get(address).cloned().unwrap_or_default();
        received.iter().map(|mail| Mail::read(mail)).filter(|mail| mail.subject == subject).collect()
    }

    /// Waits for the first mail to an address with this subject.
    pub async fn first(&self, address: &str, subject: &str, limit: Duration) -> Mail {
        let mut first = None;
        let arrived = self.wait_until(limit, || {
            first = self.mails(address, subject).into_iter().next();
            first.is_some()
        });
        assert!(arrived.await, "no mail {subject:?} for {address} in time");
        first.expect("just found")
    }

    /// Checks the condition whenever a mail arrives; false if it does not hold within `limit`.
    pub async fn wait_until(&self, limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let mut count = self.received.count.subscribe();
        let holds = async {
            while !condition() {
                if count.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(limit, holds).await.unwrap_or(false)
    }

    /// Waits for this many mails; false if they do not arrive within `limit`.
    pub async fn wait_for_count(&self, mails: usize, limit: Duration) -> bool {
        self.wait_until(limit, || self.count() >= mails).await
    }
}

impl Received {
    fn take(&self, mail: &ReceivedMail) {
        let mail = Arc::new(mail.clone());
        for recipient in &mail.recipients {
            self.lock().entry(recipient.clone()).or_default().push(Arc::clone(&mail));
        }
        self.count.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Arc<ReceivedMail>>>> {
        self.by_recipient.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mail {
    fn read(mail: &ReceivedMail) -> Self {
        let content = mail.content();
        Self {
            trace_id: content.header("X-Trace-Id").unwrap_or_default().to_owned(),
            subject: content.subject,
            message_id: mail.message_id.clone().unwrap_or_default(),
            text: content.text.unwrap_or_default(),
            received_at: mail.received_at,
        }
    }

    /// The code: the only line of six digits.
    #[must_use]
    pub fn code(&self) -> &str {
        let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|octet| octet.is_ascii_digit());
        let mut codes = self.text.lines().map(str::trim).filter(is_code);
        let code = codes.next().expect("a line with six digits");
        assert_eq!(codes.next(), None, "two codes in one mail");
        code
    }

    /// The token in the link's fragment.
    #[must_use]
    pub fn link_token(&self) -> &str {
        let mut links = self.text.lines().map(str::trim).filter(|line| line.starts_with("http"));
        let (_, fragment) =
            links.next().and_then(|link| link.split_once('#')).expect("a link with a fragment");
        fragment.split('&').find_map(|pair| pair.strip_prefix("token=")).expect("a token in the link")
    }
}
