//! The mail server: always refuses some recipients, fails by the schedule, and keeps every mail for the ledger.

use crate::{
    evidence::Mail,
    garbage,
    people::{self, FULL, GREYLISTED, REFUSED},
    schedule::MailFault,
};
use anyhow::Context as _;
use jiff::Timestamp;
use sandbox::smtp::{Action, Keep, ReceivedMail, Script, SmtpServer, Stage, Step};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// During that fault one of this many mails is dropped after its final dot.
const DROP_EVERY: usize = 3;
const GREYLISTINGS: usize = 2;

/// The running mail server.
#[derive(Debug)]
pub(crate) struct Sink {
    server: SmtpServer,
    state: Arc<State>,
}

/// A mail with a code, as its reader uses it.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// The registration in its link.
    pub(crate) registration: String,
    pub(crate) code: String,
    pub(crate) token: String,
}

#[derive(Debug, Default)]
struct State {
    mails: Mutex<Vec<Mail>>,
    letters: Mutex<HashMap<String, Vec<Letter>>>,
    greylisted: Mutex<HashMap<String, usize>>,
    /// The mails of each session, while their number is limited.
    mails_of_sessions: Mutex<HashMap<usize, usize>>,
    finished: AtomicUsize,
    /// Mails that were accepted without a reply.
    dropped: AtomicUsize,
}

impl Sink {
    /// Listens on a free port.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let server = SmtpServer::start_keeping(0, Keep::Nothing).await.context("no mail server")?;
        let sink = Self { server, state: Arc::default() };
        let state = Arc::clone(&sink.state);
        sink.server.on_mail(move |mail| state.take(mail));
        sink.server.set_script(sink.script(None));
        Ok(sink)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The mails with a code to an address in any spelling, oldest first.
    pub(crate) fn letters(&self, email: &str) -> Vec<Letter> {
        lock(&self.state.letters).get(&email.to_ascii_lowercase()).cloned().unwrap_or_default()
    }

    /// All mails, in the order of arrival.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        lock(&self.state.mails).clone()
    }

    /// Begins a fault. Returns the number of duplicates that this may cause.
    pub(crate) async fn fail(&self, fault: MailFault) -> usize {
        self.state.dropped.store(0, Ordering::SeqCst);
        if fault == MailFault::Away {
            // Each of these sessions may have taken a mail without a reply.
            let open = self.server.sessions().open;
            self.server.stop().await;
            return open;
        }
        self.server.set_script(self.script(Some(fault)));
        0
    }

    /// Ends the fault. Returns the number of duplicates that the fault and its end may cause.
    pub(crate) async fn recover(&self, fault: MailFault) -> anyhow::Result<usize> {
        if fault == MailFault::Away {
            self.server.restart().await?;
        }
        // Hanging sessions continue, perhaps at the moment at which their clients give up.
        let hanging = if matches!(fault, MailFault::Hang(_)) { self.server.sessions().open } else { 0 };
        self.server.set_script(self.script(None));
        Ok(hanging + self.state.dropped.load(Ordering::SeqCst))
    }

    fn script(&self, fault: Option<MailFault>) -> Script {
        let state = Arc::clone(&self.state);
        Script::new(move |step| {
            let action = fault.map_or(Action::Accept, |fault| state.fail(fault, step));
            match (if action == Action::Accept { state.judge_recipient(step) } else { action }, fault) {
                (Action::Accept, Some(MailFault::Latin1)) => Action::Say(in_latin1(step.stage)),
                (action, _) => action,
            }
        })
    }
}

impl State {
    fn fail(&self, fault: MailFault, step: &Step<'_>) -> Action {
        match fault {
            MailFault::Disconnect(stage) if stage == step.stage => Action::Disconnect,
            MailFault::Hang(stage) if stage == step.stage => Action::Hang,
            MailFault::Reply(stage, code) if stage == step.stage => Action::reply(code, "not now"),
            MailFault::Slow(time) if step.stage == Stage::EndOfData => Action::Delay(time),
            MailFault::MailsPerSession(most) if step.stage == Stage::Data => {
                let mut mails = lock(&self.mails_of_sessions);
                let mails = mails.entry(step.session).or_default();
                *mails += 1;
                if *mails > most {
                    return Action::reply(452, "4.4.5 Maximum number of messages per session exceeded");
                }
                Action::Accept
            }
            MailFault::Sessions(most) if step.stage == Stage::Connect && step.open > most => {
                Action::reply(421, "4.7.0 Too many concurrent SMTP connections")
            }
            MailFault::DropAfterFinalDot if step.stage == Stage::EndOfData => {
                if self.finished.fetch_add(1, Ordering::SeqCst).is_multiple_of(DROP_EVERY) {
                    self.dropped.fetch_add(1, Ordering::SeqCst);
                    return Action::AcceptThenDisconnect;
                }
                Action::Accept
            }
            _ => Action::Accept,
        }
    }

    fn judge_recipient(&self, step: &Step<'_>) -> Action {
        let recipient = step.argument;
        if step.stage != Stage::Rcpt {
            return Action::Accept;
        }
        if is_refused(recipient) {
            return Action::reply(550, "no such user");
        }
        if recipient.starts_with(FULL) {
            return Action::reply(452, "mailbox full");
        }
        if recipient.starts_with(GREYLISTED) {
            let mut greylisted = lock(&self.greylisted);
            let times = greylisted.entry(recipient.to_owned()).or_default();
            *times += 1;
            if *times <= GREYLISTINGS {
                return Action::reply(451, "try again later");
            }
        }
        Action::Accept
    }

    fn take(&self, received: &ReceivedMail) {
        let mail = read(received);
        if mail.recipient.ends_with(garbage::DOMAIN) {
            return;
        }
        if let (Some(code), Some(registration), Some(token)) =
            (mail.code.clone(), mail.registration.clone(), mail.token.clone())
        {
            let letter = Letter { registration, code, token };
            lock(&self.letters).entry(mail.recipient.to_ascii_lowercase()).or_default().push(letter);
        }
        lock(&self.mails).push(mail);
    }
}

/// The usual reply of a stage, with text that is neither ASCII nor UTF-8.
fn in_latin1(stage: Stage) -> Vec<u8> {
    let reply: &[u8] = match stage {
        Stage::Connect => b"220 caf\xe9.example ESMTP pr\xeat\r\n",
        Stage::Ehlo => b"250-caf\xe9.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
        Stage::Mail | Stage::Rcpt | Stage::EndOfData => b"250 2.0.0 accept\xe9\r\n",
        Stage::Data => b"354 \xe0 vous\r\n",
    };
    reply.to_vec()
}

/// Whether mail to this address is refused for good.
pub(crate) fn is_refused(address: &str) -> bool {
    address.starts_with(REFUSED)
}

fn read(received: &ReceivedMail) -> Mail {
    let content = received.content();
    let mail_id = received.message_id.as_deref().and_then(|id| id.strip_prefix('<')?.split_once('@'));
    let lines = || content.text.as_deref().unwrap_or_default().lines().map(str::trim);
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|octet| octet.is_ascii_digit());
    let link = |line: &str| {
        let (registration, token) = line.split_once("/#id=")?.1.split_once("&token=")?;
        Some((registration.to_owned(), token.to_owned()))
    };
    let (registration, token) = lines().find_map(link).unzip();
    let says = |name: &str| {
        let parts = [Some(&content.subject), content.text.as_ref(), content.html.as_ref()];
        parts.into_iter().flatten().any(|part| part.contains(name))
    };
    Mail {
        mail_id: mail_id.and_then(|(id, _)| id.parse().ok()),
        request_id: content.header("X-Request-Id").unwrap_or_default().to_owned(),
        recipient: received.recipients.join(","),
        code: lines().find(is_code).map(str::to_owned),
        registration,
        token,
        names: people::words().filter(|name| says(name)).collect(),
        // To the ledger, a mail without a date began too late.
        begun_at: content.date.unwrap_or(Timestamp::MAX),
        received_at: received.received_at,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
