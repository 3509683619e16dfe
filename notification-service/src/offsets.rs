//! What may be committed: the contiguous prefix of finished records in each partition, and nothing behind a gap.
//!
//! Records finish in any order. This state dies with its assignment: each assignment has an epoch, and a record that
//! finishes under an old epoch changes nothing. Pure: no Kafka, no clock.

use contract::topic::Topic;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// A partition of one of the project's topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    pub topic: Topic,
    pub number: i32,
}

/// A record's partition and offset, and the assignment under which it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    pub partition: Partition,
    pub offset: i64,
    pub epoch: u64,
}

/// The records that were taken and are not known to be committed.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    partitions: BTreeMap<Partition, Assigned>,
    /// Counts assignments.
    epoch: u64,
    /// The number of taken records in state `Done`.
    done: usize,
}

#[derive(Debug, Default)]
struct Assigned {
    /// Ascending offsets, not always consecutive: compaction leaves holes.
    taken: VecDeque<Taken>,
    /// The number of finished records at the front.
    prefix: usize,
    /// How many of them are in state `Done`.
    done_in_prefix: usize,
    /// How many of them the last `prefixes` included.
    stored: usize,
    /// The highest offset in state `Done`.
    last_done: Option<i64>,
}

#[derive(Debug)]
struct Taken {
    offset: i64,
    written_at: Timestamp,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Finished without effect: a second read has nothing to do either.
    Passed,
    /// Finished with an effect, which a second read would repeat.
    Done,
}

impl Offsets {
    /// Begins an assignment of these partitions and forgets the one before.
    pub(crate) fn assign(&mut self, partitions: impl IntoIterator<Item = Partition>) {
        self.epoch += 1;
        self.done = 0;
        let assigned = |partition| (partition, Assigned::default());
        self.partitions = partitions.into_iter().map(assigned).collect();
    }

    /// Ends the assignment and returns how many of its records were unfinished.
    pub(crate) fn revoke(&mut self) -> usize {
        self.done = 0;
        let taken = std::mem::take(&mut self.partitions).into_values().flat_map(|assigned| assigned.taken);
        taken.filter(|taken| taken.state == State::Open).count()
    }

    /// Notes a record as taken; `None` when the partition is not assigned or the record was taken before.
    pub(crate) fn take(
        &mut self,
        partition: Partition,
        offset: i64,
        written_at: Timestamp,
    ) -> Option<Position> {
        let assigned = self.partitions.get_mut(&partition)?;
        if assigned.taken.back().is_some_and(|last| last.offset >= offset) {
            return None;
        }
        assigned.taken.push_back(Taken { offset, written_at, state: State::Open });
        Some(Position { partition, offset, epoch: self.epoch })
    }

    /// Notes a record as finished; false when its assignment is over or it was finished before.
    pub(crate) fn finish(&mut self, position: Position) -> bool {
        let finished = self.end(position, State::Done);
        self.done += usize::from(finished);
        if finished && let Some(assigned) = self.current(position) {
            assigned.last_done = assigned.last_done.max(Some(position.offset));
        }
        finished
    }

    /// Notes a record as finished without effect.
    pub(crate) fn pass(&mut self, position: Position) -> bool {
        self.end(position, State::Passed)
    }

    fn end(&mut self, position: Position, state: State) -> bool {
        let Some(assigned) = self.current(position) else { return false };
        let Ok(index) = assigned.taken.binary_search_by_key(&position.offset, |taken| taken.offset) else {
            return false;
        };
        if assigned.taken[index].state != State::Open {
            return false;
        }
        assigned.taken[index].state = state;
        while let Some(taken) = assigned.taken.get(assigned.prefix)
            && taken.state != State::Open
        {
            assigned.prefix += 1;
            assigned.done_in_prefix += usize::from(taken.state == State::Done);
        }
        true
    }

    /// Whether the assignment under which the record was taken still holds.
    pub(crate) fn is_current(&self, position: Position) -> bool {
        self.partitions.contains_key(&position.partition) && self.epoch == position.epoch
    }

    /// The first unfinished record of each partition that has a finished one with effect behind it. Until it is finished,
    /// its partition commits no further.
    pub(crate) fn blockers(&self) -> impl Iterator<Item = Position> {
        self.partitions.iter().filter_map(|(partition, assigned)| {
            let offset = assigned.taken.get(assigned.prefix)?.offset;
            let blocks = assigned.last_done > Some(offset);
            blocks.then_some(Position { partition: *partition, offset, epoch: self.epoch })
        })
    }

    /// Whether a record behind this one had an effect. While this one is unfinished, a restart would repeat that effect.
    pub(crate) fn holds_up_done(&self, position: Position) -> bool {
        let done = self.partitions.get(&position.partition).and_then(|assigned| assigned.last_done);
        self.is_current(position) && done > Some(position.offset)
    }

    /// When the oldest unfinished record was written. In each partition that is the first unfinished one.
    pub(crate) fn waiting_since(&self) -> Option<Timestamp> {
        let first = |assigned: &Assigned| assigned.taken.get(assigned.prefix).map(|taken| taken.written_at);
        self.partitions.values().filter_map(first).min()
    }

    /// Memory of this state in octets.
    pub(crate) fn octets(&self) -> usize {
        let octets = |assigned: &Assigned| assigned.taken.len().saturating_mul(size_of::<Taken>());
        self.partitions.values().map(octets).sum()
    }

    /// Records that had an effect and are not known to be committed.
    pub(crate) fn done(&self) -> usize {
        self.done
    }

    /// Whether a commit, possible or in flight, includes records that had an effect. Only these count in [`Offsets::done`].
    pub(crate) fn commit_makes_room(&self) -> bool {
        self.partitions.values().any(|assigned| assigned.done_in_prefix > 0)
    }

    /// Committable records that [`Offsets::prefixes`] has not returned yet.
    pub(crate) fn committable(&self) -> usize {
        self.partitions.values().map(|assigned| assigned.prefix - assigned.stored).sum()
    }

    /// The last record of each prefix that grew, to be stored and committed next.
    pub(crate) fn prefixes(&mut self) -> Vec<Position> {
        let grown = self.partitions.iter_mut().filter(|(_, assigned)| assigned.prefix > assigned.stored);
        grown
            .filter_map(|(partition, assigned)| {
                assigned.stored = assigned.prefix;
                let last = assigned.taken.get(assigned.prefix - 1)?;
                Some(Position { partition: *partition, offset: last.offset, epoch: self.epoch })
            })
            .collect()
    }

    /// Notes that everything up to this record is committed, and forgets it.
    pub(crate) fn committed(&mut self, position: Position) {
        let Some(assigned) = self.current(position) else { return };
        let (mut forgotten, mut done) = (0, 0);
        while let Some(taken) =
            assigned.taken.pop_front_if(|taken| taken.state != State::Open && taken.offset <= position.offset)
        {
            forgotten += 1;
            done += usize::from(taken.state == State::Done);
        }
        assigned.prefix -= forgotten;
        assigned.done_in_prefix -= done;
        assigned.stored = assigned.stored.saturating_sub(forgotten);
        self.done -= done;
    }

    /// Notes that a commit failed: the next [`Offsets::prefixes`] returns its records again.
    pub(crate) fn commit_failed(&mut self) {
        self.partitions.values_mut().for_each(|assigned| assigned.stored = 0);
    }

    fn current(&mut self, position: Position) -> Option<&mut Assigned> {
        self.partitions.get_mut(&position.partition).filter(|_| self.epoch == position.epoch)
    }
}

#[cfg(test)]
mod tests;
