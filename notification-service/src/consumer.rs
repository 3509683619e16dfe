//! The shell around [`Mailing`]: the Kafka consumer, the clock and the tasks. It reports what happens, carries out the state
//! machine's commands (`commands`), and decides nothing about a record.
//!
//! One loop owns everything, so nothing is shared. The loop never stops calling `recv`, which also serves the group.
//! Back-pressure is paused partitions.

use crate::{
    delivery::{Delivery, Interrupts},
    mailing::{Command, CommitConfig, DeliveryId, Input, Mailing, Now, ServerSettings, Settings},
    outcome::End,
    status::Status,
};
use anyhow::Context as _;
use futures_util::future;
use group::GroupClient;
use jiff::Timestamp;
use rdkafka::{
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use runtime::kafka::{KafkaConfig, KafkaWatch, Names};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::{self, JoinSet, coop::cooperative},
};
use tokio_util::sync::CancellationToken;

mod commands;
mod group;

pub use group::GroupConfig;

/// How long leaving the group may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest time between two log lines about client errors.
const PAUSE_OF_ERRORS: Duration = Duration::from_secs(10);

/// Owns the Kafka client and all deliveries.
pub(crate) struct Consumer {
    /// Declared before the client, so that it is dropped first: closing the client waits for the answer to its last
    /// rebalance.
    rebalances: UnboundedReceiver<Input<'static>>,
    client: Arc<GroupClient>,
    names: Names,
    mailing: Mailing,
    delivery: Arc<Delivery>,
    status: Arc<Status>,
    running: JoinSet<End>,
    started: HashMap<task::Id, DeliveryId>,
    commits: JoinSet<KafkaResult<()>>,
    /// Of each mail server. Cancelling one of them interrupts the deliveries that were started with it.
    interrupts: Vec<Interrupts>,
    last_error: Option<Instant>,
}

impl Consumer {
    /// Returns a check of whether a broker answers the consumer's client. A call blocks for a second at most.
    pub(crate) fn broker_answers(&self) -> impl Fn(&KafkaWatch) -> bool + Send + Sync + 'static {
        let client = Arc::downgrade(&self.client);
        // Without a consumer this process is stopping anyway.
        move |watch| client.upgrade().is_none_or(|client| watch.ask(client.client()))
    }

    pub(crate) fn new(
        kafka: &KafkaConfig,
        group: &GroupConfig,
        commit: CommitConfig,
        servers: Vec<ServerSettings>,
        delivery: Delivery,
        status: Arc<Status>,
    ) -> anyhow::Result<Self> {
        let (client, rebalances) =
            group::client(kafka, group, Arc::clone(&status)).context("the Kafka consumer can't be made")?;
        let interrupts = servers.iter().map(|_| Interrupts::default()).collect();
        let settings = Settings {
            group: group.group.clone(),
            commit,
            servers,
            max_backlog_octets: group.max_backlog_octets,
            clock_tolerance: group.clock_tolerance,
        };
        Ok(Self {
            rebalances,
            client: Arc::new(client),
            names: kafka.names.clone(),
            mailing: Mailing::new(settings, now()),
            delivery: Arc::new(delivery),
            status,
            running: JoinSet::new(),
            started: HashMap::new(),
            commits: JoinSet::new(),
            interrupts,
            last_error: None,
        })
    }

    /// Takes part in the group until `stop` is cancelled. Then it drains, commits and leaves.
    ///
    /// # Errors
    /// A fatal error of the client, after which it can't be used.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let client = Arc::clone(&self.client);
        let topics = group::TOPICS.map(|topic| self.names.topic(topic));
        client.subscribe(&topics.each_ref().map(String::as_str)).context("can't subscribe")?;
        let mut stopping = false;
        let ended = 'work: loop {
            let wake = self.mailing.wake_at();
            let commands = tokio::select! {
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.mailing.on(Input::Stop, now())
                }
                Some(rebalance) = self.rebalances.recv() => self.mailing.on(rebalance, now()),
                Some(ended) = self.running.join_next_with_id() => self.on_ended(ended),
                Some(committed) = self.commits.join_next() => self.on_committed(committed),
                // With records in the queue, `recv` never yields. Without Tokio's budget, no other branch would run.
                received = cooperative(client.recv()) => match received {
                    Ok(record) => group::taken(&record, &self.names).map_or_else(Vec::new, |taken| self.mailing.on(taken, now())),
                    Err(KafkaError::MessageConsumptionFatal(code)) => {
                        break Err(anyhow::anyhow!("fatal error of the Kafka consumer: {code}"));
                    }
                    Err(error) => {
                        self.note_error(&error);
                        Vec::new()
                    }
                },
                () = tokio::time::sleep_until(wake.into()) => self.mailing.on(Input::Tick, now()),
            };
            self.status.set_work(self.mailing.work());
            for command in commands {
                if matches!(command, Command::Leave) {
                    break 'work Ok(());
                }
                self.carry_out(command);
            }
        };
        drop(client);
        self.leave().await;
        ended
    }

    fn on_ended(&mut self, ended: Result<(task::Id, End), task::JoinError>) -> Vec<Command> {
        let (task, end) = ended.unwrap_or_else(|error| (error.id(), End::Gone));
        let delivery = self.started.remove(&task);
        delivery.map_or_else(Vec::new, |delivery| self.mailing.on(Input::Ended { delivery, end }, now()))
    }

    fn on_committed(&mut self, committed: Result<KafkaResult<()>, task::JoinError>) -> Vec<Command> {
        let input = match committed {
            // No offset: everything stored is committed already.
            Ok(Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset))) => Input::Committed,
            Ok(Err(error)) => {
                log::warn!("error" = error.to_string().as_str(); "commit failed; trying again");
                Input::CommitFailed { expelled: is_expelled(&error) }
            }
            Err(_) => Input::CommitFailed { expelled: false },
        };
        self.mailing.on(input, now())
    }

    fn note_error(&mut self, error: &KafkaError) {
        let now = Instant::now();
        if self.last_error.is_none_or(|last| now > last + PAUSE_OF_ERRORS) {
            self.last_error = Some(now);
            log::warn!("error" = error.to_string().as_str(); "reading from Kafka failed; librdkafka tries again");
        }
    }

    /// Leaves the group, so that other members take over at once.
    async fn leave(mut self) {
        self.status.set_left();
        self.running.shutdown().await;
        future::join_all(self.delivery.mailers.iter().map(|mailer| mailer.close())).await;
        let (client, mut rebalances) = (self.client, self.rebalances);
        // A loss that the loop has not read yet gets its answer here. Otherwise closing the client would wait for that
        // answer.
        if let Ok(Input::Revoked { lost: true }) = rebalances.try_recv() {
            let _ = client.unassign();
        }
        // From here on the callback itself answers the last revocation.
        drop(rebalances);
        let closed = task::spawn_blocking(move || drop(client));
        if tokio::time::timeout(LEAVE_TIMEOUT, closed).await.is_err() {
            log::warn!("the group could not be left in time; its members will notice");
        }
    }
}

/// Reads the clocks and draws the random number.
fn now() -> Now {
    Now { instant: Instant::now(), wall: Timestamp::now(), jitter: rand::random_range(0.0..1.0) }
}

/// Whether the group has removed this member.
fn is_expelled(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AssignmentLost, FencedInstanceId, IllegalGeneration, UnknownMemberId};
    matches!(
        error,
        KafkaError::ConsumerCommit(UnknownMemberId | IllegalGeneration | AssignmentLost | FencedInstanceId)
    )
}
