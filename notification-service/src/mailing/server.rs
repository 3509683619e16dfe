//! What is known of one mail server: the gate, why it is closed, and the log lines about that.

use super::{Now, interface::ServerSettings, running::Delivery};
use crate::{
    dead_letter::replay_command,
    gate::{Gate, Signal},
    outcome::Reason,
    server_number::ServerNumber,
};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Instant};

/// For each session, one delivery that uses it and one that is next.
const DELIVERIES_PER_SESSION: usize = 2;

/// The state of a mail server. Usable at first.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) number: ServerNumber,
    settings: ServerSettings,
    /// There are others, so the log says which one is meant.
    several: bool,
    pub(super) gate: Gate,
    /// Why the gate is closed; `None` when it is open.
    pub(super) closed_by: Option<Arc<str>>,
    /// When it last showed that it works.
    last_sign: Option<Instant>,
}

/// A change of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

impl Server {
    pub(super) fn new(number: ServerNumber, settings: ServerSettings, several: bool) -> Self {
        Self { number, settings, several, gate: Gate::default(), closed_by: None, last_sign: None }
    }

    /// Whether it may get one more delivery beside those in flight.
    pub(super) fn has_room(&self, in_flight: usize) -> bool {
        in_flight < self.settings.sessions * DELIVERIES_PER_SESSION
    }

    /// When it has been silent for too long, if it has been asked since this time.
    pub(super) fn silent_at(&self, asked_since: Instant) -> Instant {
        self.last_sign.map_or(asked_since, |sign| sign.max(asked_since)) + self.settings.longest_silence
    }

    /// Closes the gate because of that.
    pub(super) fn close_for_silence(&mut self, now: Now) {
        let reason = format!("no answer for {:?}", self.settings.longest_silence);
        log::warn!("reason" = reason.as_str(); "mail server{} not usable: gate closed, probing", self.name());
        self.gate.close_for_silence(now.instant, now.jitter);
        self.closed_by = Some(reason.into());
    }

    /// Its name in the log: none while there is only one.
    fn name(&self) -> String {
        if self.several { format!(" {}", self.number) } else { String::new() }
    }

    /// Takes in how a delivery ended, and returns the change of the gate, if there is one. `beside_another`: the gate of
    /// another server is open.
    pub(super) fn observe(&mut self, delivery: &Delivery, beside_another: bool, now: Now) -> Option<Change> {
        let (was_open, report) = (self.gate.is_open(), &delivery.report);
        if !matches!(report.signal, Signal::Silent | Signal::Failed) {
            self.last_sign = Some(now.instant);
        }
        self.gate.observe(report.signal, delivery.tried(), beside_another, now.instant, now.jitter);
        let change = match (was_open, self.gate.is_open()) {
            (false, true) => Some(Change::Opened),
            (true, false) => Some(Change::Closed),
            (true, true) | (false, false) => None,
        };
        if change == Some(Change::Opened) {
            self.closed_by = None;
            log::info!("mail server{} usable again: gate open", self.name());
        } else if change == Some(Change::Closed) || (!was_open && report.failure.is_some()) {
            let refused = "refused many recipients in a row";
            let reason = match (&report.failure, report.reply) {
                (Some(failure), _) => self.number.naming(&failure.to_string()).into_owned(),
                (None, Some(reply)) => format!("{refused}, the last with reply {reply}"),
                (None, None) => refused.to_owned(),
            };
            if change == Some(Change::Closed) {
                log::warn!("reason" = reason.as_str(); "mail server{} not usable: gate closed, probing", self.name());
                self.say_how_to_replay(now);
            }
            self.closed_by = Some(reason.into());
        } else if self.gate.is_on_trial() {
            self.closed_by = Some("it works again, and is on trial".into());
        }
        change
    }

    /// Notes that a delivery was dropped. Otherwise the gate would wait for its probe without end.
    pub(super) fn let_go_of(&mut self, delivery: &Delivery, now: Instant) {
        if delivery.probe {
            self.gate.observe(Signal::Silent, delivery.tried(), false, now, 0.0);
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
