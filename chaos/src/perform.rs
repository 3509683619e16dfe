//! Carries out the schedule. One task for each lane owns the part that fails.

use crate::{
    chronicle::Chronicle,
    evidence::Incident,
    schedule::{Fault, Lane, MailFault, Planned, ProcessFault, REPLICAS},
    sink::Sink,
};
use acceptance::{
    proxy::{LinkFault, Proxy},
    service::Service,
    world::World,
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// A crash of a notification service may duplicate this many finished records, and those in flight.
pub(crate) const MAX_UNCOMMITTED: usize = 40;
pub(crate) const SMTP_CONNECTIONS: usize = 8;
const COPIES_OF_A_CRASH: usize = MAX_UNCOMMITTED + SMTP_CONNECTIONS;
/// The least time between two faults, for a process that takes long to stop or start.
const LEAST_CALM: Duration = Duration::from_secs(3);
/// How often a process is checked for having ended by itself.
const WATCH: Duration = Duration::from_millis(100);
/// A rise of the peak of resident octets by this much is logged.
const LEAP: u64 = 32_000_000;

/// The faults of one service's process. The lane is also its supervisor: a process that ends by itself is started again.
pub(crate) struct ServiceLane {
    pub(crate) name: String,
    pub(crate) service: Service,
    /// The duplicates that its crash or a long silence may cause.
    pub(crate) duplicates: usize,
    pub(crate) chronicle: Arc<Chronicle>,
    pub(crate) crashes: Vec<String>,
    /// The highest peak memory of its processes, in octets.
    pub(crate) peak_memory: u64,
}

impl ServiceLane {
    pub(crate) fn new(name: String, number: usize, service: Service, chronicle: Arc<Chronicle>) -> Self {
        Self {
            name,
            service,
            duplicates: duplicates_of(number),
            chronicle,
            crashes: Vec::new(),
            peak_memory: 0,
        }
    }

    pub(crate) async fn perform(mut self, lane: Lane, began: Instant) -> (Self, Vec<Incident>) {
        let mut incidents = Vec::new();
        for planned in lane {
            self.watch_until(due(began, planned.at)).await;
            let Fault::Service(_, fault) = planned.fault else { continue };
            self.chronicle.note(&format!("{}: {fault:?} for {:?}", self.name, planned.lasts));
            let from = Timestamp::now();
            match fault {
                ProcessFault::Kill => {
                    self.service.kill();
                    sleep(planned.lasts).await;
                    self.service.start();
                }
                ProcessFault::Terminate => {
                    self.terminate().await;
                    sleep(planned.lasts).await;
                    self.service.start();
                }
                ProcessFault::Freeze => {
                    self.service.freeze();
                    sleep(planned.lasts).await;
                    self.service.thaw();
                }
            }
            self.chronicle.note(&format!("{}: goes on", self.name));
            // A graceful stop is no cause of duplicates.
            let duplicates = if fault == ProcessFault::Terminate { 0 } else { self.duplicates };
            incidents.push(incident(format!("{}: {fault:?}", self.name), from, duplicates));
        }
        (self, incidents)
    }

    /// Stops the process gracefully, and notes if that fails.
    pub(crate) async fn terminate(&mut self) {
        match self.service.terminate().await {
            Some(status) if status.success() => {}
            Some(status) => self.note_crash(&format!("ended with {status} when it was asked to")),
            None => self.note_crash("did not end when it was asked to"),
        }
    }

    /// Starts the process again if it has ended.
    pub(crate) fn watch(&mut self) {
        let peak = self.service.peak_memory().unwrap_or(0);
        if peak > self.peak_memory + LEAP {
            let status = self.service.status().unwrap_or_default();
            let memory: Vec<_> =
                status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("Rss")).collect();
            self.chronicle.note(&format!("{}: {peak} octets at most, now {memory:?}", self.name));
        }
        self.peak_memory = self.peak_memory.max(peak);
        if let Some(status) = self.service.ended() {
            self.note_crash(&format!("ended by itself with {status}"));
            self.service.start();
        }
    }

    async fn watch_until(&mut self, until: Instant) {
        while Instant::now() < until {
            self.watch();
            sleep_until(until.min(Instant::now() + WATCH)).await;
        }
        self.watch();
    }

    fn note_crash(&mut self, what: &str) {
        let line = format!("{} {what}, at {:.3}", self.name, Timestamp::now());
        self.chronicle.note(&line);
        self.crashes.push(line);
    }
}

/// The broker's lane.
pub(crate) async fn broker(
    world: Arc<World>,
    lane: Lane,
    began: Instant,
    chronicle: Arc<Chronicle>,
) -> Vec<Incident> {
    let mut incidents = Vec::new();
    for planned in lane {
        sleep_until(due(began, planned.at)).await;
        let Fault::Broker(fault) = planned.fault else { continue };
        chronicle.note(&format!("broker: {fault:?} for {:?}", planned.lasts));
        let from = Timestamp::now();
        match fault {
            ProcessFault::Freeze => world.kafka.freeze(),
            ProcessFault::Kill => world.kafka.kill().await,
            ProcessFault::Terminate => world.kafka.stop().await,
        }
        sleep(planned.lasts).await;
        match fault {
            ProcessFault::Freeze => world.kafka.thaw(),
            ProcessFault::Kill | ProcessFault::Terminate => world.kafka.start().await,
        }
        chronicle.note("broker: goes on");
        // All members may lose their partitions.
        incidents.push(incident(format!("broker: {fault:?}"), from, REPLICAS * COPIES_OF_A_CRASH));
    }
    incidents
}

/// The mail server's lane.
pub(crate) async fn mail(
    sink: Arc<Sink>,
    lane: Lane,
    began: Instant,
    chronicle: Arc<Chronicle>,
) -> anyhow::Result<Vec<Incident>> {
    let mut incidents = Vec::new();
    for planned in lane {
        sleep_until(began + planned.at).await;
        let Fault::Mail(fault) = planned.fault else { continue };
        chronicle.note(&format!("mail server: {fault:?} for {:?}", planned.lasts));
        let from = Timestamp::now();
        let begun = sink.fail(fault).await;
        sleep(planned.lasts).await;
        let ended = sink.recover(fault).await?;
        chronicle.note("mail server: goes on");
        incidents.push(incident(describe(fault), from, begun + ended));
    }
    Ok(incidents)
}

/// The lane of the connections between a service and the broker, or the mail server.
pub(crate) async fn link(
    proxy: Arc<Proxy>,
    name: String,
    lane: Lane,
    began: Instant,
    chronicle: Arc<Chronicle>,
) -> Vec<Incident> {
    let mut incidents = Vec::new();
    for Planned { at, lasts, fault } in lane {
        sleep_until(began + at).await;
        let (number, fault, open) = match fault {
            Fault::BrokerLink(number, fault) => (number, fault, None),
            Fault::MailLink(number, fault) => (number, fault, Some(proxy.open())),
            _ => continue,
        };
        chronicle.note(&format!("{name}: {fault:?} for {lasts:?}"));
        let from = Timestamp::now();
        proxy.set(Some(fault));
        sleep(lasts).await;
        proxy.set(None);
        chronicle.note(&format!("{name}: goes on"));
        let duplicates = match fault {
            LinkFault::Delay(_) => 0,
            // Each session of that moment may have delivered a mail without learning of it.
            LinkFault::Cut | LinkFault::Swallow | LinkFault::Stall => open.unwrap_or(duplicates_of(number)),
        };
        incidents.push(incident(format!("{name}: {fault:?}"), from, duplicates));
    }
    incidents
}

/// When a fault begins: at its time, or a moment after the previous one if that took longer than planned.
fn due(began: Instant, at: Duration) -> Instant {
    (began + at).max(Instant::now() + LEAST_CALM)
}

fn duplicates_of(number: usize) -> usize {
    // User services send no mail.
    if number < REPLICAS { 0 } else { COPIES_OF_A_CRASH }
}

fn incident(what: String, from: Timestamp, duplicates: usize) -> Incident {
    Incident { what, from, until: Timestamp::now(), duplicates }
}

fn describe(fault: MailFault) -> String {
    format!("mail server: {fault:?}")
}
