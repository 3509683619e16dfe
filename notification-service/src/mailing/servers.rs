//! The mail servers, and which one gets the next mail.
//!
//! The first server whose gate is open gets all mail. A closed gate gets one mail at a time, as a probe. A server with others
//! beside it is also judged by its silence: it may be silent for as long as it has to connect (`SMTP_TIMEOUT`) and the time
//! between two mails at its rate together. A lone server gets all the time of its time-outs, since nobody else would take
//! the mail.
//!
//! The last server whose gate is open keeps it, however silent it is: all servers may be slow, and a single recipient whom
//! no server answers must not stop the mail of the others. It only has to go as soon as another one serves a probe. Each
//! silence gives it twice the time, so that a slow server ends what it began.

use super::{
    Now,
    interface::ServerSettings,
    running::{Delivery, Running},
    server::{Change, Server},
};
use crate::{gate::Admission, server_number::ServerNumber, status::Gates};
use std::time::{Duration, Instant};

/// After this time, a mail with a server whose gate is closed is dropped there if it holds up the others.
const LONGEST_HOLD_UP: Duration = Duration::from_secs(1);

/// All servers, in the order in which they are preferred. Usable at first.
#[derive(Debug)]
pub(super) struct Servers(Vec<Server>);

/// The server of the next mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) server: ServerNumber,
    /// The mail is a probe.
    pub(super) probe: bool,
}

impl Servers {
    /// One server or more; those beyond [`ServerNumber::MOST`] are left out.
    pub(super) fn new(settings: &[ServerSettings]) -> Self {
        let numbers = ServerNumber::ALL.into_iter().zip(settings);
        let several = settings.len() > 1;
        Self(numbers.map(|(number, settings)| Server::new(number, *settings, several)).collect())
    }

    /// Chooses the server of the next mail. `None` while no server may get one. A due probe goes first: the gate opens no
    /// earlier than its probes go well. Of several, that one goes first that is due longest: with few mails, each could
    /// otherwise be a probe of the same server.
    pub(super) fn choose(&self, running: &Running, now: Instant) -> Option<Choice> {
        let has_room = |server: &&Server| server.has_room(running.of(server.number));
        let due = |server: &Server| Some((server.gate.due_since(now)?, server.number));
        let probed = self.0.iter().filter(has_room).filter_map(due).min_by_key(|(since, _)| *since);
        if let Some((_, server)) = probed {
            return Some(Choice { server, probe: true });
        }
        self.open(running).map(|server| Choice { server, probe: false })
    }

    /// The first server whose gate is open, if it has room for one more delivery. One that answers goes first.
    pub(super) fn open(&self, running: &Running) -> Option<ServerNumber> {
        let answers = self.0.iter().find(|server| server.answers());
        let open = answers.or_else(|| self.0.iter().find(|server| server.gate.is_open()))?;
        open.has_room(running.of(open.number)).then_some(open.number)
    }

    /// When the next probe is due, if none is due now.
    pub(super) fn next_probe(&self, now: Instant) -> Option<Instant> {
        let next = self.0.iter().filter_map(|server| match server.gate.admission(now) {
            Admission::Nothing(until) => until,
            Admission::All | Admission::Probe => None,
        });
        next.min()
    }

    /// The server with this number.
    pub(super) fn get(&mut self, number: ServerNumber) -> &mut Server {
        &mut self.0[number.index()]
    }

    /// Whether there is more than one.
    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Whether another server than this one takes mail.
    pub(super) fn is_another_open(&self, number: ServerNumber) -> bool {
        self.0.iter().any(|server| server.number != number && server.gate.is_open())
    }

    /// Whether another server than this one takes mail, and is not silent.
    pub(super) fn does_another_answer(&self, number: ServerNumber) -> bool {
        self.0.iter().any(|server| server.number != number && server.answers())
    }

    /// Whether any server takes mail.
    pub(super) fn is_any_open(&self) -> bool {
        self.0.iter().any(|server| server.gate.is_open())
    }

    /// Whether any server takes mail, and is not silent.
    fn does_any_answer(&self) -> bool {
        self.0.iter().any(Server::answers)
    }

    /// Takes in how a delivery ended, and returns the change of its server's gate, if there is one.
    pub(super) fn observe(&mut self, delivery: &Delivery, now: Now) -> Option<Change> {
        let beside_another = match delivery.withdrawn {
            // Its answer was late, or none.
            Some(_) => self.is_another_open(delivery.server),
            None => self.does_another_answer(delivery.server),
        };
        let change = self.get(delivery.server).observe(delivery, beside_another, now);
        if change == Some(Change::Closed) {
            self.hasten_others(&[delivery.server], now.instant);
        }
        change
    }

    /// Closes the gates of servers that are silent for too long, except the last one, and returns the numbers of silent
    /// servers and of silent probes. Only for servers with others beside them.
    pub(super) fn find_silent(&mut self, running: &Running, now: Now) -> Vec<ServerNumber> {
        let mut silent = Vec::new();
        if !self.are_several() {
            return silent;
        }
        for number in ServerNumber::ALL.into_iter().take(self.0.len()) {
            let (beside_another, another_answers) =
                (self.is_another_open(number), self.does_another_answer(number));
            let server = self.get(number);
            let longest = server.longest_silence(beside_another);
            let asked = running.asked_since(number);
            let is_silent = asked.is_some_and(|since| now.instant >= server.silent_at(since, longest));
            let is_replaced = server.gate.is_open() && !server.answers() && another_answers;
            if is_silent || is_replaced {
                silent.push(number);
                server.is_silent(longest, beside_another, now);
            }
        }
        self.hasten_others(&silent, now.instant);
        silent
    }

    /// The servers on which the others need not wait: their gates are closed, and another one is open.
    pub(super) fn waits_for_nobody(&self) -> Vec<ServerNumber> {
        let closed = self.0.iter().filter(|server| !server.gate.is_open());
        closed.map(|server| server.number).filter(|number| self.is_another_open(*number)).collect()
    }

    /// What health and metrics show.
    pub(super) fn gates(&self) -> Gates {
        Gates::new(self.0.iter().map(|server| server.closed_by.clone()))
    }

    /// When these servers were the last ones that took mail and answered, the long pauses of the others are over.
    fn hasten_others(&mut self, failed: &[ServerNumber], now: Instant) {
        if !failed.is_empty() && !self.does_any_answer() {
            let others = self.0.iter_mut().filter(|server| !failed.contains(&server.number));
            others.for_each(|server| server.gate.hasten(now));
        }
    }
}

/// Whether a mail that holds up others has been with its server for too long.
pub(super) fn holds_up(delivery: &Delivery, now: Instant) -> bool {
    now.saturating_duration_since(delivery.began) >= LONGEST_HOLD_UP
}
