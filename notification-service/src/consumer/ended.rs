//! What follows from the end of a delivery: the record is finished, goes back, or was given up meanwhile.

use super::{Consumer, Started, recent::MailId};
use crate::{
    delivery::Task,
    gate::{Signal, Tried},
    outcome::{Outcome, Report},
    record::Content,
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};
use tokio::task;

impl Started {
    /// What the gate needs to know of it.
    pub(super) fn tried(&self) -> Tried {
        // The key is the account's id, which is its address's.
        let mut recipient = DefaultHasher::new();
        self.item.record.key.hash(&mut recipient);
        Tried { probe: self.probe, recipient: recipient.finish(), began: self.began }
    }
}

impl Consumer {
    /// Takes in how a delivery ended.
    pub(super) fn on_ended(&mut self, ended: Result<(task::Id, Report), task::JoinError>) {
        let (id, report) = match ended {
            Ok((id, report)) => (id, Some(report)),
            Err(error) => (error.id(), None),
        };
        let Some(started) = self.started.remove(&id) else { return };
        // However it ended: the gate would otherwise wait without end for this probe.
        if report.is_none() && started.probe {
            self.gate.observe(Signal::Silent, started.tried(), Instant::now(), 0.0);
        }
        if let Some(mail) = mail_of(&started) {
            self.mailing.remove(&mail);
            if report.as_ref().is_some_and(|report| report.outcome == Outcome::Delivered) {
                self.recent.insert(mail);
            }
        }
        let position = started.item.record.position;
        match report {
            Some(report) => {
                self.observe(&report, &started);
                if report.outcome == Outcome::Interrupted {
                    self.put_back(started, &report);
                } else {
                    self.finish(position, report.outcome);
                }
            }
            // Aborted with its partition.
            None if !self.offsets.is_current(position) => {}
            None => {
                log::error!(
                    "kafka.topic" = position.partition.topic.name(),
                    "kafka.partition" = position.partition.number,
                    "kafka.offset" = position.offset;
                    "a delivery ended in a bug; the record becomes a dead letter"
                );
                self.start(started.item, Task::GiveUp, false);
            }
        }
    }
}

/// The mail that a delivery sends.
fn mail_of(started: &Started) -> Option<MailId> {
    match &started.item.record.content {
        Content::Event(event) if matches!(started.task, Task::Mail { .. }) => Some(MailId::of(event)),
        _ => None,
    }
}
