//! What is known of the mail server: the gate, why it is closed, and the log lines about that.

use super::{Now, running::Delivery};
use crate::{
    dead_letter::replay_command,
    gate::{Gate, Signal},
    outcome::Reason,
};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Instant};

/// The state of the mail server. Usable at first.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) gate: Gate,
    /// Why the gate is closed; `None` when it is open.
    pub(super) closed_by: Option<Arc<str>>,
}

/// A change of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

impl Server {
    /// Takes in how a delivery ended, and returns the change of the gate, if there is one.
    pub(super) fn observe(&mut self, delivery: &Delivery, now: Now) -> Option<Change> {
        let (was_open, report) = (self.gate.is_open(), &delivery.report);
        self.gate.observe(report.signal, delivery.tried(), now.instant, now.jitter);
        let change = match (was_open, self.gate.is_open()) {
            (false, true) => Some(Change::Opened),
            (true, false) => Some(Change::Closed),
            (true, true) | (false, false) => None,
        };
        if change == Some(Change::Opened) {
            self.closed_by = None;
            log::info!("mail server usable again: gate open");
        } else if change == Some(Change::Closed) || (!was_open && report.failure.is_some()) {
            let refused = "refused many recipients in a row";
            let reason = match (&report.failure, report.reply) {
                (Some(failure), _) => failure.to_string(),
                (None, Some(reply)) => format!("{refused}, the last with reply {reply}"),
                (None, None) => refused.to_owned(),
            };
            if change == Some(Change::Closed) {
                log::warn!("reason" = reason.as_str(); "mail server not usable: gate closed, probing");
                self.say_how_to_replay(now);
            }
            self.closed_by = Some(reason.into());
        }
        change
    }

    /// Notes that a delivery was dropped. Otherwise the gate would wait for its probe without end.
    pub(super) fn let_go_of(&mut self, delivery: &Delivery, now: Instant) {
        if delivery.probe {
            self.gate.observe(Signal::Silent, delivery.tried(), now, 0.0);
        }
    }

    /// The first recipients of a row of permanent refusals became dead letters before the gate closed. The log names the
    /// command that replays them.
    fn say_how_to_replay(&self, now: Now) {
        let Some(since) = self.gate.refused_for_good_since() else { return };
        let age = SignedDuration::try_from(now.instant.saturating_duration_since(since)).unwrap_or_default();
        let since = now.wall.checked_sub(age).unwrap_or(Timestamp::MIN);
        log::warn!(
            "replay" = replay_command(Reason::RecipientRefused, since).as_str();
            "recipients were refused for good in a row, and none was accepted: if the server meant this service, replay these dead letters"
        );
    }
}
