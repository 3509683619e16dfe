//! A mail server: what it says to whom, by its mood and by what the recipient deserves.

use crate::{
    random::{Random, generator},
    schedule::Mood,
};
use notification_service::simulated::{Cause, Phase, Refusal, RefusalKind, ServerFailure, Status, Try};
use rand::RngExt;
use std::{collections::HashMap, time::Duration};

/// What a recipient's mails meet while the server is fair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    Served,
    /// Refused for now in its first minutes, of this number (greylisting).
    Greylisted(u64),
    /// The mailbox is full until the last fault is over.
    Full,
    /// There is no such mailbox.
    Unknown,
    /// Refused for good, without a reason.
    Unclear,
    /// The content is refused until the last fault is over.
    Disliked,
}

/// What the server says to a mail that it has read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    /// It has the mail now.
    pub(crate) accepted: bool,
    /// `None`: no answer, to what is said in this phase.
    pub(crate) says: Result<Try, Phase>,
}

/// Fair to all at first.
#[derive(Debug)]
pub(crate) struct MailServer {
    /// Of each fault that lasts: whom it is for, and how.
    pub(crate) moods: Vec<(usize, Option<usize>, Mood)>,
    /// When a recipient was refused first.
    greylisted_since: HashMap<u64, Duration>,
    /// The last fault is over.
    pub(crate) lenient: bool,
    random: Random,
    /// Decides when the content is on its way.
    sending: Random,
    /// Towards each service: since when it is fair.
    fair_since: Vec<Option<Duration>>,
}

impl MailServer {
    /// `number`: its place among the servers, from 0.
    pub(crate) fn new(seed: u64, number: u8, services: usize) -> Self {
        let part = if number == 0 { 2 } else { 5 + u64::from(number) };
        Self {
            moods: Vec::new(),
            greylisted_since: HashMap::new(),
            lenient: false,
            random: generator(seed, part),
            sending: generator(seed, 8 + u64::from(number)),
            fair_since: vec![Some(Duration::ZERO); services],
        }
    }

    /// Its moods have changed.
    pub(crate) fn mood_changed(&mut self, now: Duration) {
        for service in 0..self.fair_since.len() {
            let is_fair = self.mood(service) == Mood::Fair;
            self.fair_since[service] = if is_fair { self.fair_since[service].or(Some(now)) } else { None };
        }
    }

    /// Since when it is fair to a service.
    pub(crate) fn fair_since(&self, service: usize) -> Option<Duration> {
        self.fair_since[service]
    }

    /// How it is disposed towards a service: the newest fault's mood.
    fn mood(&self, service: usize) -> Mood {
        let concerned = |who: &Option<usize>| who.is_none_or(|who| who == service);
        self.moods.iter().rev().find(|(_, who, _)| concerned(who)).map_or(Mood::Fair, |(_, _, mood)| *mood)
    }

    /// How a new connection begins, and after which time that is known; `timeout`: that of a reply.
    pub(crate) fn connect(
        &mut self,
        service: usize,
        timeout: Duration,
    ) -> (Duration, Result<(), ServerFailure>) {
        let soon = self.moment();
        match self.mood(service) {
            Mood::Away => (soon, Err(failure(Phase::Connect, Cause::Io("connection refused".to_owned())))),
            Mood::NoGreeting => (timeout, Err(failure(Phase::Greeting, Cause::Timeout))),
            Mood::Closing => (soon, Err(failure(Phase::Greeting, Cause::Reply(status(421))))),
            _ => (soon * 3, Ok(())),
        }
    }

    /// How long a mail takes to be read and stored.
    pub(crate) fn takes(&mut self, service: usize) -> Duration {
        let soon = self.moment() * 2;
        match self.mood(service) {
            Mood::Slow(seconds) => {
                soon + Duration::from_secs(seconds).mul_f64(self.random.random_range(0.5..1.0))
            }
            _ => soon,
        }
    }

    /// From the begin of a mail that takes this long until its content is on its way: mostly soon.
    pub(crate) fn sends_after(&mut self, takes: Duration) -> Duration {
        let part = self.sending.random_range(0.0..1.0_f64);
        takes.mul_f64(if self.sending.random_bool(0.5) { part / 10.0 } else { part })
    }

    /// What it says to a mail.
    pub(crate) fn answer(
        &mut self,
        service: usize,
        recipient: u64,
        treatment: Treatment,
        now: Duration,
    ) -> Answer {
        let says = |ended: Try| Answer { accepted: false, says: Ok(ended) };
        let dropped = || Ok(Try::Failed(failure(Phase::Content, Cause::Broken)));
        match self.mood(service) {
            Mood::Fair | Mood::Slow(_) => says(self.fair(recipient, treatment, now)),
            Mood::Away | Mood::NoGreeting | Mood::Drops => {
                says(Try::Failed(failure(Phase::MailFrom, Cause::Broken)))
            }
            Mood::Silent => Answer { accepted: false, says: Err(Phase::Recipient) },
            Mood::TakesSilently => Answer { accepted: true, says: Err(Phase::Content) },
            Mood::TakesAndDrops => Answer { accepted: true, says: dropped() },
            Mood::Unwelcome => says(Try::Unwelcome(failure(Phase::Recipient, Cause::Reply(status(554))))),
            Mood::Closing => says(Try::Failed(failure(Phase::MailFrom, Cause::Reply(status(421))))),
            Mood::RefusesAll { for_good: true } => says(refused(RefusalKind::RecipientUnclear, 550)),
            Mood::RefusesAll { for_good: false } => says(refused(RefusalKind::ForNow, 451)),
            Mood::DislikesAll => says(refused(RefusalKind::Content, 554)),
        }
        .accepting()
    }

    fn fair(&mut self, recipient: u64, treatment: Treatment, now: Duration) -> Try {
        match treatment {
            Treatment::Greylisted(minutes) => {
                let since = *self.greylisted_since.entry(recipient).or_insert(now);
                if now < since + Duration::from_mins(minutes) && !self.lenient {
                    return refused(RefusalKind::ForNow, 450);
                }
                Try::Accepted
            }
            Treatment::Full if !self.lenient => refused(RefusalKind::RecipientForNow, 452),
            Treatment::Disliked if !self.lenient => refused(RefusalKind::Content, 554),
            Treatment::Unknown => refused(RefusalKind::Recipient, 550),
            Treatment::Unclear => refused(RefusalKind::RecipientUnclear, 550),
            Treatment::Served | Treatment::Full | Treatment::Disliked => Try::Accepted,
        }
    }

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.random.random_range(200..8_000))
    }
}

impl Answer {
    /// The server has the mail if it says so.
    fn accepting(self) -> Self {
        Self { accepted: self.accepted || matches!(self.says, Ok(Try::Accepted)), ..self }
    }
}

pub(crate) fn failure(phase: Phase, cause: Cause) -> ServerFailure {
    ServerFailure { phase, cause }
}

fn refused(kind: RefusalKind, code: u16) -> Try {
    Try::Refused(Refusal { kind, status: Some(status(code)) })
}

fn status(code: u16) -> Status {
    Status { code, enhanced: None }
}
