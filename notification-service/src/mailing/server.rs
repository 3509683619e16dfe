//! What is known of one mail server: the gate, why it is closed, and the log lines about that.

use super::{Now, interface::ServerSettings, running::Delivery};
use crate::{
    dead_letter::replay_command,
    gate::{Gate, Signal},
    outcome::Reason,
    server_number::ServerNumber,
};
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// For each session, one delivery that uses it and one that is next.
const DELIVERIES_PER_SESSION: usize = 2;
/// With a `SMTP_TIMEOUT` of 10 s, more than five minutes, the longest wait for a reply (RFC 5321, section 4.5.3.2).
const MOST_DOUBLINGS: u32 = 5;

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
    /// How often it was silent for too long while no other server took the mail, since it last answered in time.
    silences: u32,
}

/// A change of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

impl Server {
    pub(super) fn new(number: ServerNumber, settings: ServerSettings, several: bool) -> Self {
        Self {
            number,
            settings,
            several,
            gate: Gate::default(),
            closed_by: None,
            last_sign: None,
            silences: 0,
        }
    }

    /// Whether it may get one more delivery beside those in flight.
    pub(super) fn has_room(&self, in_flight: usize) -> bool {
        in_flight < self.settings.sessions * DELIVERIES_PER_SESSION
    }

    /// Whether it takes mail, and is not silent.
    pub(super) fn answers(&self) -> bool {
        self.gate.is_open() && self.silences == 0
    }

    /// How long it may be silent. While no other server takes the mail, twice as long after each silence: it may be slow.
    pub(super) fn longest_silence(&self, beside_another: bool) -> Duration {
        let doublings = if beside_another { 0 } else { self.silences.min(MOST_DOUBLINGS) };
        self.settings.longest_silence.saturating_mul(1 << doublings)
    }

    /// When it has been silent for too long, if it has been asked since this time.
    pub(super) fn silent_at(&self, asked_since: Instant, longest: Duration) -> Instant {
        self.last_sign.map_or(asked_since, |sign| sign.max(asked_since)) + longest
    }

    /// Notes that it, or its probe, has been silent for too long. Closes the gate if another server takes the mail.
    pub(super) fn is_silent(&mut self, longest: Duration, beside_another: bool, now: Now) {
        let reason = format!("no mail ended for {longest:?}");
        if !beside_another {
            self.silences = self.silences.saturating_add(1);
        }
        if self.gate.is_open() && !beside_another {
            log::warn!("reason" = reason.as_str(); "mail server{} is silent, and no other one takes the mail", self.name());
            return;
        }
        if self.gate.is_open() {
            log::warn!("reason" = reason.as_str(); "mail server{} not usable: gate closed, probing", self.name());
            self.gate.close_for_silence(now.instant, now.jitter);
        }
        self.closed_by = Some(reason.into());
    }

    /// The gate no longer waits for this probe, which has not ended: it counts as failed.
    pub(super) fn give_up_probe(&mut self, delivery: &Delivery, now: Now) {
        self.gate.observe(Signal::Failed, delivery.tried(), false, now.instant, now.jitter);
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
            if now.instant.saturating_duration_since(delivery.began) < self.settings.longest_silence {
                self.silences = 0;
            }
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
