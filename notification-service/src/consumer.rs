//! The one owner of the Kafka consumer, of offsets and of commits: what is taken, what is started, what is settled.
//!
//! ```text
//!   recv ──► backlog ──► running deliveries ──► offsets ──► commit
//!               ▲               │ interrupted      (contiguous prefix, in batches, off the async threads)
//!               └───────────────┘
//! ```
//!
//! One loop, so nothing here is shared. It never stops calling `recv`, which also serves the group: back-pressure is
//! paused partitions. Giving up partitions and stopping are states of the loop, not loops of their own.

use crate::{
    delivery::{self, Delivery, Task},
    gate::{Admission, Gate},
    offsets::{Offsets, Position},
    outcome::{Outcome, Reason, Report},
    record::Record,
    retry,
    status::Status,
};
use anyhow::Context as _;
use backlog::{Backlog, Flow, Item};
use chains::Chains;
use commit::Batch;
use group::{GroupClient, GroupEvent};
use jiff::Timestamp;
use rdkafka::{
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult},
    message::{BorrowedMessage, Message as _},
};
use recent::{MailId, Recent};
use settle::Ending;
use shared::{
    event,
    kafka::{KafkaConfig, KafkaWatch},
    topic::Topic,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::{self, coop::cooperative},
};
use tokio_util::sync::CancellationToken;

mod backlog;
mod chains;
mod commit;
mod dispatch;
mod ended;
mod flow;
mod group;
mod recent;
mod settle;

pub use commit::CommitConfig;
pub use group::GroupConfig;

/// For each session one delivery that uses it and one that is next.
const DELIVERIES_PER_SESSION: usize = 2;
/// The loop looks at its deadlines at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// See the module's text.
pub(crate) struct Consumer {
    /// Before the client, so that it is dropped first: the client's end waits for an answer to its last rebalance.
    events: UnboundedReceiver<GroupEvent>,
    client: Arc<GroupClient>,
    config: CommitConfig,
    delivery: Arc<Delivery>,
    status: Arc<Status>,
    max_running: usize,
    max_backlog_octets: usize,
    clock_tolerance: Duration,

    offsets: Offsets,
    backlog: Backlog,
    chains: Chains,
    sources: Flow,
    retries: Flow,
    gate: Gate,
    /// Cancelled when deliveries that still wait for a session shall not begin any more.
    round: CancellationToken,
    /// Cancelled when the mail server's answers are not waited for any more.
    talks: CancellationToken,
    running: task::JoinSet<Report>,
    started: HashMap<task::Id, Started>,
    mailing: HashSet<MailId>,
    recent: Recent,
    batch: Batch,
    commits: task::JoinSet<(Vec<Position>, KafkaResult<()>)>,
    /// All partitions are being given up.
    revocation: Option<Ending>,
    /// The process' work is ending.
    stop: Option<Ending>,
    last_error: Option<Instant>,
    /// Topics with records of an earlier version; the log has said so.
    with_earlier: HashSet<Topic>,
}

/// A delivery that was started.
struct Started {
    item: Item,
    task: Task,
    probe: bool,
    began: Instant,
}

impl Consumer {
    /// A question to the consumer's client: whether a broker answers it. Blocks for a second at most.
    pub(crate) fn broker_answers(&self) -> impl Fn(&KafkaWatch) -> bool + Send + Sync + 'static {
        let client = Arc::downgrade(&self.client);
        // Without a consumer this process is ending anyway.
        move |watch| client.upgrade().is_none_or(|client| watch.ask(client.client()))
    }

    pub(crate) fn new(
        kafka: &KafkaConfig,
        group: &GroupConfig,
        config: CommitConfig,
        sessions: usize,
        delivery: Delivery,
        status: Arc<Status>,
    ) -> anyhow::Result<Self> {
        let (client, events) =
            group::client(kafka, group, Arc::clone(&status)).context("the Kafka consumer can't be made")?;
        Ok(Self {
            client: Arc::new(client),
            events,
            config,
            delivery: Arc::new(delivery),
            status,
            max_running: sessions * DELIVERIES_PER_SESSION,
            max_backlog_octets: group.max_backlog_octets,
            clock_tolerance: group.clock_tolerance,
            offsets: Offsets::default(),
            backlog: Backlog::default(),
            chains: Chains::default(),
            sources: Flow::default(),
            retries: Flow::default(),
            gate: Gate::default(),
            round: CancellationToken::new(),
            talks: CancellationToken::new(),
            running: task::JoinSet::new(),
            started: HashMap::new(),
            mailing: HashSet::new(),
            recent: Recent::default(),
            batch: Batch::default(),
            commits: task::JoinSet::new(),
            revocation: None,
            stop: None,
            last_error: None,
            with_earlier: HashSet::new(),
        })
    }

    /// Takes part in the group until `stop` is cancelled, then drains, commits and leaves.
    ///
    /// # Errors
    /// A fatal error of the client, after which it can't be used.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let client = Arc::clone(&self.client);
        client.subscribe(&group::TOPICS.map(|topic| topic.name())).context("can't subscribe")?;
        let ended = loop {
            let now = Instant::now();
            self.backlog.take_up_due(Timestamp::now());
            self.dispatch(now);
            self.settle(now);
            self.adjust_flow();
            self.status.set_waiting_since(self.offsets.waiting_since());
            if self.is_drained() {
                break Ok(());
            }
            let wake = self.next_wake(now);
            tokio::select! {
                () = stop.cancelled(), if self.stop.is_none() => self.begin_stop(),
                Some(event) = self.events.recv() => self.on_group_event(event),
                Some(ended) = self.running.join_next_with_id() => self.on_ended(ended),
                Some(committed) = self.commits.join_next() => self.on_committed(committed),
                // Of a full queue it never waits: without a budget nothing else would have its turn.
                received = cooperative(client.recv()) => match received {
                    Ok(record) => self.take(&record),
                    Err(KafkaError::MessageConsumptionFatal(code)) => {
                        break Err(anyhow::anyhow!("fatal error of the Kafka consumer: {code}"));
                    }
                    Err(error) => self.note_error(&error),
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        };
        drop(client);
        self.leave().await;
        ended
    }

    /// Takes a record; what asks for no email is finished at once.
    fn take(&mut self, record: &BorrowedMessage<'_>) {
        if self.ending().is_some() {
            return;
        }
        let Some((partition, offset)) = group::origin(record) else { return };
        let Some(position) = self.offsets.take(partition, offset, group::written_at(record)) else { return };
        if partition.topic == Topic::MailRetry
            && retry::is_of_another_group(event::header(record.headers(), retry::GROUP), &self.delivery.group)
        {
            self.offsets.pass(position);
            return;
        }
        let record = group::own(record, position, Timestamp::now(), self.clock_tolerance);
        self.note_earlier_version(&record);
        self.chains.note(&record);
        self.status.taken();
        if delivery::is_ignored(&record) {
            self.finish(position, Outcome::Ignored);
        } else {
            self.backlog.add(record, Timestamp::now());
        }
    }

    fn finish(&mut self, position: Position, outcome: Outcome) {
        let ended = match outcome {
            // Whoever reads it again does nothing either.
            Outcome::Ignored | Outcome::Expired => self.offsets.pass(position),
            _ => self.offsets.finish(position),
        };
        // False: the partition is gone, and its unfinished records were counted as handed back.
        if ended {
            self.status.ended(outcome);
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let gate = match self.gate.admission(now) {
            Admission::Nothing(until) if self.backlog.ready() > 0 => until,
            _ => None,
        };
        let due = self.backlog.next_due().map(|due| {
            now + Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
        });
        let commit = if self.commits.is_empty() { self.batch.due_at(&self.config) } else { None };
        let ending = self.ending();
        let (drop_mails, over) = (ending.map(|ending| ending.drop_mails), ending.map(|ending| ending.over));
        let deadlines = [gate, due, commit, drop_mails, over].into_iter().flatten();
        // A deadline that has passed and still stands waits for something else to happen.
        deadlines
            .filter(|deadline| *deadline > now)
            .min()
            .map_or(now + LONGEST_SLEEP, |deadline| deadline.min(now + LONGEST_SLEEP))
    }

    /// A line for the first one of each topic: there may be many.
    fn note_earlier_version(&mut self, record: &Record) {
        let topic = record.position.partition.topic;
        let Some(version) = record.earlier_version() else { return };
        if self.with_earlier.insert(topic) {
            log::warn!(
                "kafka.topic" = topic.name(), "event.version" = version;
                "records of an earlier version found: none is mailed, each becomes a dead letter. Stop all services of that \
                 version; whoever waits for a mail has to register again. Then: notification-service dead-letters discard \
                 --reason {}", Reason::UnknownVersion
            );
        }
    }

    fn note_error(&mut self, error: &KafkaError) {
        const PAUSE: Duration = Duration::from_secs(10);
        let now = Instant::now();
        if self.last_error.is_none_or(|last| now > last + PAUSE) {
            self.last_error = Some(now);
            log::warn!("error" = error.to_string().as_str(); "reading from Kafka failed; librdkafka tries again");
        }
    }
}
