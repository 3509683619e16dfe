//! The deliveries that were started, and the mails that were sent lately.

use super::{
    backlog::Item,
    recent::{MailId, Recent},
};
use crate::{
    gate::{Signal, Tried},
    offsets::Position,
    outcome::Report,
};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};

/// Identifies one delivery; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeliveryId(u64);

/// A record that is being brought to its outcome.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) item: Item,
    /// It is the probe: the closed gate waits for its result.
    pub(super) probe: bool,
    pub(super) began: Instant,
    /// It mails: no other record of the same mail is started meanwhile.
    pub(super) mails: bool,
    /// What its try said about the mail server.
    pub(super) report: Report,
    /// No log line says how it ends.
    pub(super) quiet: bool,
}

/// None at first.
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
    pub(super) recent: Recent,
    started: u64,
}

impl Delivery {
    pub(super) fn new(item: Item, probe: bool, began: Instant) -> Self {
        Self { item, probe, began, mails: false, report: Report::new(Signal::Silent), quiet: false }
    }

    /// Of a record that is only written elsewhere.
    pub(super) fn quiet(item: Item, began: Instant) -> Self {
        Self { quiet: true, ..Self::new(item, false, began) }
    }

    /// What the gate needs to know of it.
    pub(super) fn tried(&self) -> Tried {
        // The key is the account's id, which is its address's.
        let mut recipient = DefaultHasher::new();
        self.item.record.key.hash(&mut recipient);
        Tried { probe: self.probe, recipient: recipient.finish(), began: self.began }
    }
}

impl Running {
    pub(super) fn add(&mut self, delivery: Delivery) -> DeliveryId {
        self.started += 1;
        self.deliveries.insert(DeliveryId(self.started), delivery);
        DeliveryId(self.started)
    }

    pub(super) fn has(&self, position: Position) -> bool {
        self.deliveries.values().any(|delivery| delivery.item.record.position == position)
    }

    /// Whether another record of the same mail is on its way at this moment.
    pub(super) fn is_mailing(&self, mail: Option<MailId>) -> bool {
        mail.is_some()
            && self.deliveries.values().any(|delivery| delivery.mails && delivery.item.mail == mail)
    }
}
