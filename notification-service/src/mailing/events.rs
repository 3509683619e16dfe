//! What the state machine and its shell say to each other.

use super::{batch::CommitConfig, running::DeliveryId};
use crate::{
    offsets::{Partition, Position},
    outcome::{End, Target},
    record::{Lent, Record},
};
use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What happened.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A record arrived.
    Taken { partition: Partition, offset: i64, lent: Lent<'a> },
    /// The task of a delivery has ended.
    Ended { delivery: DeliveryId, end: End },
    /// The commit succeeded.
    Committed,
    /// The commit failed; its records go into the next one. `expelled`: the group goes on without this member.
    CommitFailed { expelled: bool },
    /// These partitions are this member's from now on. It no longer has those of the previous assignment.
    Assigned(Vec<Partition>),
    /// All partitions are to be given up; `lost` when they already belong to somebody else.
    Revoked { lost: bool },
    /// The process is asked to end.
    Stop,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Command {
    /// Send the mail that the event asks for.
    Start { delivery: DeliveryId, event: Arc<contract::event::Event> },
    /// Write a copy of the record, until the broker has acknowledged it.
    Write { delivery: DeliveryId, record: Arc<Record>, target: Target },
    /// Interrupt all deliveries that wait for a session.
    CallBack,
    /// Interrupt all talks with the mail server, which may have taken those mails.
    Abandon,
    /// Drop all tasks that were started, also those that write.
    Discard,
    /// Commit these records, and with each all records before it in its partition.
    Commit(Vec<Position>),
    /// Fetch nothing more of these partitions for now.
    Pause(Vec<Partition>),
    /// Fetch these partitions again.
    Resume(Vec<Partition>),
    /// Tell the group that these partitions are taken over.
    Assign(Vec<Partition>),
    /// Tell the group that all partitions are given up.
    Unassign,
    /// All is settled, or the time for it is over: leave the group and end.
    Leave,
}

/// The time of an event, and one draw for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) wall: Timestamp,
    /// Uniform in 0..1.
    pub(crate) jitter: f64,
}

impl Now {
    /// A jitter of its own for each record, uniform as well (a rotation by the golden ratio). With one jitter, all records that
    /// are put off in one step would be due at the same moment.
    pub(super) fn jitter_of(self, position: Position) -> f64 {
        let number = position.offset.wrapping_add(position.partition.number.into());
        (self.jitter + 0.618_033_988_749_894_8 * number as f64).fract()
    }
}

/// What the state machine needs to know of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The consumer group, which alone takes up what it hands on.
    pub(crate) group: String,
    pub(crate) commit: CommitConfig,
    /// SMTP sessions at most.
    pub(crate) sessions: usize,
    /// Octets of records that were taken and wait, at most.
    pub(crate) max_backlog_octets: usize,
    /// How far the clock of a record's writer may be from the broker's.
    pub(crate) clock_tolerance: Duration,
}
