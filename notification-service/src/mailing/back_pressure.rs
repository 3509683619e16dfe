//! Back-pressure: when partitions are paused and resumed. Pure.

use super::backlog::{Backlog, DELAYED_HIGH, DELAYED_LOW, READY_HIGH, READY_LOW};

/// Whether the backlog is above the high level, and whether it is below the low one.
type Level = (bool, bool);

/// The levels that decide about the source topics and about the retry topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) sources: Level,
    pub(super) retries: Level,
}

impl Levels {
    /// Delayed records may take half of the octets. Large records in the retry topic then leave room for all other mails.
    pub(super) fn of(backlog: &Backlog, others: usize, most: usize) -> Self {
        let (ready, delayed) = (backlog.ready(), backlog.delayed());
        let (octets, waiting) = (backlog.octets().saturating_add(others), backlog.delayed_octets());
        let (full, roomy) = (octets >= most, octets <= most / 4 * 3);
        let full_of_delayed = delayed >= DELAYED_HIGH || waiting >= most / 2;
        let few_delayed = delayed <= DELAYED_LOW && waiting <= most / 4;
        Self {
            sources: (full || ready >= READY_HIGH, roomy && ready <= READY_LOW),
            retries: (
                full || ready >= 2 * READY_HIGH || full_of_delayed,
                roomy && ready <= READY_HIGH && few_delayed,
            ),
        }
    }
}

/// Pauses above a high level and resumes below a low one.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    paused: bool,
}

impl Pressure {
    /// Returns true to pause and false to resume, and `None` when nothing changes.
    pub(super) fn update(&mut self, (high, low): Level) -> Option<bool> {
        let paused = if self.paused { !low } else { high };
        (paused != std::mem::replace(&mut self.paused, paused)).then_some(paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        offsets::{Partition, Position},
        record::{Lent, Record},
        retry::Retry,
    };
    use contract::topic::Topic;
    use jiff::{SignedDuration, Timestamp};
    use std::time::Duration;

    const MOST: usize = 4 * 1024 * 1024;

    /// A record of 60,000 octets. With `later` it is a retry that is not due yet.
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
            let levels = Levels::of(&backlog, 0, MOST);
            assert!(!levels.sources.0, "{offset} records of the retry topic stop new mails");
            if levels.retries.0 {
                break;
            }
            backlog.add(large(offset, true, now), now);
        }
        assert!(backlog.octets() < MOST / 4 * 3);
        // They become due and are finished.
        backlog.take_up_due(now.checked_add(SignedDuration::from_secs(200)).unwrap());
        while backlog.pop().is_some() {}
        assert_eq!(Levels::of(&backlog, 0, MOST), Levels { sources: (false, true), retries: (false, true) });
    }

    #[test]
    fn records_that_wait_for_their_turn_stop_all_at_the_bound() {
        let (mut backlog, now) = (Backlog::default(), Timestamp::now());
        (0..MOST / 60_000 + 1)
            .for_each(|offset| backlog.add(large(i64::try_from(offset).unwrap(), false, now), now));
        assert_eq!(Levels::of(&backlog, 0, MOST), Levels { sources: (true, false), retries: (true, false) });
        assert_eq!(Levels::of(&Backlog::default(), MOST, MOST).sources, (true, false));
    }
}
