//! Takes the records of the log into the view, and knows how much of the log the view rests on.
//!
//! The reader of the log hands over each record, in the order of its partition. There is no
//! client here and no thread. Requests wait in `end` until the view is fresh enough.

mod end;
mod own;
mod room;

use super::{
    accept::{self, Acceptance, Accepted},
    progress::Progress,
    view::View,
};
use crate::{
    log_ends::{Offsets, Partition, TOPICS},
    metrics::{Metrics, PANICKED},
    outside::Outside,
    publisher::Written,
};
use contract::{
    event::{DecodeError, EventId, VERSION},
    topic::Topic,
};
pub(crate) use end::BehindLog;
use jiff::Timestamp;
use own::OwnRecords;
use room::Intake;
use runtime::{
    caught::{Panicked, caught},
    kafka::KafkaWatch,
    telemetry::LineLimit,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};
use tokio::sync::Notify;

/// The log-end offsets, and when they were asked for.
type KnownEnds = Option<(Instant, Arc<Offsets>)>;

/// The parts of a record that count.
pub struct Record<'a> {
    /// Its topic.
    pub topic: Topic,
    /// Its partition of the topic.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970, if it has one.
    pub timestamp: Option<i64>,
    /// The account's id in text form.
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub payload: Option<&'a [u8]>,
    /// The value of the first header of a name. It may panic; that ends nothing but the work on this record.
    pub header: &'a dyn Fn(&str) -> Option<&'a [u8]>,
}

/// Takes the records of the log into a view.
pub(crate) struct Reading {
    pub(super) view: Arc<View>,
    own: OwnRecords,
    acceptance: Acceptance,
    metrics: Arc<Metrics>,
    pub(super) outside: Outside,
    /// Limits the log lines about records that are passed over.
    passed_over: LineLimit,
    /// The topics in which records of another version were found.
    other_versions: Mutex<Vec<Topic>>,
    intake: Intake,
    progress: Mutex<Progress>,
    /// The number of partitions of each topic, once they are assigned.
    assigned: OnceLock<[(Topic, usize); TOPICS.len()]>,
    moved: Notify,
    ends: Arc<tokio::sync::Mutex<KnownEnds>>,
}

impl Reading {
    /// Has read nothing at first.
    pub(super) fn new(
        view: Arc<View>,
        acceptance: Acceptance,
        max_pending: u64,
        metrics: Arc<Metrics>,
        outside: Outside,
    ) -> Self {
        Self {
            view,
            own: OwnRecords::default(),
            acceptance,
            metrics,
            outside,
            passed_over: LineLimit::new(),
            other_versions: Mutex::default(),
            intake: Intake::new(max_pending),
            progress: Mutex::default(),
            assigned: OnceLock::new(),
            moved: Notify::new(),
            ends: Arc::default(),
        }
    }

    /// Begins a replay that reads each partition from `start` and is over when all have reached `end`.
    pub(crate) fn begin(&self, start: Offsets, end: Offsets) {
        let count = |topic: Topic| start.keys().filter(|(of, _)| *of == topic).count();
        let _ = self.assigned.set(TOPICS.map(|topic| (topic, count(topic))));
        let now = self.outside.instant();
        self.advance(|progress| progress.begin(start, end, now));
    }

    /// Takes a record in, or passes it over. The records of a partition must come in their order.
    pub(crate) fn take(&self, record: &Record<'_>) {
        match caught(|| self.take_in(record)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                if let DecodeError::UnknownVersion(version) = error {
                    self.note_version(record.topic, version);
                }
                self.pass_over(record, error.name(), &error.to_string());
            }
            Err(Panicked) => self.pass_over(record, PANICKED, &Panicked.to_string()),
        }
        self.advance(|progress| progress.took((record.topic, record.partition), record.offset));
    }

    /// Advances past offsets that hold transaction markers: the client passes these to nobody, and if one
    /// is the last of its partition, the log-end offset would never be reached. Must run on the thread
    /// that takes the consumer's records, so that all records before the position are in the view.
    pub(crate) fn pass(&self, positions: impl Iterator<Item = (Partition, i64)>) {
        self.advance(|progress| {
            positions.for_each(|(partition, position)| progress.passed(partition, position))
        });
    }

    /// Whether the replay is over.
    #[must_use]
    pub(crate) fn is_caught_up(&self) -> bool {
        self.progress().is_caught_up()
    }

    /// The time from which a topic has to be read; `None` if all of it has to.
    pub(crate) fn since(&self, topic: Topic) -> Option<Timestamp> {
        self.acceptance.rules.replay_from(topic, self.outside.now())
    }

    /// Removes expired data from the view. During a replay guesses stay: those that come next may be of the same registrations.
    pub(crate) fn tidy(&self) {
        self.view.tidy(self.outside.now(), self.is_caught_up());
    }

    /// Whether there are too many registrations to read on.
    pub(super) fn is_full(&self) -> bool {
        self.intake.is_full(self.view.held())
    }

    /// Whether to pause (`true`) or to resume (`false`) the topic of registrations; `None` leaves it as it is.
    pub(super) fn change(&self) -> Option<bool> {
        self.intake.change(self.view.held())
    }

    /// Notes that the topic of registrations was paused or resumed.
    pub(super) fn changed(&self, is_paused: bool) {
        self.intake.changed(is_paused, self.view.held());
    }

    /// How many records the replay has read, and how many it has to read.
    pub(crate) fn replayed(&self) -> (u64, u64) {
        self.progress().replayed()
    }

    /// Notes a record of this process that is in the view already.
    pub(super) fn note_own(&self, written: Written, event: EventId) {
        if written.topic == Topic::Created {
            self.own.note(written.partition, written.offset, event);
        }
    }

    /// The problem and its remedy, if partitions were added since this replica began to read, or went
    /// away with their topic. Ids have then moved to partitions that this replica does not read.
    pub(crate) fn moved_partitions(&self, watch: &KafkaWatch) -> Option<String> {
        self.assigned.get()?.iter().find_map(|(topic, assigned)| {
            let there = watch.shape(*topic)?.partitions;
            (there != *assigned).then(|| {
                format!(
                    "{} has {there} partitions and had {assigned} when this replica began to read; restart all user services (docs/operations.md, Topics)",
                    topic.name()
                )
            })
        })
    }

    /// Changes the progress, logs that of the replay, and wakes the requests that wait.
    fn advance(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress();
        let was_caught_up = progress.is_caught_up();
        change(&mut progress);
        let replay = progress.replay().filter(|_| !was_caught_up);
        let report = replay.and_then(|replay| replay.report(self.outside.instant()));
        drop(progress);
        self.moved.notify_waiters();
        if let Some(report) = report {
            report.log();
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, record: &Record<'_>) -> Result<(), DecodeError> {
        let (topic, now) = (record.topic, self.outside.now());
        let origin = self.acceptance.origin(topic, record.timestamp, now);
        let Some(payload) = record.payload else {
            if topic == Topic::Verified
                && let Some(id) = accept::account(record.key)
            {
                self.view.forget(id, origin.stamped_at(now), now);
            }
            return Ok(());
        };
        if topic == Topic::Created && self.is_own(record) {
            return Ok(());
        }
        let ce_type = (record.header)("ce_type");
        match self.acceptance.read(origin, ce_type, record.key, payload, now)? {
            Accepted::Event(event) => self.view.apply(&event, now),
            Accepted::VerifiedLongAgo(id) => self.view.verify(id, Timestamp::MIN, now),
        }
        Ok(())
    }

    fn is_own(&self, record: &Record<'_>) -> bool {
        let event = (record.header)("ce_id").and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        self.own.take(record.partition, record.offset, event)
    }

    /// Counts a record that is passed over, and logs only its place: its content may be anything.
    fn pass_over(&self, record: &Record<'_>, reason: &'static str, error: &str) {
        self.metrics.not_understood(reason);
        let Some(left_out) = self.passed_over.admit(self.outside.instant()) else { return };
        log::warn!(
            "kafka.topic" = record.topic.name(), "kafka.partition" = record.partition,
            "kafka.offset" = record.offset, "error" = error, "lines.left_out" = left_out;
            "a record is not understood and is passed over"
        );
    }

    /// Logs once for each topic that it has records of another version.
    fn note_version(&self, topic: Topic, version: u32) {
        let mut noted = self.other_versions.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.contains(&topic) {
            noted.push(topic);
            log::error!(
                "kafka.topic" = topic.name();
                "the topic has records of version {version}, and this service reads those of version {VERSION} alone: all others \
                 are passed over and counted (docs/operations.md, Versions)"
            );
        }
    }
}
