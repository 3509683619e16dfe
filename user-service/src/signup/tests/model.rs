//! A log in memory, and replicas that read it on demand: tests drive the verbs step by step, with any clock. A record
//! has its ack at once, and a replica reads it when a request waits for it.

use crate::{
    config::Config,
    correlation::Correlation,
    log_ends::Offsets,
    metrics::Metrics,
    network::Client,
    outside::{Outside, by_hand::ByHand},
    publisher::Written,
    replica::{Reading, Record, Registration},
    rules::{Rules, tests::RULES},
    signup::{Proof, Registered as Answered, Resent, Shown, Signup, Unavailable, Verdict, desk::Desk},
};
use contract::{
    account_id::AccountId,
    email_address::EmailAddress,
    event::{Event, Mailing, Registered},
    locale::Locale,
    person::Person,
    person_name::PersonName,
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::Timestamp;
use runtime::env::Env;
use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

const ID_SECRET: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
const CODE_SECRETS: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const CLIENT: Client = Client::Named(0);
/// That of every replica, but for its rules.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let mut env = Env::from_pairs([
        ("CODE_SECRETS", CODE_SECRETS),
        ("ID_SECRET", ID_SECRET),
        ("WRONG_CODES", "off"),
        ("MAX_PENDING", "18446744073709551615"),
        ("KAFKA_TOPIC_SETTINGS", "ignore"),
        ("ALLOW_DEVELOPMENT_SECRETS", "yes"),
    ]);
    Config::from_env(&mut env).unwrap()
});
pub(super) const TOPICS: [Topic; 3] = [Topic::Created, Topic::Activity, Topic::Verified];

/// A moment of the day of these tests, such as `09:59:59`. The
/// day is in the future, so moka's own clock removes nothing.
pub(super) fn at(time: &str) -> Timestamp {
    format!("2099-11-21T{time}Z").parse().unwrap()
}

pub(super) fn seconds_after(moment: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(moment.as_second() + seconds).unwrap()
}

pub(super) fn person(first_name: &str, email: &str) -> Person {
    Person {
        first_name: PersonName::parse(first_name).unwrap(),
        last_name: PersonName::parse("Lovelace").unwrap(),
        email: EmailAddress::parse(email).unwrap(),
        locale: Locale::default(),
    }
}

/// The answer that a caller sees, without the registration's id, which always differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Accepted { expires_at: Timestamp, resend_after: u64 },
    Wait(u64),
    Full,
    Unknown,
    Verified,
    Shown(Person),
    WrongCode(u32),
    WrongToken,
    UsedUp,
    WrongClock,
}

/// One record of a topic. Each topic has one partition here.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) topic: Topic,
    pub(super) offset: i64,
    /// The broker's clock.
    pub(super) stamped_at: Timestamp,
    account: AccountId,
    /// `None`: a tombstone.
    pub(super) event: Option<Event>,
}

/// The log.
#[derive(Clone, Default)]
pub(super) struct Log {
    pub(super) records: Vec<Entry>,
    ends: HashMap<Topic, i64>,
    /// Mails with a code that went out, in order.
    pub(super) mails: Vec<(Timestamp, Registered)>,
    pub(super) notices: u32,
}

/// One replica, and how much of each topic it has read.
pub(super) struct Side {
    pub(super) signup: Signup,
    pub(super) hand: Arc<ByHand>,
    metrics: Arc<Metrics>,
    next: HashMap<Topic, i64>,
    /// Takes events directly, without encoding and decoding them: for tests with many thousands of them.
    pub(super) trusts_the_log: bool,
}

impl Log {
    /// Writes an event at the broker's time. The mail that it asks for goes out at once, unless it is a duplicate.
    pub(super) fn write(&mut self, event: &Event, now: Timestamp) -> Written {
        if let Event::Registered(mailing, registered) = event {
            let is_new = !self.mails.iter().any(|(_, mailed)| {
                (mailed.id, mailed.window, mailed.send) == (registered.id, registered.window, registered.send)
            });
            match mailing {
                Mailing::FirstCode | Mailing::FurtherCode if is_new => {
                    self.mails.push((now, registered.clone()))
                }
                Mailing::Notice => self.notices += 1,
                _ => {}
            }
        }
        self.append(event.kind().topic(), event.account_id(), Some(event.clone()), now)
    }

    pub(super) fn forget(&mut self, account: AccountId, now: Timestamp) {
        self.append(Topic::Verified, account, None, now);
    }

    fn append(&mut self, topic: Topic, account: AccountId, event: Option<Event>, now: Timestamp) -> Written {
        let end = self.ends.entry(topic).or_default();
        let offset = *end;
        *end += 1;
        self.records.push(Entry { topic, offset, stamped_at: now, account, event });
        Written { topic, partition: 0, offset, stamped_at: Some(now) }
    }

    /// The log-end offset of a topic.
    pub(super) fn end(&self, topic: Topic) -> i64 {
        self.ends.get(&topic).copied().unwrap_or(0)
    }

    /// The log-end offsets of all partitions.
    pub(super) fn ends(&self) -> Offsets {
        TOPICS.map(|topic| ((topic, 0), self.end(topic))).into()
    }

    /// The newest mail with a code to this address.
    pub(super) fn newest(&self, email: &str) -> &Registered {
        let email = EmailAddress::parse(email).unwrap();
        let mut mails = self.mails.iter().rev().map(|(_, mail)| mail);
        mails.find(|mail| mail.email.normalised() == email.normalised()).expect("a mail")
    }

    /// The mailing that a registration asks for, and the place that its event names.
    pub(super) fn mailing_of(&self, id: RegistrationId) -> (Mailing, u32) {
        let events = self.records.iter().filter_map(|record| record.event.as_ref());
        let mut mailings = events.filter_map(|event| match event {
            Event::Registered(mailing, event) if event.registration == id => Some((*mailing, event.send)),
            _ => None,
        });
        mailings.next().expect("a record")
    }

    pub(super) fn verified(&self) -> Vec<&contract::event::Verified> {
        let events = self.records.iter().filter_map(|record| record.event.as_ref());
        events
            .filter_map(|event| if let Event::Verified(event) = event { Some(event) } else { None })
            .collect()
    }

    pub(super) fn attempts(&self) -> usize {
        self.records.iter().filter(|record| matches!(record.event, Some(Event::Attempt(_)))).count()
    }

    /// Compacts the topic of verified accounts: of each account the
    /// last record before this time remains, and all later ones.
    pub(super) fn compact(&mut self, before: Timestamp) {
        let last: HashMap<AccountId, usize> = self
            .records
            .iter()
            .enumerate()
            .filter(|(_, record)| record.topic == Topic::Verified)
            .map(|(at, record)| (record.account, at))
            .collect();
        let mut at = 0;
        self.records.retain(|record| {
            let keep =
                record.topic != Topic::Verified || record.stamped_at >= before || last[&record.account] == at;
            at += 1;
            keep
        });
    }

    /// Where a replica begins to read: in each topic at the first record from this time on.
    fn starts(&self, since: impl Fn(Topic) -> Option<Timestamp>) -> Offsets {
        let first = |topic: Topic| {
            let mut of_topic = self.records.iter().filter(|record| record.topic == topic);
            let first = of_topic.find(|record| since(topic).is_none_or(|since| record.stamped_at >= since));
            first.map_or(self.end(topic), |record| record.offset)
        };
        TOPICS.map(|topic| ((topic, 0), first(topic))).into()
    }
}

impl Side {
    pub(super) fn new() -> Self {
        Self::with(RULES)
    }

    pub(super) fn with(rules: Rules) -> Self {
        let seed = u64::from_be_bytes(RegistrationId::random().as_bytes()[..8].try_into().unwrap());
        let side = Self::seeded(rules, at("00:00:00"), seed);
        side.reading().begin(Log::default().ends(), Log::default().ends());
        side
    }

    /// A replica that has read nothing. Its clock shows `now`, and its registration ids follow from `seed`.
    pub(super) fn seeded(rules: Rules, now: Timestamp, seed: u64) -> Self {
        let config = Config { rules, ..CONFIG.clone() };
        let (hand, metrics) = (Arc::new(ByHand::new(now, seed)), Arc::new(Metrics::new()));
        let signup = Signup::new(&config, Arc::clone(&metrics), Outside::ByHand(Arc::clone(&hand)));
        Self { signup, hand, metrics, next: HashMap::new(), trusts_the_log: false }
    }

    /// A replica that starts now and has read the log, topic by topic in this order.
    pub(super) fn started(log: &Log, topics: [Topic; 3], now: Timestamp, rules: Rules) -> Self {
        let mut side = Self::with(rules);
        side.start(log, now);
        topics.into_iter().for_each(|topic| side.read(topic, log, now));
        side
    }

    /// Begins the replay of a replica that starts now.
    pub(super) fn start(&mut self, log: &Log, now: Timestamp) {
        let starts = log.starts(|topic| self.desk().rules.replay_from(topic, now));
        self.next = starts.iter().map(|((topic, _), offset)| (*topic, *offset)).collect();
        self.reading().begin(starts, log.ends());
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.signup.0.desk
    }

    pub(super) fn reading(&self) -> &Arc<Reading> {
        self.signup.replica().reading()
    }

    /// Sets `MAX_PENDING`.
    pub(super) fn bound(&mut self, max_pending: u64) {
        Arc::get_mut(&mut self.signup.0).unwrap().desk.max_pending = max_pending;
    }

    /// The number of records that it has passed over.
    pub(super) fn passed_over(&self) -> u64 {
        self.metrics.passed_over()
    }

    /// The offset of the record that it reads next.
    pub(super) fn next(&self, topic: Topic) -> i64 {
        self.next.get(&topic).copied().unwrap_or(0)
    }

    /// Reads a topic to its log-end offset.
    pub(super) fn read(&mut self, topic: Topic, log: &Log, now: Timestamp) {
        self.hand.set(now);
        self.read_to(topic, log, log.end(topic));
    }

    /// Reads a topic up to this offset. The clock stays as it is.
    pub(super) fn read_to(&mut self, topic: Topic, log: &Log, end: i64) {
        let unread = self.next(topic)..end;
        if unread.is_empty() {
            return;
        }
        // Looks backwards from the end: the log may be long, and little of it is unread as a rule.
        let newest = log
            .records
            .iter()
            .rev()
            .take_while(|record| record.topic != topic || record.offset >= unread.start);
        let mut newest: Vec<_> =
            newest.filter(|record| record.topic == topic && unread.contains(&record.offset)).collect();
        newest.reverse();
        newest.into_iter().for_each(|record| self.take_in(record));
        self.next.insert(topic, end);
    }

    pub(super) fn read_all(&mut self, log: &Log, now: Timestamp) {
        for topic in TOPICS {
            self.read(topic, log, now);
        }
    }

    fn take_in(&self, entry: &Entry) {
        let reading = self.reading();
        if self.trusts_the_log
            && let Some(event) = &entry.event
        {
            self.desk().view.apply(event, self.hand.now());
            return reading.pass([((entry.topic, 0), entry.offset + 1)].into_iter());
        }
        let key = entry.account.to_string();
        let encoded =
            entry.event.as_ref().map(|event| (event.encode().unwrap(), event.event_id().to_string()));
        reading.take(&Record {
            topic: entry.topic,
            partition: 0,
            offset: entry.offset,
            timestamp: Some(entry.stamped_at.as_millisecond()),
            key: Some(key.as_bytes()),
            payload: encoded.as_ref().map(|(encoded, _)| &*encoded.payload),
            header: &|name| match name {
                "ce_type" => entry.event.as_ref().map(|event| event.kind().name().as_bytes()),
                "ce_id" => encoded.as_ref().map(|(_, id)| id.as_bytes()),
                _ => None,
            },
        });
    }

    pub(super) fn registration(&self, id: RegistrationId, now: Timestamp) -> Option<Registration> {
        self.desk().view.registration(id, now)
    }

    pub(super) fn account(&self, email: &str) -> AccountId {
        self.desk().id_secret.account_id(&EmailAddress::parse(email).unwrap())
    }

    /// Carries out a request while the clock says `now` and the broker's clock `broker_now`.
    /// The request gets all that it needs at once.
    fn work<T>(
        &mut self,
        log: &mut Log,
        now: Timestamp,
        broker_now: Timestamp,
        work: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        // Makes the view stale, so that a request that needs the log-end offset has to ask for it.
        self.hand.advance(Duration::from_secs(10));
        self.hand.set(now);
        let (mut work, mut unread) = (pin!(work), TOPICS.into_iter());
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return done;
            }
            let (published, asked) = (self.hand.take_published(), self.hand.take_asked());
            if published.is_empty() && asked.is_empty() {
                let topic = unread.next().expect("all is read, and a request still waits");
                self.read_to(topic, log, log.end(topic));
                continue;
            }
            for published in published {
                let _ = published.ack.send(Ok(log.write(&published.event, broker_now)));
            }
            asked.into_iter().for_each(|asked| asked.answer(log.ends()));
            unread = TOPICS.into_iter();
        }
    }

    /// Registers at this replica, whose clock says `now`, at a broker whose clock says the same.
    pub(super) fn register(
        &mut self,
        log: &mut Log,
        person: Person,
        now: Timestamp,
    ) -> (RegistrationId, Seen) {
        self.register_as(log, person, now, now)
    }

    /// The same with a broker whose clock says `broker_now`.
    pub(super) fn register_as(
        &mut self,
        log: &mut Log,
        person: Person,
        now: Timestamp,
        broker_now: Timestamp,
    ) -> (RegistrationId, Seen) {
        let register = self.signup.clone().register(person, Correlation::begin(RequestId::random()));
        accepted(self.work(log, now, broker_now, register))
    }

    pub(super) fn resend(
        &mut self,
        log: &mut Log,
        id: RegistrationId,
        now: Timestamp,
    ) -> (RegistrationId, Seen) {
        self.read(Topic::Created, log, now);
        let resend = self.signup.clone().resend(id, Correlation::begin(RequestId::random()));
        match self.work(log, now, now, resend) {
            Ok(Resent::Accepted(registered)) => accepted(Ok(registered)),
            Ok(Resent::Wait(wait)) => (id, Seen::Wait(wait.as_millis().div_ceil(1000).try_into().unwrap())),
            Ok(Resent::Unknown) => (id, Seen::Unknown),
            Err(error) => accepted(Err(error)),
        }
    }

    pub(super) fn verify(
        &mut self,
        log: &mut Log,
        id: RegistrationId,
        code: &VerificationCode,
        now: Timestamp,
    ) -> Seen {
        self.prove(log, id, Proof::Code(code.clone()), now)
    }

    pub(super) fn follow_link(
        &mut self,
        log: &mut Log,
        id: RegistrationId,
        token: &LinkToken,
        now: Timestamp,
    ) -> Seen {
        self.prove(log, id, Proof::Token(token.clone()), now)
    }

    fn prove(&mut self, log: &mut Log, id: RegistrationId, proof: Proof, now: Timestamp) -> Seen {
        self.read(Topic::Created, log, now);
        let verify = self.signup.clone().verify(id, proof, CLIENT, Correlation::begin(RequestId::random()));
        match self.work(log, now, now, verify).unwrap() {
            Verdict::Verified(_) => Seen::Verified,
            Verdict::WrongCode { attempts_left } => Seen::WrongCode(attempts_left),
            Verdict::WrongToken => Seen::WrongToken,
            Verdict::GuessesUsedUp => Seen::UsedUp,
            Verdict::TooManyWrongCodes(_) => unreachable!("they are not counted"),
            Verdict::Unknown => Seen::Unknown,
        }
    }

    pub(super) fn show(
        &mut self,
        log: &mut Log,
        id: RegistrationId,
        token: &LinkToken,
        now: Timestamp,
    ) -> Seen {
        self.read_all(log, now);
        let show = self.signup.clone().show(id, token.clone());
        match self.work(log, now, now, show).unwrap() {
            Shown::Registration(person) => Seen::Shown(person),
            Shown::WrongToken => Seen::WrongToken,
            Shown::Unknown => Seen::Unknown,
        }
    }

    /// The code in a mail.
    pub(super) fn code(&self, mail: &Registered) -> VerificationCode {
        self.code_of(&mail.email, mail.window)
    }

    /// The code of an address for a window.
    pub(super) fn code_of(&self, email: &EmailAddress, window: u64) -> VerificationCode {
        let id = self.desk().id_secret.account_id(email);
        VerificationCode::derive(self.desk().code_secrets.get().current(), id, email, window)
    }

    /// The token in the link of a mail.
    pub(super) fn token(&self, mail: &Registered) -> LinkToken {
        LinkToken::derive(self.desk().code_secrets.get().current(), mail.id, &mail.email, mail.window)
    }

    /// Codes that are wrong for this address in all windows of these tests' day.
    pub(super) fn wrong_codes(&self, email: &str) -> impl Iterator<Item = VerificationCode> + use<> {
        let email = EmailAddress::parse(email).unwrap();
        let day = self.desk().rules.window_at(at("00:00:00")).number();
        let right: Vec<_> = (day..day + 48).map(|window| self.code_of(&email, window)).collect();
        (0..1_000_000)
            .map(|number: u32| VerificationCode::parse(&format!("{number:06}")).unwrap())
            .filter(move |code| !right.iter().any(|right| right.matches(code)))
    }
}

fn accepted(answer: Result<Answered, Unavailable>) -> (RegistrationId, Seen) {
    match answer {
        Ok(Answered { id, expires_at, resend_after }) => {
            (id, Seen::Accepted { expires_at, resend_after: resend_after.as_secs() })
        }
        Err(Unavailable::Full) => (RegistrationId::NONE, Seen::Full),
        Err(Unavailable::WrongClock) => (RegistrationId::NONE, Seen::WrongClock),
        Err(error) => panic!("{error}"),
    }
}
