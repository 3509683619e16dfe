//! One run: everything in it, and the loop that lets it happen.

use crate::{
    agenda::Agenda,
    broker::{Broker, Outgoing},
    chronicle::Chronicle,
    group::{Group, MemberId},
    ledger::{Breach, Ledger},
    mail_server::{MailServer, Treatment},
    people::{People, SignUp},
    random::generator,
    schedule::Planned,
    service::{Next, Service, State},
    setup::Setup,
};
use contract::event::Event;
use jiff::Timestamp;
use notification_service::simulated::{DeliveryId, Now, Partition};
use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

/// The begin of all runs; only differences of instants matter.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// What the clocks of all runs show at first, in seconds since 1970.
const EPOCH: i64 = 1_800_000_000;
/// How long people go on signing up after the last fault. A service that does not mail them has not recovered.
const AFTER_FAULTS: Duration = Duration::from_mins(1);

/// What happens next.
#[derive(Debug)]
pub(crate) enum Happening {
    SignUp,
    /// A user service's record reaches the broker.
    Published(Box<Outgoing>),
    /// A fault, by its number.
    Begin(usize),
    End(usize),
    /// The coordinator looks after its members.
    Coordinate,
    /// The mail server has read a mail whole.
    Mailed {
        service: usize,
        process: u64,
        delivery: DeliveryId,
        event: Arc<Event>,
        began: Duration,
    },
    /// A copy reaches the broker.
    Copied {
        service: usize,
        process: u64,
        delivery: DeliveryId,
        record: Box<Outgoing>,
        acked: bool,
    },
    /// A commit reaches the coordinator.
    CommitArrives(CommitRequest),
    /// A process goes on.
    Process {
        service: usize,
        process: u64,
        next: Next,
    },
    /// Has everything settled?
    Look,
}

/// A commit on its way.
#[derive(Debug)]
pub(crate) struct CommitRequest {
    pub(crate) service: usize,
    pub(crate) process: u64,
    pub(crate) member: Option<(MemberId, u64)>,
    pub(crate) offsets: Vec<(Partition, i64)>,
    pub(crate) assignment: Option<usize>,
    /// Its process learns what follows.
    pub(crate) answered: bool,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) breach: Option<Breach>,
    /// Simulated.
    pub(crate) took: Duration,
    pub(crate) mails: usize,
    pub(crate) duplicates: usize,
    pub(crate) chronicle: Chronicle,
}

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) faults: Vec<Planned>,
    pub(crate) agenda: Agenda<Happening>,
    pub(crate) broker: Broker,
    pub(crate) group: Group,
    pub(crate) server: MailServer,
    pub(crate) people: People,
    pub(crate) services: Vec<Service>,
    pub(crate) restarts: Vec<bool>,
    pub(crate) ledger: Ledger,
    pub(crate) chronicle: Chronicle,
    faults_over: bool,
}

/// Carries a run out; the same arguments lead to the same run. `chronicled`: with an account of what happened.
pub(crate) fn run(setup: &Setup, faults: &[Planned], chronicled: bool) -> Verdict {
    let seed = setup.seed;
    let begin = Now { instant: *BEGIN, wall: Timestamp::from_second(EPOCH).unwrap_or_default(), jitter: 0.0 };
    let service = |number| {
        let part = u64::try_from(number).unwrap_or(u64::MAX).wrapping_add(16);
        Service::new(number, setup.settings(), begin, generator(seed, part))
    };
    let mut world = World {
        setup: setup.clone(),
        faults: faults.to_vec(),
        agenda: Agenda::new(),
        broker: Broker::new(setup.partitions),
        group: Group::default(),
        server: MailServer::new(generator(seed, 2)),
        people: People::new(generator(seed, 3)),
        services: (0..setup.services).map(service).collect(),
        restarts: vec![false; setup.services],
        ledger: Ledger::new(setup),
        chronicle: Chronicle::new(chronicled),
        faults_over: false,
    };
    world.begin();
    while world.ledger.breach.is_none()
        && !world.is_over()
        && let Some(happening) = world.agenda.next()
    {
        world.happen(happening);
    }
    world.judge()
}

impl World {
    fn begin(&mut self) {
        for (number, planned) in self.faults.iter().enumerate() {
            self.agenda.at(planned.at, Happening::Begin(number));
            self.agenda.at(planned.at + planned.lasts, Happening::End(number));
        }
        (0..self.services.len()).for_each(|service| self.start(service));
        self.agenda.after(Duration::ZERO, Happening::Coordinate);
        self.agenda.after(Duration::from_secs(1), Happening::SignUp);
        self.agenda.at(self.setup.faults_for, Happening::Look);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::SignUp => self.sign_up(),
            Happening::Published(record) => self.append(*record, None),
            Happening::Begin(number) => self.begin_fault(number),
            Happening::End(number) => self.end_fault(number),
            Happening::Coordinate => self.coordinate(),
            Happening::Mailed { service, process, delivery, event, began } => {
                self.mailed(service, process, delivery, &event, began);
            }
            Happening::Copied { service, process, delivery, record, acked } => {
                self.append(*record, Some((service, process, delivery)));
                if acked {
                    let latency = self.latency(service);
                    self.process_later(service, process, latency, Next::Acked(delivery));
                }
            }
            Happening::CommitArrives(request) => self.commit_arrives(request),
            Happening::Process { service, process, next } => self.go_on(service, process, next),
            Happening::Look => self.look(),
        }
    }

    /// The true time.
    pub(crate) fn true_time(&self) -> Timestamp {
        let begin = Timestamp::from_second(EPOCH).unwrap_or_default();
        begin + self.agenda.now()
    }

    pub(crate) fn instant(&self) -> Instant {
        *BEGIN + self.agenda.now()
    }

    /// What a service's wall clock shows.
    pub(crate) fn wall(&self, service: usize) -> Timestamp {
        self.true_time() + self.services[service].skew
    }

    /// Simulated time at an instant of a state machine.
    pub(crate) fn since_begin(at: Instant) -> Duration {
        at.saturating_duration_since(*BEGIN)
    }

    fn sign_up(&mut self) {
        let SignUp { record, event, treatment, publish, again } = self.people.next(self.true_time());
        if let Some(event) = event {
            self.chronicle.note(self.agenda.now(), || {
                format!("{} signs up: {:?}, {treatment:?}", event.request_id().as_str(), event.kind())
            });
            self.ledger.asked(event, treatment);
        }
        if let Some(again) = again {
            self.agenda.after(publish + again, Happening::Published(Box::new(record.clone())));
        }
        self.agenda.after(publish, Happening::Published(Box::new(record)));
        if self.agenda.now() < self.setup.faults_for + AFTER_FAULTS {
            let pause = self.people.pause(self.setup.pause);
            self.agenda.after(pause, Happening::SignUp);
        }
    }

    /// What a recipient's mails meet.
    pub(crate) fn treatment(&self, event: &Event) -> Treatment {
        self.ledger.treatment(event)
    }

    fn append(&mut self, record: Outgoing, by: Option<(usize, u64, DeliveryId)>) {
        let (partition, offset, stored) = self.broker.append(record, self.true_time());
        self.chronicle.note(self.agenda.now(), || {
            format!("broker: {}/{}/{offset} is written", partition.topic.name(), partition.number)
        });
        self.ledger.appended(partition, offset, &stored, by, self.agenda.now());
        for service in 0..self.services.len() {
            if self.services[service].client.cursors.contains_key(&partition) {
                self.receive_soon(service);
            }
        }
    }

    fn coordinate(&mut self) {
        let (expelled, shared_out) = self.group.look(self.agenda.now(), self.broker.read_by_the_group());
        for service in expelled {
            self.chronicle.note(self.agenda.now(), || format!("group: service {service} is expelled"));
        }
        if shared_out {
            self.chronicle.note(self.agenda.now(), || "group: partitions are shared anew".to_owned());
        }
        self.agenda.after(Duration::from_millis(100), Happening::Coordinate);
    }

    fn look(&mut self) {
        if !self.faults_over {
            self.faults_over = true;
            self.server.lenient = true;
            self.chronicle.note(self.agenda.now(), || "the last fault is over".to_owned());
        }
        self.agenda.after(Duration::from_secs(1), Happening::Look);
    }

    /// Whether nothing is left to do, or the time for that is over.
    fn is_over(&mut self) -> bool {
        let over_at = self.setup.faults_for + AFTER_FAULTS;
        if self.agenda.now() < over_at + Duration::from_secs(10) {
            return false;
        }
        let behind = self.broker.read_by_the_group().find(|partition| {
            self.group.committed.get(partition).copied().unwrap_or_default() < self.broker.log_end(*partition)
        });
        let Some(behind) = behind else { return true };
        if self.agenda.now() > over_at + self.setup.settles_within() {
            let committed = self.group.committed.get(&behind).copied().unwrap_or_default();
            let detail = format!(
                "{}/{} is committed to {committed} of {}; gates closed: {:?}",
                behind.topic.name(),
                behind.number,
                self.broker.log_end(behind),
                self.services.iter().map(|service| service.mailing.work().gate_closed_by).collect::<Vec<_>>(),
            );
            self.ledger.breaks("the backlog is gone in time after the last fault", self.agenda.now(), detail);
            return true;
        }
        false
    }

    fn judge(mut self) -> Verdict {
        let now = self.agenda.now();
        if self.ledger.breach.is_none() {
            self.ledger.judge(&self.faults, self.true_time(), now);
        }
        let (mails, duplicates) = self.ledger.figures();
        Verdict { breach: self.ledger.breach.take(), took: now, mails, duplicates, chronicle: self.chronicle }
    }

    /// A process goes on with this later, if it is still there.
    pub(crate) fn later(&mut self, service: usize, wait: Duration, next: Next) {
        let process = self.services[service].process;
        self.process_later(service, process, wait, next);
    }

    pub(crate) fn process_later(&mut self, service: usize, process: u64, wait: Duration, next: Next) {
        self.agenda.after(wait, Happening::Process { service, process, next });
    }

    /// Starts a process.
    pub(crate) fn start(&mut self, service: usize) {
        self.restarts[service] = false;
        if self.services[service].state != State::Down {
            return;
        }
        self.chronicle.note(self.agenda.now(), || format!("service {service} starts"));
        let now = self.now_of_without_draw(service);
        self.services[service].start(service, self.setup.settings(), now, self.agenda.now());
        self.ledger.process_began(service);
        self.later(service, Duration::ZERO, Next::Heartbeat);
        self.later(service, Duration::ZERO, Next::Tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::plan;

    /// Three minutes under faults, with some mails.
    fn setup(seed: u64, services: usize) -> Setup {
        let mut setup = Setup::new(seed, services);
        (setup.faults_for, setup.pause) = (Duration::from_mins(3), Duration::from_millis(500));
        setup
    }

    #[test]
    fn the_same_seed_leads_to_the_same_run_and_another_seed_to_another() {
        let chronicle = |seed| {
            let setup = setup(seed, 2);
            let verdict = run(&setup, &plan(seed, &setup), true);
            verdict.chronicle.last(usize::MAX).cloned().collect::<Vec<_>>()
        };
        let once = chronicle(1);
        assert!(once.len() > 1_000);
        assert_eq!(once, chronicle(1));
        assert_ne!(once, chronicle(2));
    }

    #[test]
    fn without_faults_no_mail_comes_twice() {
        for services in 1..=3 {
            let verdict = run(&setup(1, services), &[], false);
            assert!(verdict.breach.is_none(), "{:?}", verdict.breach);
            assert!(verdict.mails > 50 && verdict.duplicates == 0, "{verdict:?}");
        }
    }
}
