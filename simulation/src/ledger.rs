//! The exact ledger of a run: what was promised, checked while it happens and at the end.
//!
//! ```text
//!   accounts     what the log says of accounts, in the order of its records; read: how far a replica has read it
//!   signups      what user services publish, checked at each event
//!   answers      what they answer
//!   records      what each record asks for
//!   assignments  what a service was given, has finished and has committed; checked at each step
//!   servers      which mail server a service uses, and when; checked at each step
//!   progress     whether mail moves while a server is fair; looked at every second
//!   mails        what became of each mail, and why some were sent twice; checked at the end
//! ```
//!
//! It knows what happened on both sides, and asks the state machine nothing.

mod accounts;
mod read;
mod signups;
mod answers;
mod records;
mod assignments;
mod mails;
mod servers;
mod progress;

use crate::{
    people::asks_for_a_mail,
    setup::{Setup, code_key, id_secret},
};
use accounts::Accounts;
use assignments::{Assignment, Knowledge};
use contract::{
    account_id::AccountId,
    code_secrets::CodeKey,
    event::{Event, EventId},
    person::Person,
    registration_id::RegistrationId,
    request_id::RequestId,
};
use jiff::Timestamp;
use mails::Mail;
use notification_service::simulated::{DeliveryId, Partition, ServerSettings};
pub(crate) use read::Read;
use records::Content;
use signups::Called;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use user_service::{IdSecret, Rules};

/// A promise that was broken.
#[derive(Debug, Clone)]
pub(crate) struct Breach {
    pub(crate) promise: &'static str,
    pub(crate) at: Duration,
    pub(crate) detail: String,
    /// The sign-up that it is about: what its lines in the chronicle have in common.
    pub(crate) sign_up: Option<String>,
}

/// Names what a process was doing.
type Work = (usize, u64, DeliveryId);

pub(crate) struct Ledger {
    /// The first one; the run ends with it.
    pub(crate) breach: Option<Breach>,
    /// `MAX_UNCOMMITTED`.
    max_uncommitted: usize,
    /// The mail servers.
    servers: Vec<ServerSettings>,
    settles_within: Duration,
    /// Of each id what was published: the same fact twice may have two times.
    events: HashMap<EventId, Vec<Event>>,
    mails: BTreeMap<EventId, Mail>,
    /// The request that asked for a mail first.
    sign_ups: HashMap<EventId, RequestId>,
    records: BTreeMap<(Partition, i64), Content>,
    assignments: Vec<Assignment>,
    /// Of each service.
    known: Vec<Knowledge>,
    works: HashMap<Work, mails::Begun>,
    rules: Rules,
    clock_tolerance: Duration,
    key: CodeKey,
    id_secret: IdSecret,
    accounts: Accounts,
    calls: HashMap<RequestId, Called>,
    /// What was entered for each registration.
    entered: HashMap<RegistrationId, Person>,
    /// Answers of user services so far.
    pub(crate) answers: usize,
}

impl Ledger {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            breach: None,
            max_uncommitted: setup.max_uncommitted,
            servers: setup.servers.clone(),
            settles_within: setup.settles_within(),
            events: HashMap::new(),
            mails: BTreeMap::new(),
            sign_ups: HashMap::new(),
            records: BTreeMap::new(),
            assignments: Vec::new(),
            known: (0..setup.scale.services).map(|_| Knowledge::default()).collect(),
            works: HashMap::new(),
            rules: setup.rules,
            clock_tolerance: setup.clock_tolerance(),
            key: code_key(),
            id_secret: id_secret(),
            accounts: Accounts::default(),
            calls: HashMap::new(),
            entered: HashMap::new(),
            answers: 0,
        }
    }

    /// Notes a broken promise; the first one counts.
    pub(crate) fn breaks(&mut self, promise: &'static str, at: Duration, detail: String) {
        self.breach.get_or_insert(Breach { promise, at, detail, sign_up: None });
    }

    /// An event will be written.
    pub(crate) fn asked(&mut self, event: Event) {
        if asks_for_a_mail(&event) {
            self.sign_ups.entry(event.mail_id()).or_insert_with(|| event.request_id().clone());
        }
        self.events.entry(event.event_id()).or_default().push(event);
    }

    /// Whether an event says what one did that was published.
    fn was_published(&self, event: &Event) -> bool {
        self.events.get(&event.event_id()).is_some_and(|published| published.contains(event))
    }

    /// A record of a user service is written.
    pub(crate) fn written(&mut self, event: &Event, offset: i64, stamped_at: Timestamp, now: Duration) {
        if self.is_in_time(event, stamped_at) {
            self.accounts.written(event, (offset, stamped_at), &self.rules, now);
        }
    }

    /// Whether readers take a record in: its writer's clock and the broker's differed by no more than they may. A verification may
    /// be late.
    fn is_in_time(&self, event: &Event, stamped_at: Timestamp) -> bool {
        let behind = stamped_at.duration_since(event.occurred_at());
        let may_be_late = matches!(event, Event::Verified(_)) && behind.is_positive();
        may_be_late || behind.unsigned_abs() <= self.clock_tolerance
    }

    /// An account was verified before the run.
    pub(crate) fn verified_long_ago(&mut self, account: AccountId, offset: i64) {
        self.accounts.verified_long_ago(account, offset);
    }

    /// Whether an account is verified by the last record of the log.
    pub(crate) fn is_verified(&mut self, account: AccountId) -> bool {
        self.accounts.of(account).is_verified(i64::MAX)
    }

    /// All accounts.
    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        self.accounts.ids().collect()
    }

    /// All registrations.
    pub(crate) fn registrations(&self) -> impl Iterator<Item = RegistrationId> {
        self.accounts.registrations()
    }

    /// The sign-up whose mail a record asks for.
    pub(crate) fn sign_up(&self, record: (Partition, i64)) -> &str {
        let Some(Content::Mail { mail, .. }) = self.records.get(&record) else { return "no mail" };
        self.sign_up_of(mail)
    }

    fn sign_up_of(&self, mail: &EventId) -> &str {
        self.sign_ups.get(mail).map_or("nobody", RequestId::as_str)
    }

    /// Tells recipients apart.
    pub(crate) fn recipient(&self, event: &Event) -> u64 {
        let id = event.account_id();
        id.as_bytes()[..8].iter().fold(0, |number, octet| (number << 8) | u64::from(*octet))
    }
}
