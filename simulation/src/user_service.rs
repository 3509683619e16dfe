//! A process of the user service: the real replica with its verbs, and what surrounds it.

use crate::{call::Call, random::Random, schedule::Link, service::State};
use jiff::{SignedDuration, Timestamp};
use notification_service::simulated::Partition;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
    time::Duration,
};
use user_service::simulated::{Asked, Offsets, Published, Replica, Work};

/// What such a process does next. It does one thing at a time.
#[derive(Debug)]
pub(crate) enum UserInput {
    /// It asks where the log begins and ends.
    Begin,
    /// It learns that, and reads.
    Begun(Offsets, Offsets),
    /// The next records are there.
    Read(Reader),
    /// Somebody makes a request.
    Call(Box<Call>),
    /// A request goes on.
    Poll(u64),
    /// A request must be over.
    Over(u64),
    /// The broker has acknowledged a record.
    Acked {
        number: u64,
        partition: i32,
        offset: i64,
        stamped_at: Timestamp,
    },
    /// The producer refuses it.
    Refused(u64),
    /// The log-end offsets are there, or can't be learnt.
    Ends(u64, Option<Offsets>),
    /// It goes to the log-end offsets.
    Look,
    Tidy,
    /// SIGTERM.
    Stop,
    /// It has waited for its requests long enough.
    Leave,
}

/// The two consumers: one for registrations, and one for what a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Patient,
    Prompt,
}

pub(crate) struct UserService {
    pub(crate) state: State,
    /// Tells its processes apart.
    pub(crate) process: u64,
    /// Those that are up.
    pub(crate) replica: Option<Replica>,
    /// Up to when time has passed for it.
    pub(crate) passed: Duration,
    /// The next offset of each partition.
    pub(crate) next: BTreeMap<Partition, i64>,
    /// Where the replay ends.
    pub(crate) replay: BTreeMap<Partition, i64>,
    /// Requests under way.
    pub(crate) requests: BTreeMap<u64, Request>,
    /// Events without an ack.
    pub(crate) published: BTreeMap<u64, Published>,
    /// Queries of the log-end offsets.
    pub(crate) asked: BTreeMap<u64, Asked>,
    numbers: u64,
    /// Whose next records are on their way.
    pub(crate) reads: [bool; 2],
    /// What happened while it was frozen.
    pub(crate) missed: Vec<UserInput>,
    pub(crate) stopping: bool,
    /// It starts again when it has ended.
    pub(crate) restarts: bool,
    /// What its wall clock is from the true time.
    pub(crate) skew: SignedDuration,
    /// Faults of its way to the broker that last, by their numbers.
    pub(crate) links: Vec<(usize, Link)>,
    pub(crate) random: Random,
}

/// A request under way.
pub(crate) struct Request {
    pub(crate) work: Work,
    /// `None`: the process itself asks.
    pub(crate) call: Option<Call>,
    pub(crate) woken: Arc<Woken>,
}

/// Whether a request was woken since it was polled.
#[derive(Default)]
pub(crate) struct Woken(AtomicBool);

impl Woken {
    /// Answers that, and forgets it.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl UserService {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            state: State::Down,
            process: 0,
            replica: None,
            passed: Duration::ZERO,
            next: BTreeMap::new(),
            replay: BTreeMap::new(),
            requests: BTreeMap::new(),
            published: BTreeMap::new(),
            asked: BTreeMap::new(),
            numbers: 0,
            reads: [false; 2],
            missed: Vec::new(),
            stopping: false,
            restarts: false,
            skew: SignedDuration::ZERO,
            links: Vec::new(),
            random,
        }
    }

    /// A new process, which has read nothing.
    pub(crate) fn start(&mut self, replica: Replica, now: Duration) {
        self.end();
        (self.state, self.replica, self.passed) = (State::Running, Some(replica), now);
        self.process += 1;
        self.restarts = false;
    }

    /// The process is gone, with all that it knew.
    pub(crate) fn end(&mut self) {
        self.requests.clear();
        self.published.clear();
        self.asked.clear();
        self.next.clear();
        self.missed.clear();
        (self.state, self.replica, self.stopping, self.reads) = (State::Down, None, false, [false; 2]);
    }

    /// Names something that is under way.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The way to the broker: the worst of its faults.
    pub(crate) fn link(&self) -> Link {
        Link::worst(&self.links)
    }
}
