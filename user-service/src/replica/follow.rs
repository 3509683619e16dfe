//! Reads the log into the view: first a replay of the records that still count, then the tail.
//!
//! Every replica reads all partitions itself, with `assign`, and commits nothing. It takes no requests until the replay
//! has reached the log-end offsets of the moment at which it began: until then the replica knows less than the log. The
//! memory for registrations is bounded: at the bound the follower stops reading them until enough have expired.
//!
//! This is the shell: two consumers, each on a thread. What a record does is in [`Reading`].

use super::reading::{Reading, Record};
use crate::log_ends::{Inquirer, TOPICS, settings};
use contract::topic::Topic;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
};
use runtime::kafka::{ClientLog, KafkaConfig, KafkaWatch, Names, header, serve_token};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
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

/// Reads the log into a view.
pub(crate) struct Follower {
    /// Reads the records that verifications wait for: attempts, and verified accounts.
    prompt: BaseConsumer<ClientLog>,
    /// Reads registrations, in portions. This replica's own are in the view already.
    patient: BaseConsumer<ClientLog>,
    inquirer: Arc<Inquirer>,
    names: Names,
    reading: Arc<Reading>,
}

impl Follower {
    /// Makes the follower; `run` makes it read.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub(crate) fn new(
        kafka: &KafkaConfig,
        reading: Arc<Reading>,
        inquirer: Arc<Inquirer>,
    ) -> Result<Self, KafkaError> {
        let settings = settings(kafka);
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
        // Not the prompt one: a verification would wait for the follower.
        kafka.read_in_own_zone(&mut patient);
        Ok(Self {
            prompt: settings.create_with_context(ClientLog::default())?,
            patient: patient.create_with_context(ClientLog::default())?,
            inquirer,
            names: kafka.names.clone(),
            reading,
        })
    }

    /// Reads until `stop` is cancelled. Blocks its thread.
    pub(crate) fn run(&self, stop: &CancellationToken) {
        if !self.begin(stop) {
            return;
        }
        let prompt = |stop: &CancellationToken| {
            let mut looked = Instant::now();
            while !stop.is_cancelled() {
                self.read(&self.prompt, POLL);
                self.pass_markers(&self.prompt, &mut looked);
            }
        };
        let patient = |stop: &CancellationToken| {
            let (mut looked, mut tidied) = (Instant::now(), Instant::now());
            while !stop.is_cancelled() {
                self.pass_markers(&self.patient, &mut looked);
                if tidied.elapsed() >= TIDY_PAUSE {
                    tidied = Instant::now();
                    self.reading.tidy();
                }
                self.hold_or_go_on();
                if self.read(&self.patient, POLL) && self.reading.is_caught_up() {
                    self.read_portion();
                    std::thread::sleep(PAUSE);
                }
            }
        };
        run_both(stop, prompt, patient);
    }

    fn read_portion(&self) {
        let began = Instant::now();
        while began.elapsed() < PORTION {
            while began.elapsed() < PORTION
                && !self.reading.is_full()
                && self.read(&self.patient, Duration::ZERO)
            {}
            std::thread::sleep(TAKE);
        }
    }

    /// Takes in the next record; returns whether one came within the time.
    fn read(&self, consumer: &BaseConsumer<ClientLog>, within: Duration) -> bool {
        match consumer.poll(within) {
            Some(Ok(record)) => {
                if let Some(topic) = self.names.topic_of(record.topic()) {
                    self.reading.take(&Record {
                        topic,
                        partition: record.partition(),
                        offset: record.offset(),
                        timestamp: record.timestamp().to_millis(),
                        key: record.key(),
                        payload: record.payload(),
                        header: &|name| header(record.headers(), name),
                    });
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

    /// Advances past offsets that hold transaction markers ([`Reading::pass`]). Must run on the thread
    /// that takes the consumer's records, so that all records before the position are in the view.
    fn pass_markers(&self, consumer: &BaseConsumer<ClientLog>, looked: &mut Instant) {
        if looked.elapsed() < MARKER_PAUSE {
            return;
        }
        *looked = Instant::now();
        let Ok(positions) = consumer.position() else { return };
        let elements = positions.elements();
        self.reading.pass(elements.iter().filter_map(|at| {
            match (self.names.topic_of(at.topic()), at.offset()) {
                (Some(topic), Offset::Offset(offset)) => Some(((topic, at.partition()), offset)),
                _ => None,
            }
        }));
    }

    /// Pauses the consumer of registrations while there are too many of them, and resumes it afterwards.
    fn hold_or_go_on(&self) {
        let Some(pause) = self.reading.change() else { return };
        let consumer = &self.patient;
        let all = consumer.assignment();
        match all.and_then(|all| if pause { consumer.pause(&all) } else { consumer.resume(&all) }) {
            Ok(()) => self.reading.changed(pause),
            Err(error) => {
                log::warn!("error" = error.to_string().as_str(); "the topic of registrations can't be paused or resumed")
            }
        }
    }

    /// Whether the broker answers all three clients. Blocks for at most a second each.
    pub(crate) fn broker_answers(&self, watch: &KafkaWatch) -> bool {
        watch.ask(self.prompt.client())
            & watch.ask(self.patient.client())
            & self.inquirer.broker_answers(watch)
    }

    /// Assigns the partitions; returns whether that succeeded before `stop` was cancelled.
    fn begin(&self, stop: &CancellationToken) -> bool {
        let mut pause = Duration::from_millis(50);
        while !stop.is_cancelled() {
            serve_token(&self.prompt);
            serve_token(&self.patient);
            match self.assign() {
                Ok(()) => return true,
                Err(error) => {
                    log::info!("error" = error.to_string().as_str(); "the log can't be read yet; trying again")
                }
            }
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(Duration::from_millis(500));
        }
        false
    }

    /// Assigns all partitions, each from the first record that may still count.
    fn assign(&self) -> KafkaResult<()> {
        let (start, end) = self.inquirer.span(&TOPICS, |topic| self.reading.since(topic))?;
        let (mut prompt, mut patient) = (TopicPartitionList::new(), TopicPartitionList::new());
        for ((topic, partition), offset) in &start {
            let assignment = if *topic == Topic::Created { &mut patient } else { &mut prompt };
            assignment.add_partition_offset(
                &self.names.topic(*topic),
                *partition,
                Offset::Offset(*offset),
            )?;
        }
        self.prompt.assign(&prompt)?;
        self.patient.assign(&patient)?;
        self.reading.begin(start, end);
        Ok(())
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
    use crate::{
        identity::IdSecret, metrics::Metrics, outside::Outside, publisher::Publisher, replica::Replica,
        rules::Freshness,
    };
    use rdkafka::{
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, Producer},
    };
    use runtime::{env::Env, spans::Spans};
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
        let inquirer = Arc::new(Inquirer::new(&kafka).unwrap());
        let publisher = Arc::new(Publisher::new(&kafka, LIMIT, Spans::default()).unwrap());
        let outside = Outside::Real { publisher, inquirer: Arc::clone(&inquirer) };
        let (id_secret, metrics) = (IdSecret::parse(secret).unwrap(), Arc::new(Metrics::new()));
        let replica = Replica::new(&kafka, rules, id_secret, 1_000, metrics, outside);
        let reading = replica.reading();
        let follower = Follower::new(&kafka, Arc::clone(reading), inquirer).unwrap();
        let stop = CancellationToken::new();
        let running = {
            let stop = stop.clone();
            std::thread::spawn(move || follower.run(&stop))
        };
        while !reading.is_caught_up() {
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
        while reading.reach(Freshness::END, Instant::now() + LIMIT).await.is_err() {
            assert!(began.elapsed() < LIMIT, "the follower still waits for the old leader");
        }
        stop.cancel();
        running.join().unwrap();
    }
}
