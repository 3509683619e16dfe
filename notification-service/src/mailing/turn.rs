//! Whose turn it is: the next record to start. Pure.

use super::{assignment::Assignment, backlog::Item};
use crate::offsets::Position;

/// The next record to start, and how.
#[derive(Debug)]
pub(super) enum Turn {
    /// It may be mailed.
    Ready(Item),
    /// It waits for its next try and blocks the commit of finished records, whose number is at its limit. It goes to the
    /// retry topic.
    MakeWay(Item),
}

impl Assignment {
    /// The next record to start. At the limit on uncommitted records only one that blocks a commit qualifies, and only while
    /// no commit makes room: any other would exceed the limit.
    pub(super) fn next(&mut self, at_bound: bool, is_running: impl Fn(Position) -> bool) -> Option<Turn> {
        if !at_bound {
            return self.backlog.pop().map(Turn::Ready);
        }
        if self.offsets.commit_makes_room() {
            return None;
        }
        let blockers: Vec<_> = self.offsets.blockers().filter(|at| !is_running(*at)).collect();
        // Usually all of them are running. Then the search of a long backlog would find nothing.
        if blockers.is_empty() {
            return None;
        }
        let is_in_the_way = |position| blockers.contains(&position);
        let ready = self.backlog.pop_ready(is_in_the_way).map(Turn::Ready);
        ready.or_else(|| self.backlog.pop_delayed(is_in_the_way).map(Turn::MakeWay))
    }
}
