//! Back-pressure: partitions are paused while too much waits. The loop itself never stops calling `recv`.

use super::{
    Consumer,
    backlog::{Backlog, DELAYED_HIGH, DELAYED_LOW, READY_HIGH, READY_LOW},
    group,
};
use crate::offsets::Partition;
use rdkafka::{TopicPartitionList, consumer::Consumer as _};
use shared::topic::Topic;

/// Whether too much waits, and whether little does.
#[derive(Debug, PartialEq, Eq)]
struct Levels {
    sources: (bool, bool),
    retries: (bool, bool),
}

/// Records that wait for their next try have half of the octets at most: whoever fills the retry topic with large ones leaves
/// room for the mails of all others.
fn levels(backlog: &Backlog, others: usize, most: usize) -> Levels {
    let (ready, delayed) = (backlog.ready(), backlog.delayed());
    let (octets, waiting) = (backlog.octets().saturating_add(others), backlog.delayed_octets());
    let (full, roomy) = (octets >= most, octets <= most / 4 * 3);
    let full_of_delayed = delayed >= DELAYED_HIGH || waiting >= most / 2;
    let few_delayed = delayed <= DELAYED_LOW && waiting <= most / 4;
    Levels {
        sources: (full || ready >= READY_HIGH, roomy && ready <= READY_LOW),
        retries: (
            full || ready >= 2 * READY_HIGH || full_of_delayed,
            roomy && ready <= READY_HIGH && few_delayed,
        ),
    }
}

impl Consumer {
    /// Pauses partitions when too much waits, and resumes them when little does.
    ///
    /// The retry topic goes on for longer: while a broker has one partition to fetch from, it is asked every
    /// `fetch.wait.max.ms` and the resumed ones come along. Not every process has a partition of the retry topic.
    pub(super) fn adjust_flow(&mut self) {
        if self.stop.is_some() {
            return;
        }
        let levels = levels(&self.backlog, self.offsets.octets(), self.max_backlog_octets);
        if let Some(paused) = self.sources.update(levels.sources.0, levels.sources.1) {
            self.set_paused(paused, false);
        }
        if let Some(paused) = self.retries.update(levels.retries.0, levels.retries.1) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        offsets::Position,
        record::{Lent, Record},
        retry::Retry,
    };
    use jiff::{SignedDuration, Timestamp};
    use std::time::Duration;

    const MOST: usize = 4 * 1024 * 1024;

    /// A record of 60,000 octets; of the retry topic if it is tried again only later.
    fn large(offset: i64, later: bool, now: Timestamp) -> Record {
        let topic = if later { Topic::MailRetry } else { Topic::Created };
        let not_before = now.checked_add(SignedDuration::from_secs(100)).unwrap();
        let retry = Retry { not_before, attempts: 1, source: "t/0/1".to_owned(), first_failure: now };
        let headers: Vec<_> = if later { retry.to_headers(None).collect() } else { Vec::new() };
        let headers = headers.iter().map(|it| (it.name.as_str(), it.value.as_deref())).collect();
        let position = Position { partition: Partition { topic, number: 0 }, offset, epoch: 1 };
        let lent = Lent { key: None, payload: Some(&[0; 60_000]), timestamp: None, headers };
        Record::new(position, &lent, now, Duration::ZERO)
    }

    #[test]
    fn large_records_that_wait_for_their_time_stop_the_retry_topic_alone() {
        let (mut backlog, now) = (Backlog::default(), Timestamp::now());
        for offset in 0.. {
            let levels = levels(&backlog, 0, MOST);
            assert!(!levels.sources.0, "{offset} records of the retry topic stop new mails");
            if levels.retries.0 {
                break;
            }
            backlog.add(large(offset, true, now), now);
        }
        assert!(backlog.octets() < MOST / 4 * 3);
        // They are due, and are dealt with.
        backlog.take_up_due(now.checked_add(SignedDuration::from_secs(200)).unwrap());
        while backlog.pop().is_some() {}
        assert_eq!(levels(&backlog, 0, MOST), Levels { sources: (false, true), retries: (false, true) });
    }

    #[test]
    fn records_that_wait_for_their_turn_stop_all_at_the_bound() {
        let (mut backlog, now) = (Backlog::default(), Timestamp::now());
        (0..MOST / 60_000 + 1)
            .for_each(|offset| backlog.add(large(i64::try_from(offset).unwrap(), false, now), now));
        assert_eq!(levels(&backlog, 0, MOST), Levels { sources: (true, false), retries: (true, false) });
        assert_eq!(levels(&Backlog::default(), MOST, MOST).sources, (true, false));
    }
}
