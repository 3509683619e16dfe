//! Commits, partitions that come and go, and the end.

use super::{
    Consumer,
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

/// Mails may take this long to end when partitions are given up or the process stops. A server may take longer
/// (`SMTP_FINAL_TIMEOUT`), but the rest of the group waits meanwhile, and a supervisor kills in the end. A mail that is
/// dropped may have been accepted, and is mailed again.
const DRAIN: Duration = Duration::from_secs(15);
/// Then so long for what must be handed on because of those, and for the last commits.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// And so long for leaving the group.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// An end of the work in hand: of all partitions, or of the process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    /// When mails that have not ended are dropped.
    pub(super) drop_mails: Instant,
    /// When nothing is waited for any more.
    pub(super) over: Instant,
}

impl Ending {
    fn begin() -> Self {
        let drop_mails = Instant::now() + DRAIN;
        Self { drop_mails, over: drop_mails + SETTLE_TIMEOUT }
    }
}

impl Consumer {
    /// Commits what is due, and goes on with what is ending.
    pub(super) fn settle(&mut self, now: Instant) {
        self.advance_ending(now);
        let committable = self.offsets.committable();
        if self.batch.is_due(&self.config, committable, self.ending().is_some(), now)
            && self.commits.is_empty()
        {
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
                self.commit_failed();
                // librdkafka reports this only while no revocation is pending.
                if self.revocation.is_some() && is_expelled(&error) {
                    self.give_up();
                }
            }
            Err(_) => self.commit_failed(),
        }
    }

    fn commit_failed(&mut self) {
        self.offsets.commit_failed();
        self.batch.failed();
    }

    pub(super) fn on_group_event(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assigned(list) => self.on_assigned(&list),
            GroupEvent::Revoked { lost } => {
                log::info!("deliveries.running" = self.running.len(), "lost" = lost; "partitions are given up");
                self.call_back_waiting();
                if lost {
                    // They already belong to somebody else: there is nothing to wait for or to commit.
                    self.give_up();
                } else {
                    self.revocation = Some(Ending::begin());
                }
            }
        }
    }

    fn on_assigned(&mut self, list: &TopicPartitionList) {
        // When the topics change, librdkafka joins again although it has no answer to the revocation yet.
        self.forget_partitions();
        self.offsets.assign(group::partitions(list));
        self.chains.clear();
        match self.client.assign(list) {
            Ok(()) => {
                log::info!("kafka.partitions" = list.count(); "partitions assigned");
                self.status.set_joined(true);
            }
            Err(error) => log::error!("error" = error.to_string().as_str(); "partitions can't be assigned"),
        }
    }

    fn give_up(&mut self) {
        self.forget_partitions();
        if let Err(error) = self.client.unassign() {
            log::warn!("error" = error.to_string().as_str(); "partitions can't be given up in order");
        }
    }

    fn forget_partitions(&mut self) {
        self.revocation = None;
        self.running.abort_all();
        self.status.handed_back(self.offsets.revoke());
        self.backlog.clear();
        // With little waiting: the client would remember the pause of a partition, should it come back.
        self.adjust_flow();
    }

    pub(super) fn begin_stop(&mut self) {
        log::info!("deliveries.running" = self.running.len(); "draining");
        self.call_back_waiting();
        self.set_paused(true, false);
        self.set_paused(true, true);
        // The others of the group wait already.
        self.stop = Some(self.revocation.unwrap_or_else(Ending::begin));
    }

    /// The end that everything in hand has to come to. A process that stops gives its partitions up by leaving.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.stop.or(self.revocation)
    }

    /// Drops mails at their deadline, hands on what stands before finished records, and gives the partitions up when all is
    /// settled.
    fn advance_ending(&mut self, now: Instant) {
        let Some(ending) = self.ending() else { return };
        if now >= ending.drop_mails {
            std::mem::take(&mut self.talks).cancel();
        }
        if self.running.is_empty() {
            self.requeue_blockers();
        }
        if self.stop.is_none() && (self.is_settled() || now >= ending.over) {
            self.give_up();
        }
    }

    /// Writes the unfinished records that stand before finished ones to the retry topic, so that those can be
    /// committed and nothing is mailed twice after an orderly end.
    fn requeue_blockers(&mut self) {
        let offsets = &self.offsets;
        let blockers = self.backlog.take_all(|at| offsets.holds_up_done(at));
        blockers.into_iter().for_each(|item| self.start(item, Task::Requeue, false));
    }

    fn is_settled(&self) -> bool {
        self.running.is_empty() && self.commits.is_empty() && self.offsets.committable() == 0
    }

    /// Whether the loop can end: all has ended and is committed, or the time for that is over.
    pub(super) fn is_drained(&self) -> bool {
        self.stop.is_some_and(|stop| self.is_settled() || Instant::now() >= stop.over)
    }

    /// Leaves the group, so that others take over at once.
    pub(super) async fn leave(mut self) {
        self.status.set_joined(false);
        let left = self.status.snapshot().ledger.in_flight;
        self.status.handed_back(usize::try_from(left).unwrap_or(0));
        self.running.shutdown().await;
        self.delivery.mailer.close().await;
        let (client, mut events) = (self.client, self.events);
        // One of lost partitions that was not read yet: nobody else answers it, and the client's end would wait for that.
        if let Ok(GroupEvent::Revoked { lost: true }) = events.try_recv() {
            let _ = client.unassign();
        }
        // Without a listener the last revocation is answered where it is reported.
        drop(events);
        let closed = task::spawn_blocking(move || drop(client));
        if tokio::time::timeout(LEAVE_TIMEOUT, closed).await.is_err() {
            log::warn!("the group could not be left in time; its members will notice");
        }
    }
}

/// Whether the group goes on without this member.
fn is_expelled(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AssignmentLost, FencedInstanceId, IllegalGeneration, UnknownMemberId};
    matches!(
        error,
        KafkaError::ConsumerCommit(UnknownMemberId | IllegalGeneration | AssignmentLost | FencedInstanceId)
    )
}
