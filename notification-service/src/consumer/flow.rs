//! Back-pressure: partitions are paused while too much waits. The loop itself never stops calling `recv`.

use super::{
    Consumer,
    backlog::{DELAYED_HIGH, DELAYED_LOW, READY_HIGH, READY_LOW},
    group,
};
use crate::offsets::Partition;
use rdkafka::{TopicPartitionList, consumer::Consumer as _};
use shared::topic::Topic;

impl Consumer {
    /// Pauses partitions when too much waits, and resumes them when little does.
    ///
    /// The retry topic goes on for longer: while a broker has one partition to fetch from, it is asked every
    /// `fetch.wait.max.ms` and the resumed ones come along. Not every process has a partition of the retry topic.
    pub(super) fn adjust_flow(&mut self) {
        if self.stop.is_some() {
            return;
        }
        let (ready, delayed) = (self.backlog.ready(), self.backlog.delayed());
        let octets = self.backlog.octets().saturating_add(self.offsets.octets());
        let (full, roomy) = (octets >= self.max_backlog_octets, octets <= self.max_backlog_octets / 4 * 3);
        if let Some(paused) = self.sources.update(full || ready >= READY_HIGH, roomy && ready <= READY_LOW) {
            self.set_paused(paused, false);
        }
        let high = full || ready >= 2 * READY_HIGH || delayed >= DELAYED_HIGH;
        let low = roomy && ready <= READY_HIGH && delayed <= DELAYED_LOW;
        if let Some(paused) = self.retries.update(high, low) {
            self.set_paused(paused, true);
        }
    }

    pub(super) fn set_paused(&self, paused: bool, retry_topic: bool) {
        let changed = self.client.assignment().and_then(|assignment| {
            let mut list = TopicPartitionList::new();
            for Partition { topic, number } in group::partitions(&assignment) {
                if (topic == Topic::MailRetry) == retry_topic {
                    list.add_partition(topic.name(), number);
                }
            }
            if paused { self.client.pause(&list) } else { self.client.resume(&list) }
        });
        if let Err(error) = changed {
            log::warn!("error" = error.to_string().as_str(); "partitions can't be paused or resumed");
        }
    }
}
