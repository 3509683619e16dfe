//! Neither the time of an answer nor a frozen broker reveals anything about an address.
//!
//! There are two brokers, one of them 2 ms slower. The test asks about addresses of every class in random order. For each
//! leader, the times of any two classes must look like samples of one distribution. By default there are a thousand of each
//! class and leader. The standard error of an AUC is then 0.013, so that of some two hundred pairs none is beyond 0.06 by
//! chance. `scripts/timing.sh` takes more samples.

use acceptance::{
    api::{Answer, Api},
    kafka::Kafka,
    latency::Latencies,
    log::{self, Writer},
    proofs,
    proxy::{LinkFault, Proxy},
    world::{World, show},
};
use contract::{
    email_address::EmailAddress,
    event::{self, Event},
    locale::Locale,
    person::Person as Data,
    person_name::PersonName,
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
};
use futures_util::{StreamExt, future::join_all, stream};
use jiff::Timestamp;
use rand::seq::SliceRandom;
use reqwest::StatusCode;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};
use tokio::time::sleep;

const SLOWER: Duration = Duration::from_millis(2);
const WINDOW: Duration = Duration::from_secs(3_600);
/// The samples of each class and leader, unless `TIMING_SAMPLES` has another number.
const SAMPLES: usize = 1_000;
/// The allowed deviation of an AUC in standard errors. Chance does not exceed it.
const STANDARD_ERRORS: f64 = 4.65;
/// The people of each class that are measured together.
const BATCH: usize = 100;
/// The number of parallel requests: while measuring, and while preparing people.
const AT_ONCE: usize = 4;
const PREPARED_AT_ONCE: usize = 64;
/// The time after which another mail can be requested.
const COOLDOWN: Duration = Duration::from_secs(1);
const FROZEN: Duration = Duration::from_secs(5);
/// The times of requests after one of the service's brokers was frozen.
const MOMENTS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(2_800)];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    New,
    Pending,
    /// By its owner, who has used up five guesses or all guesses of the window.
    Tried,
    VerifiedLongAgo,
    VerifiedJustNow,
    Forgotten,
}

const CLASSES: [Class; 6] = [
    Class::New,
    Class::Pending,
    Class::Tried,
    Class::VerifiedLongAgo,
    Class::VerifiedJustNow,
    Class::Forgotten,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    Register,
    WrongCode,
    WrongToken,
    Resend,
}

const REQUESTS: [Request; 4] = [Request::Register, Request::WrongCode, Request::WrongToken, Request::Resend];
/// Its token is wrong for all other addresses.
const SOMEBODY_ELSE: &str = "somebody.else@example.com";
/// Stands for all leaders: brokers' numbers begin with 1.
const ANY_LEADER: i32 = 0;

/// An address whose state a stranger would like to know.
#[derive(Debug, Clone)]
struct Person {
    class: Class,
    email: String,
    /// The owner's registration, if the owner is to verify later.
    own: Option<String>,
    /// The stranger's registration.
    id: String,
}

/// The time of one answer.
struct Sample {
    email: String,
    class: Class,
    request: Request,
    time: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_an_answer_tells_nothing_of_the_address() {
    let samples = std::env::var("TIMING_SAMPLES").map_or(SAMPLES, |text| text.parse().expect("a number"));
    let world = World::new().await;
    let proxy = Proxy::listen().await.expect("a port");
    let (slow, listener) = world.kafka.second(world.folder(), proxy.address());
    proxy.leads_to(listener);
    world.kafka.start().await;
    slow.start().await;
    let mut service = world.user_service("user").with("RESEND_COOLDOWN", "1s");
    service.start_and_wait().await;
    let api = Api::new(service.address());

    let leaders = Leaders::read(&world);
    let mut people = prepared(&world, &api, samples).await;
    // Set apart for the frozen broker: no stranger has asked about these people.
    let untouched = apart(&mut people, &leaders);
    proxy.set(Some(LinkFault::Delay(SLOWER)));
    let measured = measure(&api, &mut people).await;
    leaders.agree(&world);
    let unlike = compare(&measured, &leaders);
    same_statuses_while_frozen(&world, &slow, &people, &untouched, &leaders).await;
    assert!(unlike.is_empty(), "{unlike:?}");
}

/// `samples` people of each class and leader, in random order.
async fn prepared(world: &World, api: &Api, samples: usize) -> Vec<Person> {
    let classes = CLASSES.into_iter().cycle().take(2 * samples * CLASSES.len());
    // All addresses have the same length, so that records have the same size.
    let people = classes.enumerate().map(|(number, class)| {
        let email = format!("person{number:06}@example.com");
        Person { class, email, own: None, id: String::new() }
    });
    let window = proofs::window_at(Timestamp::now(), WINDOW);
    let prepare = people.map(|person| prepare(api, person, window));
    let mut people: Vec<_> = stream::iter(prepare).buffer_unordered(PREPARED_AT_ONCE).collect().await;
    // The people with many guesses take longest to prepare, so they have ended up last.
    people.shuffle(&mut rand::rng());
    let writer = Writer::new(&world.kafka.bootstrap());
    for person in &people {
        match person.class {
            Class::VerifiedLongAgo => writer.write(&verified_long_ago(&person.email)),
            Class::Forgotten => writer.forget(proofs::account_id(&person.email)),
            _ => {}
        }
    }
    writer.flush();
    people
}

/// The owner's requests before the stranger comes.
async fn prepare(api: &Api, mut person: Person, window: u64) -> Person {
    let email = person.email.as_str();
    match person.class {
        Class::New | Class::VerifiedLongAgo => {}
        Class::Pending => drop(accepted(api, email).await),
        Class::Tried => {
            let registrations = if rand::random() { 1 } else { 5 };
            for guess in 1..=5 * registrations {
                if guess % 5 == 1 {
                    person.own = Some(accepted(api, email).await);
                }
                let id = person.own.as_ref().expect("registered");
                expect(api.verify(id, &proofs::wrong_code(email, window, guess)).await, 422);
            }
        }
        Class::VerifiedJustNow => person.own = Some(accepted(api, email).await),
        Class::Forgotten => {
            let id = accepted(api, email).await;
            expect(api.verify_by_link(&id, &proofs::link_token(email, window)).await, 200);
        }
    }
    person
}

fn verified_long_ago(email: &str) -> Event {
    let (id, registration) = (proofs::account_id(email), RegistrationId::random());
    let person = Data {
        first_name: PersonName::parse("Ada").expect("a name"),
        last_name: PersonName::parse("Lovelace").expect("a name"),
        email: EmailAddress::parse(email).expect("an address"),
        locale: Locale::default(),
    };
    let request_id = RequestId::parse("long-ago").expect("an id");
    let then = Timestamp::now() - Duration::from_secs(30 * 24 * 3_600);
    Event::Verified(event::Verified::new(id, registration, person, request_id, then))
}

/// Asks about all people, batch by batch. Returns the times.
async fn measure(api: &Api, people: &mut [Person]) -> Vec<Sample> {
    let mut measured = Vec::new();
    for batch in people.chunks_mut(BATCH * CLASSES.len()) {
        // Not measured, and done long before the measurement: caches must not depend on the class.
        let verifying =
            batch.iter().filter(|person| person.class == Class::VerifiedJustNow).map(async |person| {
                let token = proofs::link_token(&person.email, proofs::window_at(Timestamp::now(), WINDOW));
                let id = person.own.as_ref().expect("registered");
                expect(api.verify_by_link(id, &token).await, 200);
            });
        stream::iter(verifying).buffer_unordered(PREPARED_AT_ONCE).collect::<()>().await;
        sleep(Duration::from_millis(300)).await;

        let registering = batch.iter_mut().map(async |person| {
            let answer = expect(api.register(&person.email).await, 202);
            answer.id().clone_into(&mut person.id);
            Sample::of(person, Request::Register, &answer)
        });
        measured.extend(stream::iter(registering).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
        let registered = tokio::time::Instant::now();
        let guesses = ask(api, batch, &[Request::WrongCode, Request::WrongToken]).await;
        measured.extend(guesses);
        tokio::time::sleep_until(registered + COOLDOWN).await;
        measured.extend(ask(api, batch, &[Request::Resend]).await);
    }
    measured
}

/// Sends each of these requests for each person, in random order.
async fn ask(api: &Api, people: &[Person], requests: &[Request]) -> Vec<Sample> {
    let pairs = requests.iter().flat_map(|request| people.iter().map(|person| (*request, person)));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.shuffle(&mut rand::rng());
    let asking = pairs.into_iter().map(async |(request, person)| {
        let answer = request.send(api, person, 0).await;
        let answer = expect(answer, if request == Request::Resend { 202 } else { 422 });
        Sample::of(person, request, &answer)
    });
    stream::iter(asking).buffer_unordered(AT_ONCE).collect().await
}

/// Compares classes by request and leader. Prints the times and how well they tell two classes apart. Returns the pairs of
/// classes that they tell apart.
fn compare(samples: &[Sample], leaders: &Leaders) -> Vec<String> {
    let mut times: BTreeMap<(Request, i32), BTreeMap<Class, Vec<Duration>>> = BTreeMap::new();
    for Sample { email, class, request, time } in samples {
        for leader in [leaders.of(*request, email), ANY_LEADER] {
            times.entry((*request, leader)).or_default().entry(*class).or_default().push(*time);
        }
    }
    let mut unlike = Vec::new();
    for ((request, leader), classes) in times {
        let leader = if leader == ANY_LEADER { "any leader".to_owned() } else { format!("leader {leader}") };
        show(&format!("{request:?}, {leader}"));
        let classes: Vec<_> = classes
            .into_iter()
            .map(|(class, times)| (class, times.into_iter().collect::<Latencies>()))
            .collect();
        for (number, (class, times)) in classes.iter().enumerate() {
            let mut line = format!("  {:15} {times}; AUC", format!("{class:?}"));
            for (other, others) in &classes[..number] {
                let auc = times.auc(others);
                line += &format!(" {auc:.3}");
                if (auc - 0.5).abs() > STANDARD_ERRORS * standard_error(times.count(), others.count()) {
                    unlike.push(format!("{request:?}, {leader}: {class:?} and {other:?}, AUC {auc:.3}"));
                }
            }
            show(&line);
        }
    }
    unlike
}

/// The standard error of an AUC of two samples of one distribution, with these sizes.
#[expect(clippy::cast_precision_loss, reason = "numbers of measurements")]
fn standard_error(n: usize, m: usize) -> f64 {
    ((n + m + 1) as f64 / (12 * n * m) as f64).sqrt()
}

/// Removes some people of each partition and class, and returns them.
fn apart(people: &mut Vec<Person>, leaders: &Leaders) -> Vec<Person> {
    let chosen = choose(people, leaders).into_values().flatten();
    let apart: BTreeSet<String> = chosen.map(|person| person.email.clone()).collect();
    people.extract_if(.., |person| apart.contains(&person.email)).collect()
}

/// One person for each moment, partition and class.
fn choose<'a>(people: &'a [Person], leaders: &Leaders) -> BTreeMap<(i32, Class), Vec<&'a Person>> {
    let mut chosen: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for person in people {
        let of_class = chosen.entry((leaders.partition(&person.email), person.class)).or_default();
        if of_class.len() < MOMENTS.len() {
            of_class.push(person);
        }
    }
    chosen
}

/// Freezes the slow broker. Every request must get the same status for all classes in the same partition: at once, and when
/// the log-end offsets are no longer known.
async fn same_statuses_while_frozen(
    world: &World,
    slow: &Kafka,
    people: &[Person],
    untouched: &[Person],
    leaders: &Leaders,
) {
    // Short time-outs, so that all answers come before the broker is thawed.
    let mut service =
        world.user_service("impatient").with("RESEND_COOLDOWN", "1s").with("PUBLISH_TIMEOUT", "2s");
    service.start_and_wait().await;
    let api = Api::new(service.address());
    // For each moment, partition and class: a person whom the stranger has registered, and one whom no stranger has asked
    // about.
    let (known, untouched) = (choose(people, leaders), choose(untouched, leaders));
    slow.freeze();
    let frozen = tokio::time::Instant::now();
    let mut statuses: BTreeMap<_, BTreeMap<Class, BTreeSet<StatusCode>>> = BTreeMap::new();
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        tokio::time::sleep_until(frozen + moment).await;
        let mut asking = Vec::new();
        for ((partition, class), known) in &known {
            let untouched = &untouched[&(*partition, *class)];
            for request in REQUESTS {
                let person = if request == Request::Register { untouched[number] } else { known[number] };
                let api = &api;
                asking.push(async move {
                    let answer = request.send(api, person, 1 + number).await;
                    ((moment, request, *partition), *class, answer.status)
                });
            }
        }
        for (what, class, status) in join_all(asking).await {
            statuses.entry(what).or_default().entry(class).or_default().insert(status);
        }
    }
    tokio::time::sleep_until(frozen + FROZEN).await;
    slow.thaw();
    for ((moment, request, partition), classes) in &statuses {
        let leader = leaders.leader(Topic::Created, *partition);
        let all: BTreeSet<_> = classes.values().collect();
        show(&format!(
            "{moment:?} after broker 2 froze, partition {partition} at broker {leader}, {request:?}: {all:?}"
        ));
        assert!(all.len() == 1 && classes.len() == CLASSES.len(), "{classes:?}");
    }
    let registered = |leader| {
        let at = statuses.iter().filter(move |((moment, request, partition), _)| {
            let of = leaders.leader(Topic::Created, *partition);
            (*moment, *request, of) == (MOMENTS[0], Request::Register, leader)
        });
        at.flat_map(|(_, classes)| classes.values().flatten().copied()).collect::<BTreeSet<_>>()
    };
    assert_eq!(registered(1), [StatusCode::ACCEPTED].into());
    assert_eq!(registered(2), [StatusCode::SERVICE_UNAVAILABLE].into());
    service.ready().await;
}

impl Sample {
    fn of(person: &Person, request: Request, answer: &Answer) -> Self {
        Self { email: person.email.clone(), class: person.class, request, time: answer.latency() }
    }
}

impl Request {
    /// Sends the request; `number` selects one of several wrong codes.
    async fn send(self, api: &Api, person: &Person, number: usize) -> Answer {
        let window = proofs::window_at(Timestamp::now(), WINDOW);
        match self {
            Self::Register => api.register(&person.email).await,
            Self::WrongCode => {
                api.verify(&person.id, &proofs::wrong_code(&person.email, window, number)).await
            }
            Self::WrongToken => {
                api.verify_by_link(&person.id, &proofs::link_token(SOMEBODY_ELSE, window)).await
            }
            Self::Resend => api.resend(&person.id).await,
        }
    }

    fn topic(self) -> Topic {
        if self == Self::WrongCode { Topic::Activity } else { Topic::Created }
    }
}

/// The leader of each address's partition, in each topic that a stranger's request writes to.
struct Leaders {
    partitions: usize,
    leaders: HashMap<Topic, HashMap<i32, i32>>,
}

impl Leaders {
    fn read(world: &World) -> Self {
        let bootstrap = world.kafka.bootstrap();
        let leaders = [Topic::Created, Topic::Activity].map(|topic| (topic, log::leaders(&bootstrap, topic)));
        Self { partitions: leaders[0].1.len(), leaders: leaders.into() }
    }

    /// Checks the computed partitions against the log.
    fn agree(&self, world: &World) {
        for record in log::read(&world.kafka.bootstrap(), Topic::Created) {
            let account = record.key.parse().expect("an id");
            assert_eq!(log::partition_of(account, self.partitions), record.partition, "{account}");
        }
    }

    /// The partition of an address, the same in every topic.
    fn partition(&self, email: &str) -> i32 {
        log::partition_of(proofs::account_id(email), self.partitions)
    }

    fn leader(&self, topic: Topic, partition: i32) -> i32 {
        self.leaders[&topic][&partition]
    }

    /// The leader of the partition that a request about an address writes to.
    fn of(&self, request: Request, email: &str) -> i32 {
        self.leader(request.topic(), self.partition(email))
    }
}

async fn accepted(api: &Api, email: &str) -> String {
    expect(api.register(email).await, 202).id().to_owned()
}

fn expect(answer: Answer, status: u16) -> Answer {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    answer
}
