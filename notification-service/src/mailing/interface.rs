//! What the state machine and its shell exchange.

use super::{
    batch::CommitConfig,
    running::{DeliveryId, Withdrawal},
};
use crate::{
    offsets::{Partition, Position},
    outcome::{End, Target},
    record::{Lent, Record},
    server_number::ServerNumber,
};
use contract::{event::Event, trace_context::TraceContext};
use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A record arrived.
    Taken { partition: Partition, offset: i64, lent: Lent<'a> },
    /// The task of a delivery has ended.
    Ended { delivery: DeliveryId, end: End },
    /// The commit succeeded.
    Committed,
    /// The commit failed; the next one includes its records. `expelled`: the group has removed this member.
    CommitFailed { expelled: bool },
    /// This member owns these partitions from now on, and none of those before.
    Assigned(Vec<Partition>),
    /// All partitions are to be given up. `lost`: they already belong to other members.
    Revoked { lost: bool },
    /// The process is asked to end.
    Stop,
    /// Time has passed.
    Tick,
}

/// What the shell has to do.
#[derive(Debug)]
pub enum Command {
    /// Send the mail that the event of this record asks for, through this server. `trace`: the trace that the record
    /// belongs to.
    Start {
        delivery: DeliveryId,
        server: ServerNumber,
        position: Position,
        event: Arc<Event>,
        trace: Option<TraceContext>,
    },
    /// Write the record to another topic, and wait for the broker's ack.
    Write { delivery: DeliveryId, record: Arc<Record>, target: Target },
    /// Interrupt all deliveries that wait for a session.
    CallBack,
    /// Interrupt the deliveries of this server. Other servers take their mails.
    Withdraw { server: ServerNumber, withdrawal: Withdrawal },
    /// Interrupt all SMTP transactions. The server may have accepted those mails.
    Abandon,
    /// Drop all tasks, including writes that have no ack yet.
    Discard,
    /// Commit these records. Each covers all records before it in its partition.
    Commit(Vec<Position>),
    /// Stop fetching from these partitions.
    Pause(Vec<Partition>),
    /// Fetch from these partitions again.
    Resume(Vec<Partition>),
    /// Accept these partitions.
    Assign(Vec<Partition>),
    /// Give up all partitions.
    Unassign,
    /// Leave the group and end: everything has ended and is committed, or the time for that is over.
    Leave,
}

/// The time of an input, and one random number for it.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub instant: Instant,
    pub wall: Timestamp,
    /// Uniform in 0..1.
    pub jitter: f64,
}

impl Now {
    /// A number of its own for each record, uniform as well (a rotation by the golden ratio). Otherwise all records that are
    /// put off in one step would be due at the same moment.
    pub(super) fn jitter_of(self, position: Position) -> f64 {
        let number = position.offset.wrapping_add(position.partition.number.into());
        (self.jitter + 0.618_033_988_749_894_8 * number as f64).fract()
    }
}

/// The configuration of the state machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The consumer group. Only this group takes its retries.
    pub group: String,
    pub commit: CommitConfig,
    /// The mail servers, in the order in which they are preferred.
    pub servers: Vec<ServerSettings>,
    /// The limit in octets on waiting records.
    pub max_backlog_octets: usize,
    /// How far the clock of a record's writer may differ from the broker's.
    pub clock_tolerance: Duration,
}

/// What the state machine has to know of a mail server.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// The most SMTP sessions.
    pub sessions: usize,
    /// How long it may end no mail while it has some and another server could take them.
    pub longest_silence: Duration,
}
