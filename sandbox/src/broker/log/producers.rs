//! The idempotent producers of a partition: the sequence numbers of their newest batches.
//!
//! A duplicate batch gets the offset of the first one. A batch that leaves a gap is refused. A producer that is unknown,
//! because it was silent for long, may begin with any number, as with Kafka.

use crate::broker::log::{Appended, batch::Header};
use kafka_protocol::ResponseError;
use std::collections::{HashMap, VecDeque};

/// The number of remembered batches: a producer may have this many requests in flight, and repeat them.
const REMEMBERED: usize = 5;
/// Kafka's `producer.id.expiration.ms`.
const EXPIRY_MS: i64 = 24 * 60 * 60 * 1_000;

#[derive(Debug, Default)]
pub(in crate::broker) struct Producers(HashMap<i64, Producer>);

#[derive(Debug, Default)]
struct Producer {
    epoch: i16,
    newest: VecDeque<Sent>,
    heard_ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    first: i32,
    last: i32,
    offset: i64,
    time: i64,
}

impl Producers {
    /// Whether a batch may be appended. `Some` is the place of the batch that it duplicates.
    pub(in crate::broker) fn check(&self, batch: &Header) -> Result<Option<Appended>, ResponseError> {
        let Some(known) = self.0.get(&batch.producer) else { return Ok(None) };
        if batch.epoch < known.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let expected = if batch.epoch > known.epoch { 0 } else { after(known.newest.back()) };
        let (first, last) = (batch.sequence, last_sequence(batch));
        let mut newest = known.newest.iter();
        match newest.find(|sent| batch.epoch == known.epoch && (sent.first, sent.last) == (first, last)) {
            Some(sent) => Ok(Some(Appended { offset: sent.offset, time: Some(sent.time) })),
            None if first == expected => Ok(None),
            None => Err(ResponseError::OutOfOrderSequenceNumber),
        }
    }

    /// Notes a batch that is in the log.
    pub(in crate::broker) fn note(&mut self, batch: &Header, now: i64) {
        if batch.producer < 0 {
            return;
        }
        let known = self.0.entry(batch.producer).or_default();
        if batch.epoch != known.epoch {
            *known = Producer { epoch: batch.epoch, ..Producer::default() };
        }
        known.heard_ms = now;
        known.newest.push_back(Sent {
            first: batch.sequence,
            last: last_sequence(batch),
            offset: batch.base_offset,
            time: batch.max_timestamp,
        });
        if known.newest.len() > REMEMBERED {
            known.newest.pop_front();
        }
    }

    pub(in crate::broker) fn forget_silent(&mut self, now: i64) {
        self.0.retain(|_, producer| now.saturating_sub(producer.heard_ms) < EXPIRY_MS);
    }
}

/// After the greatest number, sequence numbers continue with 0.
fn last_sequence(batch: &Header) -> i32 {
    let last = i64::from(batch.sequence) + batch.last_offset() - batch.base_offset;
    i32::try_from(last & i64::from(i32::MAX)).unwrap_or(0)
}

fn after(newest: Option<&Sent>) -> i32 {
    newest.map_or(0, |sent| sent.last.checked_add(1).unwrap_or(0))
}
