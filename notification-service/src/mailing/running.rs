//! Deliveries in flight, and the mails that were sent lately.

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
pub struct DeliveryId(u64);

/// A record that is being brought to its outcome.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) item: Item,
    /// It is the probe: the closed gate waits for its result.
    pub(super) probe: bool,
    pub(super) began: Instant,
    /// It mails. No other record of the same mail is started meanwhile.
    pub(super) mails: bool,
    /// What the try said about the mail server.
    pub(super) report: Report,
    /// Its outcome gets no log line.
    pub(super) quiet: bool,
}

/// Deliveries in flight and recent mails. None at first.
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

    /// What the gate needs to know of it.
    pub(super) fn tried(&self) -> Tried {
        // The key is the account's id, so it stands for the address.
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

    /// Whether another record of the same mail is in flight.
    pub(super) fn is_mailing(&self, mail: Option<MailId>) -> bool {
        mail.is_some()
            && self.deliveries.values().any(|delivery| delivery.mails && delivery.item.mail == mail)
    }
}
