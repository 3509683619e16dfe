//! One run: everything in it, and the loop that lets it happen.

use crate::{
    agenda::Agenda,
    broker::{Broker, OF_USERS, Outgoing},
    call::Call,
    chronicle::Chronicle,
    group::{Group, MemberId},
    ledger::{Breach, Ledger},
    mail_server::{MailServer, Treatment},
    people::{People, VICTIMS, Wish, encode},
    random::generator,
    schedule::Planned,
    service::{Next, Service, State},
    setup::{Setup, id_secret},
    user_service::{Reader, UserInput, UserService},
};
use contract::{
    account_id::AccountId,
    email_address::EmailAddress,
    event::{Event, Verified},
    locale::Locale,
    person::Person,
    person_name::PersonName,
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
};
use jiff::Timestamp;
use notification_service::simulated::{DeliveryId, Now, Partition};
use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};
use user_service::{Config, simulated::Answer};

/// The begin of all runs; only differences of instants matter.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// What the clocks of all runs show at first, in seconds since 1970: a time in which moka, whose clock is the machine's, removes nothing.
const EPOCH: i64 = 4_100_000_000;
/// How long people go on signing up after the last fault. A service that does not mail them has not recovered.
pub(crate) const AFTER_FAULTS: Duration = Duration::from_mins(1);

/// Between two comparisons of replicas.
const COMPARE_PAUSE: Duration = Duration::from_secs(15);
pub(crate) const AGREE: &str = "replicas that have read the same log agree";

/// What happens next.
#[derive(Debug)]
pub(crate) enum Happening {
    SignUp,
    /// A stranger has an idea.
    Stranger,
    /// Somebody does what they wanted to do.
    Wish(usize, Wish),
    /// A request reaches a user service.
    Called(usize, Box<Call>),
    /// Its caller gets the answer, or has waited too long.
    Told(RequestId, Option<Answer>),
    /// A record of nobody reaches the broker.
    Noise(Box<Outgoing>),
    /// An operator forgets somebody.
    Forget,
    /// An operator looks whether an account was verified after its tombstone.
    IsForgotten(AccountId),
    /// All who have a mail prove that.
    Insist,
    /// The replicas are compared, if they have read the same.
    Compare,
    /// A user service's record reaches the broker.
    Written {
        user: usize,
        process: u64,
        name: u64,
        record: Box<Outgoing>,
        event: Event,
        acked: bool,
    },
    /// A user service's query of the log-end offsets reaches the broker.
    AskedForEnds {
        user: usize,
        process: u64,
        name: u64,
    },
    /// A process of the user service goes on.
    User {
        user: usize,
        process: u64,
        input: UserInput,
    },
    /// A fault, by its number.
    Begin(usize),
    End(usize),
    /// The coordinator looks after its members.
    Coordinate,
    /// A mail server has read a mail whole.
    Mailed {
        server: usize,
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
    /// Answers of user services.
    pub(crate) answers: usize,
    pub(crate) chronicle: Chronicle,
}

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) faults: Vec<Planned>,
    pub(crate) agenda: Agenda<Happening>,
    pub(crate) broker: Broker,
    pub(crate) group: Group,
    pub(crate) servers: Vec<MailServer>,
    /// Mails that were taken back before their content was on its way: their servers won't have them.
    pub(crate) recalled: HashSet<(usize, u64, DeliveryId)>,
    pub(crate) people: People,
    pub(crate) services: Vec<Service>,
    pub(crate) restarts: Vec<bool>,
    pub(crate) users: Vec<UserService>,
    /// Of the user services.
    pub(crate) config: Config,
    /// Faults that last.
    pub(crate) faults_now: usize,
    /// Since when none does.
    pub(crate) calm_since: Option<Duration>,
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
    let user = |number| {
        let part = u64::try_from(number).unwrap_or(u64::MAX).wrapping_add(1_024);
        UserService::new(generator(seed, part))
    };
    let mut world = World {
        setup: setup.clone(),
        faults: faults.to_vec(),
        agenda: Agenda::new(),
        broker: Broker::new(setup.partitions),
        group: Group::default(),
        servers: (0..)
            .take(setup.servers.len())
            .map(|number| MailServer::new(seed, number, setup.scale.services))
            .collect(),
        recalled: HashSet::new(),
        people: People::new(generator(seed, 3)),
        services: (0..setup.scale.services).map(service).collect(),
        restarts: vec![false; setup.scale.services],
        users: (0..setup.scale.users).map(user).collect(),
        config: setup.config(),
        faults_now: 0,
        calm_since: Some(Duration::ZERO),
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
        self.make_history();
        (0..self.services.len()).for_each(|service| self.start(service));
        (0..self.users.len()).for_each(|user| self.start_user(user));
        self.agenda.after(Duration::ZERO, Happening::Coordinate);
        self.agenda.after(Duration::from_secs(1), Happening::SignUp);
        (0..VICTIMS).for_each(|human| {
            self.agenda.after(Duration::from_secs(1), Happening::Wish(human, Wish::Register));
        });
        self.agenda.after(Duration::from_secs(10), Happening::Stranger);
        self.agenda.after(Duration::from_secs(20), Happening::Forget);
        self.agenda.after(COMPARE_PAUSE, Happening::Compare);
        self.agenda.at(self.setup.faults_for + Duration::from_secs(25), Happening::Insist);
        self.agenda.at(self.setup.faults_for, Happening::Look);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::SignUp => self.sign_up(),
            Happening::Stranger => self.stranger(),
            Happening::Wish(human, wish) => self.wish(human, wish),
            Happening::Called(user, call) => match self.users[user].state {
                State::Down => self.refused(&call),
                _ => self.user_later(user, Duration::ZERO, UserInput::Call(call)),
            },
            Happening::Told(request, answer) => self.told(&request, answer),
            Happening::Noise(record) => {
                self.append(*record, None);
            }
            Happening::Forget => self.forget(),
            Happening::IsForgotten(account) => {
                if self.ledger.is_verified(account) {
                    self.write_tombstone(account);
                }
            }
            Happening::Insist => self.insist(),
            Happening::Compare => {
                self.compare(false);
                self.agenda.after(COMPARE_PAUSE, Happening::Compare);
            }
            Happening::Written { user, process, name, record, event, acked } => {
                let (partition, offset, stamped_at) = self.append(*record, None);
                self.ledger.written(&event, offset, stamped_at, self.agenda.now());
                if acked {
                    let latency = self.user_latency(user);
                    let partition = partition.number;
                    let input = UserInput::Acked { number: name, partition, offset, stamped_at };
                    self.user_process_later(user, process, latency, input);
                }
            }
            Happening::AskedForEnds { user, process, name } => self.answer_ends(user, process, name),
            Happening::User { user, process, input } => self.user_goes_on(user, process, input),
            Happening::Begin(number) => self.begin_fault(number),
            Happening::End(number) => self.end_fault(number),
            Happening::Coordinate => self.coordinate(),
            Happening::Mailed { server, service, process, delivery, event, began } => {
                self.mailed(server, (service, process, delivery), &event, began);
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
        Timestamp::from_second(EPOCH).unwrap_or_default() + self.agenda.now()
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

    /// Accounts that were verified days ago; the topic was compacted since.
    #[expect(clippy::expect_used, reason = "constants that are valid")]
    fn make_history(&mut self) {
        let at = self.true_time() - Duration::from_secs(3 * 24 * 60 * 60);
        for number in 1..4 {
            let person = Person {
                first_name: PersonName::parse("Old").expect("a name"),
                last_name: PersonName::parse("Timer").expect("a name"),
                // Those who are about to sign up again.
                email: EmailAddress::parse(&format!("p{}@example.com", 3 * number)).expect("an address"),
                locale: Locale::default(),
            };
            let account = id_secret().account_id(&person.email);
            let registration: RegistrationId = format!("{:032x}", 1_000 + number).parse().expect("a UUID");
            let request = RequestId::parse("long-ago").expect("an id");
            let event = Event::Verified(Verified::new(account, registration, person, request, at));
            self.broker.skip(Topic::Verified, account.to_string().as_bytes(), number);
            let (partition, offset, _) = self.broker.append(encode(&event, at), at);
            self.ledger.verified_long_ago(account, offset);
            self.group.committed.insert(partition, offset + 1);
        }
    }

    /// What a recipient's mails meet.
    pub(crate) fn treatment(&self, event: &Event) -> Treatment {
        self.people.treatment(event)
    }

    pub(crate) fn append(
        &mut self,
        record: Outgoing,
        by: Option<(usize, u64, DeliveryId)>,
    ) -> (Partition, i64, Timestamp) {
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
        if OF_USERS.contains(&partition.topic) {
            let is_created = partition.topic == Topic::Created;
            let reader = if is_created { Reader::Patient } else { Reader::Prompt };
            (0..self.users.len()).for_each(|user| self.read_soon(user, reader));
        }
        (partition, offset, Timestamp::from_millisecond(stored.timestamp).unwrap_or_default())
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
            self.servers.iter_mut().for_each(|server| server.lenient = true);
            self.chronicle.note(self.agenda.now(), || "the last fault is over".to_owned());
        }
        self.agenda.after(Duration::from_secs(1), Happening::Look);
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
    use crate::{schedule::plan, setup::Scale};

    /// Three minutes under faults, with some mails.
    fn setup(seed: u64, services: usize) -> Setup {
        let mut setup = Setup::new(seed, Scale { services, users: 2, short: false });
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
    fn short_runs_keep_every_promise() {
        for seed in 1..=4 {
            let setup = Setup::new(seed, Scale { services: 2, users: 2, short: true });
            let verdict = run(&setup, &plan(seed, &setup), false);
            assert!(verdict.breach.is_none(), "seed {seed}: {:?}", verdict.breach);
            assert!(verdict.answers > 300 && verdict.mails > 50, "seed {seed}: {verdict:?}");
        }
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
