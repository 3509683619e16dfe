//! Reads the log into the view: first a replay of the records that still count, then the tail.
//!
//! Every replica reads all partitions itself, with `assign`, and commits nothing. It takes no requests until the replay
//! has reached the log-end offsets of the moment at which it began: until then the replica knows less than the log. The
//! memory for registrations is bounded: at the bound the follower stops reading them until enough have expired.

mod end;
mod own;
mod room;

use super::{
    accept::{self, Acceptance, Accepted},
    offsets::{Inquirer, Offsets, Partition, TOPICS},
    replay::Replay,
    view::View,
};
use crate::{
    metrics::{Metrics, PANICKED},
    publisher::Written,
};
use contract::{
    event::{DecodeError, EventId, VERSION},
    topic::Topic,
};
pub(crate) use end::BehindLog;
use jiff::Timestamp;
use own::OwnRecords;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};
use room::Intake;
use runtime::{
    caught::{Panicked, caught},
    kafka::{ClientLog, KafkaConfig, KafkaWatch, header},
    telemetry::LineLimit,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The longest wait for a record: a thread notices within this time that it should end.
/// Shorter waits cost CPU time, because rdkafka spins through the last millisecond of each.
const POLL: Duration = Duration::from_millis(500);

/// How long the patient reader pauses after each portion.
const PAUSE: Duration = Duration::from_millis(75);
/// A portion is the records that arrive in this time. It is longer
/// than `FETCH_BACKOFF`, so that the client asks each broker.
const PORTION: Duration = Duration::from_millis(25);
/// The pause between two polls in a portion. While the client holds records of one broker, it asks no other one.
const TAKE: Duration = Duration::from_millis(2);
/// The pause between two checks for transaction markers.
const MARKER_PAUSE: Duration = Duration::from_millis(250);
/// The pause between two removals of expired data.
const TIDY_PAUSE: Duration = Duration::from_secs(5);
/// How long the client waits before it checks again whether it may fetch, in milliseconds.
const FETCH_BACKOFF: &str = "20";

/// The largest reply of a broker to a fetch, in octets. A single record that is larger comes alone.
const LARGEST_FETCH: &str = "16777216";

/// The log-end offsets, and when they were asked for.
type KnownEnds = Option<(Instant, Arc<Offsets>)>;

/// Reads the log into a view.
pub(crate) struct Follower {
    /// Reads the records that verifications wait for: attempts, and verified accounts.
    prompt: BaseConsumer<ClientLog>,
    /// Reads registrations, in portions. This replica's own are in the view already.
    patient: BaseConsumer<ClientLog>,
    inquirer: Inquirer,
    view: Arc<View>,
    own: OwnRecords,
    acceptance: Acceptance,
    metrics: Arc<Metrics>,
    /// Limits the log lines about records that are passed over.
    passed_over: LineLimit,
    /// The topics in which records of another version were found.
    other_versions: Mutex<Vec<Topic>>,
    intake: Intake,
    /// The next offset of each partition, once they are assigned.
    next: OnceLock<HashMap<Partition, AtomicI64>>,
    /// The number of partitions of each topic, once they are assigned.
    assigned: OnceLock<[(Topic, usize); TOPICS.len()]>,
    caught_up: AtomicBool,
    replayed: AtomicU64,
    replay_total: AtomicU64,
    moved: Notify,
    ends: Arc<tokio::sync::Mutex<KnownEnds>>,
    /// Everything that was in the log at this moment is in the view.
    at_end: Mutex<Option<Instant>>,
}

impl Follower {
    /// Makes the follower; `run` makes it read.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(crate) fn new(
        kafka: &KafkaConfig,
        view: Arc<View>,
        acceptance: Acceptance,
        max_pending: u64,
        metrics: Arc<Metrics>,
    ) -> Result<Self, KafkaError> {
        let mut settings = kafka.consumer();
        settings
            // `assign` needs a group id; nothing is committed under it.
            .set("group.id", "user-service-view")
            .set("enable.auto.offset.store", "false")
            // Bounds the memory of each reader: this queue, and a reply of each broker beside it.
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.max.bytes", LARGEST_FETCH)
            .set("fetch.queue.backoff.ms", FETCH_BACKOFF)
            // Kafka answers a waiting fetch as soon as there is a record. Other brokers may look
            // again only at the end of the wait, and a longer one would delay every verification.
            .set("fetch.wait.max.ms", "100");
        let mut patient = settings.clone();
        patient
            // The client fetches nothing while its queue holds a record. So there is one fetch for each
            // portion, and the first record answers it. A long poll would be no cheaper, whatever its
            // `fetch.min.bytes`: the broker re-checks the waiting fetch of each replica on every write.
            .set("queued.min.messages", "1")
            // For each partition. Large, so that a replay is quick
            // although the client fetches only when its queue is empty.
            .set("fetch.message.max.bytes", "4194304")
            // Requests rarely wait for a registration, but each guess waits for its attempt.
            .set("fetch.wait.max.ms", "250");
        Ok(Self {
            prompt: settings.create_with_context(ClientLog::default())?,
            patient: patient.create_with_context(ClientLog::default())?,
            inquirer: Inquirer::new(&settings)?,
            view,
            own: OwnRecords::default(),
            acceptance,
            metrics,
            passed_over: LineLimit::new(),
            other_versions: Mutex::default(),
            intake: Intake::new(max_pending),
            next: OnceLock::new(),
            assigned: OnceLock::new(),
            caught_up: AtomicBool::new(false),
            replayed: AtomicU64::new(0),
            replay_total: AtomicU64::new(0),
            moved: Notify::new(),
            ends: Arc::default(),
            at_end: Mutex::new(None),
        })
    }

    /// Whether the replay is over.
    #[must_use]
    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Reads until `stop` is cancelled. Blocks its thread.
    pub(crate) fn run(&self, stop: &CancellationToken) {
        let Some(replay) = self.begin(stop) else { return };
        self.replay_total.store(replay.total.unsigned_abs(), Ordering::Relaxed);
        self.end_if_over(&replay);
        let replay = Mutex::new(replay);
        let prompt = |stop: &CancellationToken| {
            let mut looked = Instant::now();
            while !stop.is_cancelled() {
                self.read(&self.prompt, POLL, &replay);
                self.pass_markers(&self.prompt, &mut looked, &replay);
            }
        };
        let patient = |stop: &CancellationToken| {
            let (mut looked, mut tidied) = (Instant::now(), Instant::now());
            while !stop.is_cancelled() {
                self.pass_markers(&self.patient, &mut looked, &replay);
                if tidied.elapsed() >= TIDY_PAUSE {
                    tidied = Instant::now();
                    self.view.tidy(Timestamp::now());
                }
                self.intake.hold_or_go_on(&self.patient, self.view.held());
                if self.read(&self.patient, POLL, &replay) && self.is_caught_up() {
                    self.read_portion(&replay);
                    std::thread::sleep(PAUSE);
                }
            }
        };
        run_both(stop, prompt, patient);
    }

    fn read_portion(&self, replay: &Mutex<Replay>) {
        let began = Instant::now();
        while began.elapsed() < PORTION {
            while began.elapsed() < PORTION
                && !self.intake.is_full(self.view.held())
                && self.read(&self.patient, Duration::ZERO, replay)
            {}
            std::thread::sleep(TAKE);
        }
    }

    /// Takes in the next record; returns whether one came within the time.
    fn read(&self, consumer: &BaseConsumer<ClientLog>, within: Duration, replay: &Mutex<Replay>) -> bool {
        match consumer.poll(within) {
            Some(Ok(record)) => {
                self.take(&record);
                if !self.is_caught_up() {
                    let mut replay = replay.lock().unwrap_or_else(PoisonError::into_inner);
                    replay.advance(&record);
                    self.replayed.store(replay.read.unsigned_abs(), Ordering::Relaxed);
                    self.end_if_over(&replay);
                }
                true
            }
            // The client's context logs connection errors. The client recovers by itself.
            Some(Err(error)) => {
                log::debug!("error" = error.to_string().as_str(); "nothing read from the log");
                false
            }
            None => false,
        }
    }

    /// Advances past offsets that hold transaction markers: the client passes these to nobody, and if one
    /// is the last of its partition, the log-end offset would never be reached. Must run on the thread
    /// that takes the consumer's records, so that all records before the position are in the view.
    fn pass_markers(&self, consumer: &BaseConsumer<ClientLog>, looked: &mut Instant, replay: &Mutex<Replay>) {
        if looked.elapsed() < MARKER_PAUSE {
            return;
        }
        *looked = Instant::now();
        let (Some(next), Ok(positions)) = (self.next.get(), consumer.position()) else { return };
        let mut replay = replay.lock().unwrap_or_else(PoisonError::into_inner);
        for at in positions.elements() {
            let (Some(topic), Offset::Offset(offset)) = (Topic::from_name(at.topic()), at.offset()) else {
                continue;
            };
            let partition = (topic, at.partition());
            replay.reached(partition, offset);
            if next.get(&partition).is_some_and(|next| next.fetch_max(offset, Ordering::AcqRel) < offset) {
                self.moved.notify_waiters();
            }
        }
        self.end_if_over(&replay);
    }

    fn end_if_over(&self, replay: &Replay) {
        if !self.is_caught_up() && replay.is_over() {
            replay.report_end();
            self.caught_up.store(true, Ordering::Release);
        }
    }

    /// Notes a record of this process that is in the view already.
    pub(super) fn note_own(&self, written: Written, event: EventId) {
        if written.topic == Topic::Created {
            self.own.note(written.partition, written.offset, event);
        }
    }

    fn is_own(&self, record: &BorrowedMessage<'_>) -> bool {
        let event =
            header(record.headers(), "ce_id").and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        self.own.take(record.partition(), record.offset(), event)
    }

    /// Whether the broker answers all three clients. Blocks for at most a second each.
    pub(crate) fn broker_answers(&self, watch: &KafkaWatch) -> bool {
        watch.ask(self.prompt.client())
            & watch.ask(self.patient.client())
            & self.inquirer.broker_answers(watch)
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

    /// How many records the replay has read, and how many it has to read.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.replayed.load(Ordering::Relaxed), self.replay_total.load(Ordering::Relaxed))
    }

    fn begin(&self, stop: &CancellationToken) -> Option<Replay> {
        let mut pause = Duration::from_millis(50);
        while !stop.is_cancelled() {
            match self.assign() {
                Ok(replay) => return Some(replay),
                Err(error) => {
                    log::info!("error" = error.to_string().as_str(); "the log can't be read yet; trying again")
                }
            }
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(Duration::from_millis(500));
        }
        None
    }

    /// Assigns all partitions, each from the first record that may still count.
    fn assign(&self) -> KafkaResult<Replay> {
        let (start, end) = self.inquirer.span(self.acceptance.rules.replay_from(Timestamp::now()))?;
        let (mut prompt, mut patient) = (TopicPartitionList::new(), TopicPartitionList::new());
        for ((topic, partition), offset) in &start {
            let assignment = if *topic == Topic::Created { &mut patient } else { &mut prompt };
            assignment.add_partition_offset(topic.name(), *partition, Offset::Offset(*offset))?;
        }
        // Set before the assignment: the first record may arrive at once.
        let next = start.iter().map(|(partition, offset)| (*partition, AtomicI64::new(*offset))).collect();
        let _ = self.next.set(next);
        let count = |topic: Topic| start.keys().filter(|(of, _)| *of == topic).count();
        let _ = self.assigned.set(TOPICS.map(|topic| (topic, count(topic))));
        self.prompt.assign(&prompt)?;
        self.patient.assign(&patient)?;
        Ok(Replay::new(&start, end))
    }

    fn take(&self, record: &BorrowedMessage<'_>) {
        let Some(topic) = Topic::from_name(record.topic()) else { return };
        match caught(|| self.take_in(topic, record)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                if let DecodeError::UnknownVersion(version) = error {
                    self.note_version(topic, version);
                }
                self.pass_over(record, error.name(), &error.to_string());
            }
            Err(Panicked) => self.pass_over(record, PANICKED, &Panicked.to_string()),
        }
        if let Some(next) = self.next.get().and_then(|next| next.get(&(topic, record.partition()))) {
            next.store(record.offset().saturating_add(1), Ordering::Release);
        }
        self.moved.notify_waiters();
    }

    fn take_in(&self, topic: Topic, record: &BorrowedMessage<'_>) -> Result<(), DecodeError> {
        let now = Timestamp::now();
        let origin = self.acceptance.origin(topic, record.timestamp().to_millis(), now);
        let Some(payload) = record.payload() else {
            if topic == Topic::Verified
                && let Some(id) = accept::account(record.key())
            {
                self.view.forget(id, origin.stamped_at(now), now);
            }
            return Ok(());
        };
        if topic == Topic::Created && self.is_own(record) {
            return Ok(());
        }
        let ce_type = header(record.headers(), "ce_type");
        match self.acceptance.read(origin, ce_type, record.key(), payload, now)? {
            Accepted::Event(event) => self.view.apply(&event, now),
            Accepted::VerifiedLongAgo(id) => self.view.verify(id, Timestamp::MIN, now),
        }
        Ok(())
    }

    /// Counts a record that is passed over, and logs only its place: its content may be anything.
    fn pass_over(&self, record: &BorrowedMessage<'_>, reason: &'static str, error: &str) {
        self.metrics.not_understood(reason);
        let Some(left_out) = self.passed_over.admit(Instant::now()) else { return };
        log::warn!(
            "kafka.topic" = record.topic(), "kafka.partition" = record.partition(),
            "kafka.offset" = record.offset(), "error" = error, "lines.left_out" = left_out;
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

/// Runs two readers until `stop` is cancelled, the first on a thread of its own. If one ends or
/// panics, the other is stopped: a view of half the log is useless. Panics when one of them did.
fn run_both(
    stop: &CancellationToken,
    one: impl FnOnce(&CancellationToken) + Send,
    other: impl FnOnce(&CancellationToken),
) {
    let stop = stop.child_token();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let _end_the_other = stop.clone().drop_guard();
            one(&stop);
        });
        let _end_the_other = stop.clone().drop_guard();
        other(&stop);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::IdSecret, rules::Freshness};
    use rdkafka::{
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, Producer},
    };
    use runtime::env::Env;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_reader_that_ends_takes_the_other_with_it() {
        let waits = |stop: &CancellationToken| {
            while !stop.is_cancelled() {
                std::thread::yield_now();
            }
        };
        let panics = |_: &CancellationToken| panic!("a fault");
        let stop = CancellationToken::new();
        run_both(&stop, waits, |_| ());
        run_both(&stop, |_| (), waits);
        catch_unwind(AssertUnwindSafe(|| run_both(&stop, waits, panics))).unwrap_err();
        catch_unwind(AssertUnwindSafe(|| run_both(&stop, panics, waits))).unwrap_err();
        assert!(!stop.is_cancelled());
    }

    /// Shorter than librdkafka's default time-out.
    const LIMIT: Duration = Duration::from_secs(40);

    #[tokio::test]
    async fn a_broker_that_answers_no_more_is_left_for_the_next_leader() {
        let cluster = MockCluster::new(2).unwrap();
        let topics = [Topic::Created, Topic::Activity, Topic::Verified];
        for topic in topics {
            cluster.create_topic(topic.name(), 2, 2).unwrap();
            for broker in [1, 2] {
                cluster.partition_leader(topic.name(), broker - 1, Some(broker)).unwrap();
            }
        }
        let brokers = cluster.bootstrap_servers();
        let kafka = KafkaConfig::from_env(&mut Env::from_pairs([("KAFKA_BROKERS", brokers.as_str())]));
        let rules = crate::rules::tests::RULES;
        let secret = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
        let acceptance = Acceptance { rules, id_secret: IdSecret::parse(secret).unwrap() };
        let (view, metrics) = (Arc::new(View::new(rules)), Arc::new(Metrics::new()));
        let follower = Arc::new(Follower::new(&kafka, view, acceptance, 1_000, metrics).unwrap());
        let stop = CancellationToken::new();
        let running = {
            let (follower, stop) = (Arc::clone(&follower), stop.clone());
            std::thread::spawn(move || follower.run(&stop))
        };
        while !follower.is_caught_up() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }

        cluster.broker_round_trip_time(1, Duration::from_secs(120)).unwrap();
        // All fetches wait for the broker now.
        tokio::time::sleep(Duration::from_secs(1)).await;
        for topic in topics {
            cluster.partition_leader(topic.name(), 0, Some(2)).unwrap();
        }
        let producer: BaseProducer = kafka.client().create().unwrap();
        producer.send(BaseRecord::<(), _>::to(Topic::Activity.name()).partition(0).payload("p")).unwrap();
        producer.flush(LIMIT).unwrap();
        let began = Instant::now();
        while follower.reach(Freshness::END, Instant::now() + LIMIT).await.is_err() {
            assert!(began.elapsed() < LIMIT, "the follower still waits for the old leader");
        }
        stop.cancel();
        running.join().unwrap();
    }
}
