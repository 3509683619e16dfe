//! Commits, partitions that come and go, and the end.

use super::{
    Consumer, Revocation, Stop,
    group::{self, GroupEvent},
};
use crate::{
    delivery::Task,
    offsets::{Partition, Position},
};
use rdkafka::{
    TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task;

/// Deliveries of a partition that is given up may take this long to end.
const REVOCATION_DRAIN: Duration = Duration::from_secs(5);
/// Deliveries may take this long to end when the process stops.
const STOP_DRAIN: Duration = Duration::from_secs(15);
/// And so long for the last commits, and for leaving the group.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

impl Consumer {
    /// Commits what is due, and goes on with giving partitions up.
    pub(super) fn settle(&mut self, now: Instant) {
        self.advance_stop(now);
        self.advance_revocation(now);
        let committable = self.offsets.committable();
        let due = self.batch.is_due(&self.config, committable, now);
        let hurry = self.stop.is_some() || self.revocation.is_some();
        if self.commits.is_empty() && committable > 0 && (due || hurry) {
            self.start_commit();
        }
    }

    /// Commits the prefixes: stored offsets only, so that the client drops those of partitions it has lost. It blocks
    /// for as long as the broker does, so it runs on a thread of its own.
    fn start_commit(&mut self) {
        self.batch.begin();
        let positions = self.offsets.prefixes();
        for Position { partition, offset, .. } in &positions {
            if let Err(error) = self.client.store_offset(partition.topic.name(), partition.number, *offset) {
                log::warn!("kafka.topic" = partition.topic.name(), "kafka.partition" = partition.number, "error" = error.to_string().as_str(); "offset not stored");
            }
        }
        let client = Arc::clone(&self.client);
        self.commits.spawn_blocking(move || {
            let committed = client.commit_consumer_state(CommitMode::Sync);
            (positions, committed)
        });
    }

    pub(super) fn on_committed(
        &mut self,
        committed: Result<(Vec<Position>, KafkaResult<()>), task::JoinError>,
    ) {
        match committed {
            // No offset: all that was stored has been committed.
            Ok((positions, Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)))) => {
                positions.into_iter().for_each(|position| self.offsets.committed(position));
            }
            Ok((_, Err(error))) => {
                log::warn!("error" = error.to_string().as_str(); "commit failed; trying again");
                self.offsets.commit_failed();
            }
            Err(_) => self.offsets.commit_failed(),
        }
    }

    pub(super) fn on_group_event(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assigned(list) => self.on_assigned(&list),
            GroupEvent::Revoked { partitions: list, lost } => {
                let partitions = group::partitions(&list).into_iter().collect();
                log::info!("kafka.partitions" = list.count(), "lost" = lost; "partitions are given up");
                let now = Instant::now();
                // What is lost already belongs to somebody else: there is nothing to wait for or to commit.
                let deadline = if lost { now } else { now + REVOCATION_DRAIN };
                self.revocation = Some(Revocation { list, partitions, deadline, dropped: false });
                if lost {
                    self.drop_revoked();
                    self.give_up();
                }
            }
        }
    }

    fn on_assigned(&mut self, list: &TopicPartitionList) {
        group::partitions(list).into_iter().for_each(|partition| self.offsets.assign(partition));
        match self.client.incremental_assign(list) {
            Ok(()) => {
                log::info!("kafka.partitions" = list.count(); "partitions assigned");
                self.status.set_joined(true);
            }
            Err(error) => log::error!("error" = error.to_string().as_str(); "partitions can't be assigned"),
        }
        if self.sources.is_paused() {
            self.set_paused(true, false);
        }
        if self.retries.is_paused() {
            self.set_paused(true, true);
        }
    }

    /// Gives the revoked partitions up once their deliveries have ended, or were dropped, and their finished records
    /// are committed.
    fn advance_revocation(&mut self, now: Instant) {
        let Some(revocation) = &self.revocation else { return };
        let (overdue, dropped) = (now >= revocation.deadline, revocation.dropped);
        let partitions = revocation.partitions.clone();
        let busy = self.started.values().any(|s| partitions.contains(&s.item.record.position.partition));
        if busy && overdue && !dropped {
            self.drop_revoked();
        }
        if !busy && !overdue && self.requeue_blockers(|partition| partitions.contains(&partition)) {
            return;
        }
        let settled = !busy && self.offsets.committable() == 0 && self.commits.is_empty();
        if settled || now >= self.revocation.as_ref().map_or(now, |r| r.deadline + LEAVE_TIMEOUT) {
            self.give_up();
        }
    }

    fn drop_revoked(&mut self) {
        let Some(revocation) = &mut self.revocation else { return };
        revocation.dropped = true;
        for started in self.started.values() {
            if revocation.partitions.contains(&started.item.record.position.partition) {
                started.abort.abort();
            }
        }
    }

    fn give_up(&mut self) {
        let Some(revocation) = self.revocation.take() else { return };
        self.backlog.retain(|position| !revocation.partitions.contains(&position.partition));
        let handed_back: usize = revocation.partitions.iter().map(|p| self.offsets.revoke(*p)).sum();
        self.status.handed_back(handed_back);
        if let Err(error) = self.client.incremental_unassign(&revocation.list) {
            log::warn!("error" = error.to_string().as_str(); "partitions can't be given up in order");
        }
    }

    pub(super) fn begin_stop(&mut self) {
        log::info!("deliveries.running" = self.running.len(); "draining");
        self.round.cancel();
        self.stop = Some(Stop { deadline: Instant::now() + STOP_DRAIN, dropped: false });
    }

    fn advance_stop(&mut self, now: Instant) {
        let Some(stop) = &mut self.stop else { return };
        if now >= stop.deadline && !stop.dropped {
            stop.dropped = true;
            stop.deadline = now + LEAVE_TIMEOUT;
            self.running.abort_all();
        } else if self.running.is_empty() && !stop.dropped {
            self.requeue_blockers(|_| true);
        }
    }

    /// Writes the unfinished records that stand before finished ones to the retry topic, so that those can be
    /// committed and nothing is mailed twice after an orderly end. Returns whether there were any.
    fn requeue_blockers(&mut self, concerned: impl Fn(Partition) -> bool) -> bool {
        let offsets = &self.offsets;
        let blockers = self.backlog.take_all(|at| concerned(at.partition) && offsets.holds_up_finished(at));
        let any = !blockers.is_empty();
        blockers.into_iter().for_each(|item| self.start(item, Task::Requeue, false));
        any
    }

    /// Whether the loop can end: all has ended and is committed, or the time for that is over.
    pub(super) fn is_drained(&self) -> bool {
        let Some(stop) = &self.stop else { return false };
        let settled = self.running.is_empty() && self.commits.is_empty() && self.offsets.committable() == 0;
        settled || (stop.dropped && Instant::now() >= stop.deadline)
    }

    /// Leaves the group, so that others take over at once.
    pub(super) async fn leave(mut self) {
        self.status.set_joined(false);
        let left = self.status.snapshot().ledger.in_flight;
        self.status.handed_back(usize::try_from(left).unwrap_or(0));
        self.running.shutdown().await;
        self.delivery.mailer.close().await;
        // Without a listener the last revocation is answered where it is reported.
        let (client, events) = (self.client, self.events);
        drop(events);
        let closed = task::spawn_blocking(move || drop(client));
        if tokio::time::timeout(LEAVE_TIMEOUT, closed).await.is_err() {
            log::warn!("the group could not be left in time; its members will notice");
        }
    }
}
