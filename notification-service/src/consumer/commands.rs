//! Carries out the state machine's commands: tasks of deliveries, and calls of the Kafka client.

use super::Consumer;
use crate::{
    delivery::Interrupts,
    mailing::{Command, DeliveryId, Withdrawal},
    offsets::{Partition, Position},
    outcome::End,
};
use rdkafka::{
    TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::KafkaResult,
};
use std::sync::Arc;

impl Consumer {
    pub(super) fn carry_out(&mut self, command: Command) {
        match command {
            Command::Start { delivery, server, position, event, trace } => {
                let shared = Arc::clone(&self.delivery);
                let interrupts = self.interrupts[server.index()].clone();
                self.spawn(delivery, async move {
                    End::Tried(shared.mail(server, &event, position, trace.as_ref(), &interrupts).await)
                });
            }
            Command::Write { delivery, record, target } => {
                let shared = Arc::clone(&self.delivery);
                self.spawn(delivery, async move { End::Written(shared.write(&record, &target).await) });
            }
            Command::CallBack => {
                self.interrupts.iter_mut().for_each(|it| std::mem::take(&mut it.call_back).cancel());
            }
            Command::Withdraw { server, withdrawal } => {
                let Interrupts { call_back, recall, abandon } = &mut self.interrupts[server.index()];
                std::mem::take(call_back).cancel();
                std::mem::take(recall).cancel();
                if withdrawal == Withdrawal::Anyway {
                    std::mem::take(abandon).cancel();
                }
            }
            Command::Abandon => {
                self.interrupts.iter_mut().for_each(|it| std::mem::take(&mut it.abandon).cancel());
            }
            Command::Discard => self.running.abort_all(),
            Command::Commit(positions) => self.commit(&positions),
            Command::Pause(partitions) => note_failure("paused", self.client.pause(&self.list(&partitions))),
            Command::Resume(partitions) => {
                note_failure("resumed", self.client.resume(&self.list(&partitions)))
            }
            Command::Assign(partitions) => match self.client.assign(&self.list(&partitions)) {
                Ok(()) => {
                    log::info!("kafka.partitions" = partitions.len(); "partitions assigned");
                    self.status.set_joined();
                }
                Err(error) => {
                    log::error!("error" = error.to_string().as_str(); "partitions can't be assigned")
                }
            },
            Command::Unassign => note_failure("given up", self.client.unassign()),
            Command::Leave => {}
        }
    }

    fn spawn(&mut self, delivery: DeliveryId, task: impl Future<Output = End> + Send + 'static) {
        let task = self.running.spawn(task);
        self.started.insert(task.id(), delivery);
    }

    /// Commits stored offsets only: librdkafka drops those of partitions that it has lost. A commit blocks while the broker
    /// is away, so it runs on a thread of its own.
    fn commit(&mut self, positions: &[Position]) {
        for Position { partition, offset, .. } in positions {
            let topic = self.names.topic(partition.topic);
            if let Err(error) = self.client.store_offset(&topic, partition.number, *offset) {
                log::warn!("kafka.topic" = partition.topic.name(), "kafka.partition" = partition.number, "error" = error.to_string().as_str(); "offset not stored");
            }
        }
        let client = Arc::clone(&self.client);
        self.commits.spawn_blocking(move || client.commit_consumer_state(CommitMode::Sync));
    }

    fn list(&self, partitions: &[Partition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for Partition { topic, number } in partitions {
            list.add_partition(&self.names.topic(*topic), *number);
        }
        list
    }
}

fn note_failure(what: &str, changed: KafkaResult<()>) {
    if let Err(error) = changed {
        log::warn!("error" = error.to_string().as_str(); "partitions can't be {what}");
    }
}
