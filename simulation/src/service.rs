//! A process of the notification service: the real state machine, and what surrounds it.

use crate::{
    client::Client,
    random::Random,
    schedule::{CommitFault, Link},
};
use contract::event::Event;
use jiff::SignedDuration;
use notification_service::simulated::{
    DeliveryId, End, Header, Input, Mailing, Now, Phase, Record, ServerFailure, Settings, Target, Try,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// Whether a process gets anything done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Frozen,
    Down,
}

/// What a process does next. It does one thing at a time.
#[derive(Debug)]
pub(crate) enum Next {
    /// SIGTERM.
    Stop,
    Tick,
    Heartbeat,
    /// A rebalance was reported.
    Rebalance,
    /// The next record is there.
    Receive,
    /// A session is there, or none can be opened.
    Session(DeliveryId, Result<(), ServerFailure>),
    /// The mail server has answered.
    Answer(DeliveryId, Try),
    /// It has not answered what was said in this phase.
    NoAnswer(DeliveryId, Phase),
    /// The broker has acknowledged a copy.
    Acked(DeliveryId),
    /// No ack for this writing of a copy.
    NoAck(DeliveryId, u32),
    Ended(DeliveryId),
    /// What was stored is committed now.
    Commit,
    /// `expelled` in the error.
    Committed(Result<(), bool>),
}

/// What was started and has not been reported as ended.
#[derive(Debug)]
pub(crate) enum Task {
    /// It waits for a session with this server, or for a connection, which occupies one.
    Waiting { server: usize, event: Arc<Event>, connecting: bool },
    /// It talks with a mail server, on a session.
    Talking(Talk),
    /// It writes a copy. `times`: how often it has sent it.
    Writing { record: Arc<Record>, target: Target, headers: Vec<Header>, times: u32 },
    /// It has ended like this.
    Ended(End),
}

/// A mail with its server.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) server: usize,
    /// When its content is on its way.
    pub(crate) sent_at: Duration,
    /// To what was said in this phase there will be no answer.
    pub(crate) unanswered: Option<Phase>,
    /// It was to be taken back, and its content was on its way.
    pub(crate) too_late: bool,
}

impl Talk {
    /// Whether its server can't have the mail.
    pub(crate) fn is_unsent(&self, now: Duration) -> bool {
        match self.unanswered {
            Some(phase) => phase != Phase::Content,
            None => now < self.sent_at,
        }
    }
}

/// The sessions with one mail server.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// Deliveries that wait for one.
    pub(crate) waiting: VecDeque<DeliveryId>,
    pub(crate) in_use: usize,
    pub(crate) idle: usize,
}

pub(crate) struct Service {
    pub(crate) state: State,
    /// Tells its processes apart.
    pub(crate) process: u64,
    pub(crate) mailing: Mailing,
    pub(crate) client: Client,
    pub(crate) tasks: BTreeMap<DeliveryId, Task>,
    /// Of each mail server.
    pub(crate) sessions: Vec<Sessions>,
    /// What happened while it was frozen.
    pub(crate) missed: Vec<Next>,
    /// When the next tick is.
    pub(crate) wake: Option<Duration>,
    /// The next record is on its way.
    pub(crate) receives: bool,
    pub(crate) stopping_since: Option<Duration>,
    /// What its wall clock is from the true time.
    pub(crate) skew: SignedDuration,
    /// Faults of its way to the broker that last, by their numbers.
    pub(crate) links: Vec<(usize, Link)>,
    pub(crate) commit_faults: Vec<(usize, CommitFault)>,
    pub(crate) random: Random,
}

impl Service {
    pub(crate) fn new(number: usize, settings: Settings, now: Now, random: Random) -> Self {
        Self {
            state: State::Down,
            process: 0,
            sessions: settings.servers.iter().map(|_| Sessions::default()).collect(),
            mailing: Mailing::new(settings, now),
            client: Client::new(number, Duration::ZERO),
            tasks: BTreeMap::new(),
            missed: Vec::new(),
            wake: None,
            receives: false,
            stopping_since: None,
            skew: SignedDuration::ZERO,
            links: Vec::new(),
            commit_faults: Vec::new(),
            random,
        }
    }

    /// A new process, in which nothing is known.
    pub(crate) fn start(&mut self, number: usize, settings: Settings, now: Now, since_begin: Duration) {
        self.clear();
        self.state = State::Running;
        self.process += 1;
        self.mailing = Mailing::new(settings, now);
        self.client = Client::new(number, since_begin);
    }

    /// The process is gone, with all that it knew.
    pub(crate) fn end(&mut self) {
        self.clear();
        self.state = State::Down;
    }

    fn clear(&mut self) {
        self.tasks.clear();
        self.sessions.iter_mut().for_each(|sessions| *sessions = Sessions::default());
        self.missed.clear();
        (self.wake, self.receives, self.stopping_since) = (None, false, None);
    }

    /// The way to the broker: the worst of its faults.
    pub(crate) fn link(&self) -> Link {
        Link::worst(&self.links)
    }

    /// The rebalance that was reported first.
    pub(crate) fn next_rebalance(&mut self) -> Option<Input<'static>> {
        self.client.rebalances.pop_front()
    }
}
