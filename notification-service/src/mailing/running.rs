//! Deliveries in flight, and the mails that were sent lately.

use super::{
    backlog::Item,
    recent::{MailId, Recent},
};
use crate::{
    gate::{Signal, Tried},
    offsets::Position,
    outcome::Report,
    server_number::ServerNumber,
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
    pub(super) server: ServerNumber,
    /// It is the probe: the closed gate waits for its result.
    pub(super) probe: bool,
    pub(super) began: Instant,
    /// It mails. No other record of the same mail is started meanwhile.
    pub(super) mails: bool,
    /// Its mail is with the server, or waits for a session.
    pub(super) asks: bool,
    /// The shell was told to take it back from the server.
    pub(super) withdrawn: Option<Withdrawal>,
    /// What the try said about the mail server.
    pub(super) report: Report,
    /// Its outcome gets no log line.
    pub(super) quiet: bool,
}

/// How firmly a delivery was taken back from its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Withdrawal {
    /// Only if the server can't have accepted the mail: it hasn't got all of the content.
    IfUnsent,
    /// In any case. The server may have accepted the mail.
    Anyway,
}

/// Deliveries in flight and recent mails. None at first.
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
    pub(super) recent: Recent,
    started: u64,
    /// Deliveries in flight, by their server.
    of_servers: [usize; ServerNumber::MOST],
}

impl Delivery {
    pub(super) fn new(item: Item, server: ServerNumber, probe: bool, began: Instant) -> Self {
        let report = Report::new(Signal::Silent);
        Self { item, server, probe, began, mails: false, asks: false, withdrawn: None, report, quiet: false }
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
        self.of_servers[delivery.server.index()] += 1;
        self.deliveries.insert(DeliveryId(self.started), delivery);
        DeliveryId(self.started)
    }

    pub(super) fn remove(&mut self, id: DeliveryId) -> Option<Delivery> {
        let delivery = self.deliveries.remove(&id)?;
        self.of_servers[delivery.server.index()] -= 1;
        Some(delivery)
    }

    /// The number of deliveries of this server.
    pub(super) fn of(&self, server: ServerNumber) -> usize {
        self.of_servers[server.index()]
    }

    /// Since when the server has been asked without an answer, by the oldest delivery that was not taken back from it.
    pub(super) fn asked_since(&self, server: ServerNumber) -> Option<Instant> {
        let asked = self.deliveries.values().filter(|it| it.server == server && it.asks);
        asked.filter(|delivery| delivery.withdrawn.is_none()).map(|delivery| delivery.began).min()
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
