//! One round: everything starts, fails by the schedule, recovers, stops, and is judged.

use crate::{
    client::Clients,
    evidence::{Evidence, Incident, Recovery},
    expiries,
    figures::Figures,
    garbage,
    ledger::{self, Count},
    life::Life,
    operator::Operator,
    people,
    perform::{self, ServiceLane},
    schedule::{self, Lane, REPLICAS},
    stage::{Stage, service_name},
    strangers, topics,
};
use acceptance::{
    api::Api,
    world::{CODE_SECRETS, ID_SECRET},
};
use anyhow::Context as _;
use contract::code_secrets::{CodeSecrets, parse_secret};
use std::{
    fmt::Debug,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    task::{JoinHandle, JoinSet, spawn_blocking},
    time::{Instant, sleep, sleep_until, timeout_at},
};

/// All services are ready within this time after the broker answers again.
pub(crate) const READY_AGAIN: Duration = Duration::from_secs(30);
/// Everything is finished and committed within this time. A mail that is always refused ends at its deadline. The first
/// mails of a window have the latest deadline.
pub(crate) const SETTLED_AGAIN: Duration = Duration::from_secs(120);
/// The time for people to finish after the last fault.
const LAST_CHANCE: Duration = Duration::from_secs(15);
/// The longest start of a broker on a busy machine.
const BROKER_LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(250);
/// Limit on resident octets: the idle service, some thousand registrations, and what clients and readers may make it hold.
const USER_MEMORY: u64 = 128_000_000;
/// The limit in docs/operations.md for the default `MAX_BACKLOG_BYTES`: that value, 8 MiB for one broker, and 64 MB.
const NOTIFICATION_MEMORY: u64 = (72 << 20) + 64_000_000;
/// The part of the seed for garbage: behind the lanes, before the people.
const GARBAGE_PART: usize = 900;

/// The result of a round.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) counts: Vec<Count>,
    pub(crate) figures: Figures,
    /// The folder of logs and evidence, if a count is broken.
    pub(crate) folder: Option<PathBuf>,
}

/// Runs a round. Faults last for `length`; start and recovery come on top.
///
/// # Errors
/// A part of the round itself failed. This says nothing about the services.
pub(crate) async fn run(seed: u64, length: Duration) -> anyhow::Result<Verdict> {
    let mut stage = Stage::set_up().await?;
    let lanes = schedule::plan(seed, length);
    let faults = lanes.iter().map(Vec::len).sum();
    let clients =
        Arc::new(Clients::new([0, 1].map(|number| Api::new(stage.services[number].service.address()))));
    let began = Instant::now();
    let operator = Arc::new(Operator::new(&stage.world.kafka.bootstrap(), Arc::clone(&stage.chronicle))?);
    let people = stage.invite(seed, length, began, &clients, &operator);
    let incidents = stage.perform(seed, lanes, began, &clients).await?;
    sleep_until(began + length).await;
    stage.chronicle.note("no more faults");

    let (mut recovery, mut figures) = (Recovery::default(), Figures { faults, ..Figures::default() });
    stage.await_broker().await?;
    figures.ready = stage.await_ready(&mut recovery).await;
    // People who have not finished then disconnect, as clients do.
    let _ = timeout_at(began + length + LAST_CHANCE, finish(people)).await;
    figures.settled = stage.await_settled(&mut recovery).await?;
    figures.memory = stage.weigh(&mut recovery);
    stage.stop(&mut recovery).await;
    let evidence = stage.collect(&clients, incidents, recovery).await?;

    figures.count(&evidence);
    let counts = ledger::judge(&evidence);
    let broken = counts.iter().any(Count::is_broken);
    let folder = if broken { Some(stage.keep(&evidence)?) } else { None };
    Ok(Verdict { counts, figures, folder })
}

impl Stage {
    fn invite(
        &self,
        seed: u64,
        length: Duration,
        began: Instant,
        clients: &Arc<Clients>,
        operator: &Arc<Operator>,
    ) -> JoinSet<bool> {
        let mut people = JoinSet::new();
        for plan in people::plan(seed, length) {
            let (clients, sink, operator) =
                (Arc::clone(clients), Arc::clone(&self.sink), Arc::clone(operator));
            people.spawn(async move {
                sleep_until(began + plan.arrives).await;
                Life { replica: plan.replica, plan, clients, sink, operator }.live().await
            });
        }
        people
    }

    /// Carries out all lanes, in the order of the schedule.
    async fn perform(
        &mut self,
        seed: u64,
        lanes: Vec<Lane>,
        began: Instant,
        clients: &Arc<Clients>,
    ) -> anyhow::Result<Vec<Incident>> {
        let addresses: Vec<_> =
            self.services.iter().take(REPLICAS).map(|lane| lane.service.address()).collect();
        let (random, mut lanes) = (schedule::generator(seed, GARBAGE_PART), lanes.into_iter());
        let mut next = || lanes.next().unwrap_or_default();
        let chronicle = || Arc::clone(&self.chronicle);
        let services: Vec<JoinHandle<_>> =
            self.services.drain(..).map(|service| tokio::spawn(service.perform(next(), began))).collect();
        let broker = tokio::spawn(perform::broker(Arc::clone(&self.world), next(), began, chronicle()));
        let mail = tokio::spawn(perform::mail(Arc::clone(&self.sink), next(), began, chronicle()));
        let mut links = Vec::new();
        let broker_links = self.broker_links.iter().enumerate();
        let broker_links =
            broker_links.map(|(number, proxy)| (proxy, format!("{} to broker", service_name(number))));
        let mail_links = self.mail_links.iter().enumerate();
        let mail_links = mail_links
            .map(|(number, proxy)| (proxy, format!("{} to mail server", service_name(REPLICAS + number))));
        for (proxy, name) in broker_links.chain(mail_links) {
            links.push(tokio::spawn(perform::link(Arc::clone(proxy), name, next(), began, chronicle())));
        }
        let litter =
            garbage::litter(Arc::clone(&self.world), next(), began, random, Arc::clone(clients), chronicle());
        let garbage = tokio::spawn(litter);
        let visits: Vec<_> = addresses
            .into_iter()
            .map(|service| tokio::spawn(strangers::visit(service, next(), began, chronicle())))
            .collect();
        let mut incidents = broker.await.context("the broker's lane")?;
        incidents.extend(mail.await.context("the mail server's lane")??);
        for link in links {
            incidents.extend(link.await.context("a link's lane")?);
        }
        garbage.await.context("the lane of garbage")??;
        for visit in visits {
            visit.await.context("a lane of strangers")?;
        }
        for service in services {
            let (service, of_service) = service.await.context("a service's lane")?;
            self.services.push(service);
            incidents.extend(of_service);
        }
        Ok(incidents)
    }

    /// Waits until the round's own client gets answers. The services' time to recover begins then.
    async fn await_broker(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let brokers = self.world.kafka.bootstrap();
            let answered = spawn_blocking(move || topics::backlog(&brokers)).await?;
            match answered {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > BROKER_LIMIT => return Err(error.context("the broker")),
                Err(_) => sleep(POLL).await,
            }
        }
    }

    async fn await_ready(&mut self, recovery: &mut Recovery) -> Duration {
        let began = Instant::now();
        loop {
            let mut not_ready = Vec::new();
            for lane in &mut self.services {
                lane.watch();
                if !lane.service.is_ready().await {
                    not_ready.push(lane.name.clone());
                }
            }
            if not_ready.is_empty() || began.elapsed() > READY_AGAIN {
                self.chronicle.note(&format!("not ready: {not_ready:?}"));
                recovery.not_ready = not_ready;
                return began.elapsed();
            }
            sleep(POLL).await;
        }
    }

    async fn await_settled(&mut self, recovery: &mut Recovery) -> anyhow::Result<Duration> {
        let began = Instant::now();
        loop {
            self.services.iter_mut().for_each(ServiceLane::watch);
            let brokers = self.world.kafka.bootstrap();
            let backlog = spawn_blocking(move || topics::backlog(&brokers)).await??;
            if backlog.is_empty() || began.elapsed() > SETTLED_AGAIN {
                self.chronicle.note(&format!("backlog: {backlog:?}"));
                recovery.unsettled = backlog;
                return Ok(began.elapsed());
            }
            sleep(POLL).await;
        }
    }

    /// The peak memory of a user service and of a notification service.
    fn weigh(&self, recovery: &mut Recovery) -> [u64; 2] {
        let (users, notifications) = self.services.split_at(REPLICAS);
        let peak = |lanes: &[ServiceLane]| lanes.iter().map(|lane| lane.peak_memory).max().unwrap_or(0);
        for (lanes, bound) in [(users, USER_MEMORY), (notifications, NOTIFICATION_MEMORY)] {
            let beyond = lanes.iter().filter(|lane| lane.peak_memory > bound);
            recovery
                .too_large
                .extend(beyond.map(|lane| format!("{}: {} octets", lane.name, lane.peak_memory)));
        }
        [peak(users), peak(notifications)]
    }

    /// Stops all services gracefully, so that no mail is in flight.
    async fn stop(&mut self, recovery: &mut Recovery) {
        for lane in &mut self.services {
            lane.terminate().await;
            recovery.crashes.append(&mut lane.crashes);
        }
    }

    async fn collect(
        &self,
        clients: &Clients,
        incidents: Vec<Incident>,
        recovery: Recovery,
    ) -> anyhow::Result<Evidence> {
        let brokers = self.world.kafka.bootstrap();
        let records = spawn_blocking(move || topics::read_all(&brokers)).await??;
        let logs = self.services.iter().skip(REPLICAS).map(|lane| lane.service.log());
        Ok(Evidence {
            secrets: CodeSecrets::parse(CODE_SECRETS)?,
            id_secret: parse_secret(ID_SECRET)?,
            requests: clients.log(),
            records,
            mails: self.sink.mails(),
            expired: expiries::read(logs)?,
            incidents,
            recovery,
        })
    }

    /// Keeps everything that helps to find the cause.
    fn keep(mut self, evidence: &Evidence) -> anyhow::Result<PathBuf> {
        let folder = self.world.folder().to_owned();
        write_lines(&folder.join("requests.txt"), &evidence.requests)?;
        write_lines(&folder.join("records.txt"), &evidence.records)?;
        write_lines(&folder.join("mails.txt"), &evidence.mails)?;
        write_lines(&folder.join("incidents.txt"), &evidence.incidents)?;
        let world = Arc::get_mut(&mut self.world).context("the world is still in use")?;
        world.keep_folder();
        Ok(folder)
    }
}

/// Waits for all people. Dropping it disconnects those that are left.
async fn finish(mut people: JoinSet<bool>) {
    while people.join_next().await.is_some() {}
}

fn write_lines<T: Debug>(file: &Path, lines: &[T]) -> anyhow::Result<()> {
    let text: String = lines.iter().map(|line| format!("{line:?}\n")).collect();
    std::fs::write(file, text).with_context(|| format!("{}", file.display()))
}
