//! Commits, partitions that come and go, and the end.

use super::{
    Consumer, Ending,
    group::{self, GroupEvent},
};
use crate::{delivery::Task, offsets::Position};
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

/// Deliveries may take this long to end when partitions are given up or the process stops. Longer than a mail server's
/// silence is waited for by default: what is dropped may have been mailed, and is mailed again.
const DRAIN: Duration = Duration::from_secs(15);
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
            GroupEvent::Revoked { lost } => {
                log::info!("deliveries.running" = self.running.len(), "lost" = lost; "partitions are given up");
                self.call_back_waiting();
                self.revocation = Some(Ending::within(DRAIN));
                // What is lost already belongs to somebody else: there is nothing to wait for or to commit.
                if lost {
                    self.drop_revoked();
                    self.give_up();
                }
            }
        }
    }

    fn on_assigned(&mut self, list: &TopicPartitionList) {
        self.offsets.assign(group::partitions(list));
        match self.client.assign(list) {
            Ok(()) => {
                log::info!("kafka.partitions" = list.count(); "partitions assigned");
                self.status.set_joined(true);
            }
            Err(error) => log::error!("error" = error.to_string().as_str(); "partitions can't be assigned"),
        }
    }

    /// Gives the partitions up once all deliveries have ended, or were dropped, and the finished records are committed.
    fn advance_revocation(&mut self, now: Instant) {
        let Some(Ending { deadline, dropped }) = self.revocation else { return };
        let (busy, overdue) = (!self.running.is_empty(), now >= deadline);
        if busy && overdue && !dropped {
            self.drop_revoked();
        }
        if !busy && !overdue && self.requeue_blockers() {
            return;
        }
        let settled = !busy && self.offsets.committable() == 0 && self.commits.is_empty();
        if settled || now >= deadline + LEAVE_TIMEOUT {
            self.give_up();
        }
    }

    fn drop_revoked(&mut self) {
        let Some(revocation) = &mut self.revocation else { return };
        revocation.dropped = true;
        self.running.abort_all();
    }

    fn give_up(&mut self) {
        self.revocation = None;
        self.status.handed_back(self.offsets.revoke());
        self.backlog.clear();
        // With little waiting: the client would remember the pause of a partition, should it come back.
        self.adjust_flow();
        if let Err(error) = self.client.unassign() {
            log::warn!("error" = error.to_string().as_str(); "partitions can't be given up in order");
        }
    }

    pub(super) fn begin_stop(&mut self) {
        log::info!("deliveries.running" = self.running.len(); "draining");
        self.call_back_waiting();
        self.stop = Some(Ending::within(DRAIN));
    }

    fn advance_stop(&mut self, now: Instant) {
        let Some(stop) = &mut self.stop else { return };
        if now >= stop.deadline && !stop.dropped {
            stop.dropped = true;
            stop.deadline = now + LEAVE_TIMEOUT;
            self.running.abort_all();
        } else if self.running.is_empty() && !stop.dropped {
            self.requeue_blockers();
        }
    }

    /// Writes the unfinished records that stand before finished ones to the retry topic, so that those can be
    /// committed and nothing is mailed twice after an orderly end. Returns whether there were any.
    fn requeue_blockers(&mut self) -> bool {
        let offsets = &self.offsets;
        let blockers = self.backlog.take_all(|at| offsets.holds_up_finished(at));
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
