//! The exact ledger of a run: what was promised, checked while it happens and at the end.
//!
//! ```text
//!   records      what each record asks for
//!   assignments  what a service was given, has finished and has committed; checked at each step
//!   mails        what became of each mail, and why some were sent twice; checked at the end
//! ```
//!
//! It knows what happened on both sides, and asks the state machine nothing.

mod records;
mod assignments;
mod mails;

use crate::{mail_server::Treatment, setup::Setup};
use assignments::{Assignment, Knowledge};
use contract::event::{Event, EventId};
use mails::Mail;
use notification_service::simulated::{DeliveryId, Partition};
use records::Content;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

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
    max_uncommitted: usize,
    settles_within: Duration,
    events: HashMap<EventId, (Event, Treatment)>,
    mails: BTreeMap<EventId, Mail>,
    records: BTreeMap<(Partition, i64), Content>,
    assignments: Vec<Assignment>,
    /// Of each service.
    known: Vec<Knowledge>,
    works: HashMap<Work, mails::Begun>,
}

impl Ledger {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            breach: None,
            // At the limit each partition may have one more, which lets the others be committed; all of these are in flight.
            max_uncommitted: setup.max_uncommitted + 2 * setup.sessions,
            settles_within: setup.settles_within(),
            events: HashMap::new(),
            mails: BTreeMap::new(),
            records: BTreeMap::new(),
            assignments: Vec::new(),
            known: (0..setup.services).map(|_| Knowledge::default()).collect(),
            works: HashMap::new(),
        }
    }

    /// Notes a broken promise; the first one counts.
    pub(crate) fn breaks(&mut self, promise: &'static str, at: Duration, detail: String) {
        self.breach.get_or_insert(Breach { promise, at, detail, sign_up: None });
    }

    /// An event will be written.
    pub(crate) fn asked(&mut self, event: Event, treatment: Treatment) {
        self.events.insert(event.event_id(), (event, treatment));
    }

    /// What a recipient's mails meet.
    pub(crate) fn treatment(&self, event: &Event) -> Treatment {
        self.events.get(&event.event_id()).map_or(Treatment::Served, |(_, treatment)| *treatment)
    }

    /// The sign-up whose mail a record asks for.
    pub(crate) fn sign_up(&self, record: (Partition, i64)) -> &str {
        let Some(Content::Mail { mail, .. }) = self.records.get(&record) else { return "no mail" };
        self.sign_up_of(mail)
    }

    fn sign_up_of(&self, mail: &EventId) -> &str {
        let event = self.events.values().find(|(event, _)| event.mail_id() == *mail);
        event.map_or("nobody", |(event, _)| event.request_id().as_str())
    }

    /// Tells recipients apart.
    pub(crate) fn recipient(&self, event: &Event) -> u64 {
        let id = event.account_id();
        id.as_bytes()[..8].iter().fold(0, |number, octet| (number << 8) | u64::from(*octet))
    }
}
