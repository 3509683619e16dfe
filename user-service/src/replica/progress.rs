//! How much of the log the view rests on: the next offset of each partition, whether the
//! replay is over, and when the view was last at the log-end offset. No I/O and no clock.

use super::replay::Replay;
use crate::{
    log_ends::{Offsets, Partition},
    rules::Freshness,
};
use std::time::{Duration, Instant};

/// The progress of one view.
#[derive(Default)]
pub(super) struct Progress {
    /// The next offset of each partition, once they are assigned.
    next: Offsets,
    /// The replay, once the partitions are assigned.
    replay: Option<Replay>,
    /// Everything that was in the log at this moment is in the view.
    at_end: Option<Instant>,
}

impl Progress {
    /// Begins a replay that reads each partition from `start` and is over when all have reached `end`.
    pub(super) fn begin(&mut self, start: Offsets, end: Offsets, now: Instant) {
        self.replay = Some(Replay::new(&start, end, now));
        self.next = start;
    }

    /// Notes that the record of this offset was read.
    pub(super) fn took(&mut self, partition: Partition, offset: i64) {
        let after = offset.saturating_add(1);
        if let Some(next) = self.next.get_mut(&partition) {
            *next = after;
        }
        if let Some(replay) = &mut self.replay {
            replay.advance(partition, after);
        }
    }

    /// Notes that the client has passed all offsets before this one, even if they hold no record.
    pub(super) fn passed(&mut self, partition: Partition, position: i64) {
        if let Some(next) = self.next.get_mut(&partition) {
            *next = (*next).max(position);
        }
        if let Some(replay) = &mut self.replay {
            replay.reached(partition, position);
        }
    }

    /// The replay, once it has begun.
    pub(super) fn replay(&mut self) -> Option<&mut Replay> {
        self.replay.as_mut()
    }

    /// Whether the replay is over.
    pub(super) fn is_caught_up(&self) -> bool {
        self.replay.as_ref().is_some_and(Replay::is_over)
    }

    /// How many records the replay has read, and how many it has to read.
    pub(super) fn replayed(&self) -> (u64, u64) {
        let read = |replay: &Replay| (replay.read.unsigned_abs(), replay.total.unsigned_abs());
        self.replay.as_ref().map(read).unwrap_or_default()
    }

    /// The partitions that are read. There are none before they are assigned.
    pub(super) fn partitions(&self) -> Vec<Partition> {
        self.next.keys().copied().collect()
    }

    /// How many records before these log-end offsets are not in the view.
    pub(super) fn behind(&self, ends: &Offsets) -> u64 {
        let behind = |(partition, end): (&Partition, &i64)| {
            let next = self.next.get(partition).unwrap_or(end);
            end.saturating_sub(*next).max(0).unsigned_abs()
        };
        ends.iter().map(behind).fold(0, u64::saturating_add)
    }

    /// Whether the view is as fresh as `wanted`, given the log-end offsets, which were asked for at `asked` or later.
    /// If that means the end of all topics, notes it for [`was_at_end`](Self::was_at_end).
    pub(super) fn reaches(&mut self, wanted: Freshness, ends: &Offsets, asked: Instant) -> bool {
        let mut of_interest = ends.iter().filter(|((topic, _), _)| wanted.topics.contains(topic));
        let is_there = !self.next.is_empty()
            && of_interest.all(|(partition, end)| self.next.get(partition).is_some_and(|next| next >= end));
        if is_there && wanted.topics == Freshness::END.topics {
            self.at_end = self.at_end.max(Some(asked));
        }
        is_there
    }

    /// Whether the view has been at the log-end offset within this time before `now`.
    pub(super) fn was_at_end(&self, within: Duration, now: Instant) -> bool {
        self.at_end.is_some_and(|moment| now.saturating_duration_since(moment) < within)
    }
}
