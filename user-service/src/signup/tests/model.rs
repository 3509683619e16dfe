//! A log in memory, and replicas that read it on demand: tests take the verbs' steps in any order, with any clock.

use crate::{
    identity::IdSecret,
    replica::{Acceptance, Accepted, Registration, View},
    rules::{Rules, tests::RULES},
    signup::desk::{Desk, Right},
};
use contract::{
    account_id::AccountId,
    code_secrets::CodeSecrets,
    email_address::EmailAddress,
    event::{Event, Mailing, Origin, Registered},
    locale::Locale,
    person::Person,
    person_name::PersonName,
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::Timestamp;
use std::{collections::HashMap, sync::Arc};

const ID_SECRET: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
const CODE_SECRETS: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

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
}

/// One record. Its index gives its place in its topic; all records of an account are in one partition.
#[derive(Clone)]
struct Record {
    topic: Topic,
    /// The broker's clock.
    stamped_at: Timestamp,
    account: AccountId,
    /// `None`: a tombstone.
    event: Option<Event>,
}

/// The log.
#[derive(Clone, Default)]
pub(super) struct Log {
    records: Vec<Record>,
    /// Mails with a code that went out, in order.
    pub(super) mails: Vec<(Timestamp, Registered)>,
    pub(super) notices: u32,
}

/// One replica: its view, and how much of each topic it has read.
pub(super) struct Side {
    pub(super) desk: Desk,
    read: HashMap<Topic, usize>,
    acceptance: Acceptance,
    pub(super) passed_over: u32,
    /// Takes events directly, without encoding and decoding them: for tests with many thousands of them.
    pub(super) trusts_the_log: bool,
}

impl Log {
    /// Writes an event at the broker's time. The mail that it asks for goes out at once, unless it is a duplicate.
    pub(super) fn write(&mut self, event: &Event, now: Timestamp) {
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
        self.records.push(Record {
            topic: event.kind().topic(),
            stamped_at: now,
            account: event.account_id(),
            event: Some(event.clone()),
        });
    }

    pub(super) fn forget(&mut self, account: AccountId, now: Timestamp) {
        self.records.push(Record { topic: Topic::Verified, stamped_at: now, account, event: None });
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

    /// The records that a replica reads at its start: those from this time on, and the whole compacted topic.
    fn since(&self, time: Timestamp) -> Vec<Record> {
        let records = self.records.iter();
        records
            .filter(|record| record.topic == Topic::Verified || record.stamped_at >= time)
            .cloned()
            .collect()
    }
}

impl Side {
    pub(super) fn new() -> Self {
        Self::with(RULES)
    }

    pub(super) fn with(rules: Rules) -> Self {
        let id_secret = IdSecret::parse(ID_SECRET).unwrap();
        let desk = Desk {
            view: Arc::new(View::new(rules)),
            rules,
            max_pending: u64::MAX,
            code_secrets: CodeSecrets::parse(CODE_SECRETS).unwrap(),
            id_secret: id_secret.clone(),
        };
        Self {
            desk,
            read: HashMap::new(),
            acceptance: Acceptance { rules, id_secret },
            passed_over: 0,
            trusts_the_log: false,
        }
    }

    /// A replica that starts now and has read the log, topic by topic in this order.
    pub(super) fn started(log: &Log, topics: [Topic; 3], now: Timestamp, rules: Rules) -> Self {
        let mut side = Self::with(rules);
        let records = log.since(rules.replay_from(now));
        for topic in topics {
            for record in records.iter().filter(|record| record.topic == topic) {
                side.take_in(record, now);
            }
            side.read.insert(topic, log.records.len());
        }
        side
    }

    /// Reads all that is in a topic.
    pub(super) fn read(&mut self, topic: Topic, log: &Log, now: Timestamp) {
        let from = self.read.insert(topic, log.records.len()).unwrap_or(0);
        for record in log.records[from..].iter().filter(|record| record.topic == topic) {
            self.take_in(record, now);
        }
    }

    pub(super) fn read_all(&mut self, log: &Log, now: Timestamp) {
        for topic in [Topic::Created, Topic::Activity, Topic::Verified] {
            self.read(topic, log, now);
        }
    }

    fn take_in(&mut self, record: &Record, now: Timestamp) {
        let stamp = Some(record.stamped_at.as_millisecond());
        let origin: Origin = self.acceptance.origin(record.topic, stamp, now);
        let Some(event) = &record.event else {
            return self.desk.view.forget(record.account, origin.stamped_at(now), now);
        };
        if self.trusts_the_log {
            return self.desk.view.apply(event, now);
        }
        let encoded = event.encode().unwrap();
        let key = Some(encoded.key.as_bytes());
        let ce_type = Some(event.kind().name().as_bytes());
        match self.acceptance.read(origin, ce_type, key, &encoded.payload, now) {
            Ok(Accepted::Event(event)) => self.desk.view.apply(&event, now),
            Ok(Accepted::VerifiedLongAgo(id)) => self.desk.view.verify(id, Timestamp::MIN, now),
            Err(_) => self.passed_over += 1,
        }
    }

    pub(super) fn registration(&self, id: RegistrationId, now: Timestamp) -> Option<Registration> {
        self.desk.view.registration(id, now)
    }

    pub(super) fn account(&self, email: &str) -> AccountId {
        self.desk.id_secret.account_id(&EmailAddress::parse(email).unwrap())
    }

    /// Registers at this replica, whose clock says `now`, at a broker whose clock says the same.
    pub(super) fn register(
        &mut self,
        log: &mut Log,
        person: Person,
        now: Timestamp,
    ) -> (RegistrationId, Seen) {
        self.register_as(log, person, 0, now, now)
    }

    /// The same with a broker whose clock says `broker_now`.
    pub(super) fn register_as(
        &mut self,
        log: &mut Log,
        person: Person,
        resends: u32,
        now: Timestamp,
        broker_now: Timestamp,
    ) -> (RegistrationId, Seen) {
        let id = RegistrationId::random();
        self.read_all(log, now);
        let Some(_room) = self.desk.room() else { return (id, Seen::Full) };
        let drafted = self.desk.register(id, person, resends, RequestId::random(), now);
        log.write(&drafted.event, broker_now);
        self.desk.view.apply(&drafted.event, now);
        let resend_after = crate::rules::resend_wait(resends, &self.desk.rules).as_secs();
        (id, Seen::Accepted { expires_at: self.desk.expires_at(now), resend_after })
    }

    pub(super) fn resend(
        &mut self,
        log: &mut Log,
        id: RegistrationId,
        now: Timestamp,
    ) -> (RegistrationId, Seen) {
        self.read(Topic::Created, log, now);
        let Some(registration) = self.registration(id, now) else { return (id, Seen::Unknown) };
        let wait = self.desk.wait_for_resend(&registration, now);
        if !wait.is_zero() {
            return (id, Seen::Wait(wait.as_millis().div_ceil(1000).try_into().unwrap()));
        }
        let resends = (registration.resends + 1).min(contract::event::MAX_RESENDS);
        self.register_as(log, registration.person, resends, now, now)
    }

    pub(super) fn verify(
        &mut self,
        log: &mut Log,
        id: RegistrationId,
        code: &VerificationCode,
        now: Timestamp,
    ) -> Seen {
        self.read(Topic::Created, log, now);
        let Some(registration) = self.registration(id, now) else { return Seen::Unknown };
        let Some(attempt) = self.desk.guess(id, &registration, code, RequestId::random(), now) else {
            return Seen::UsedUp;
        };
        log.write(&Event::Attempt(attempt.clone()), now);
        self.read(Topic::Activity, log, now);
        let Some(guessed) = self.desk.guessed(&attempt) else { return Seen::UsedUp };
        if self.desk.is_code_right(&registration, code, &guessed, now).is_some() {
            self.read(Topic::Verified, log, now);
            if let Some(right) = self.desk.is_code_right(&registration, code, &guessed, now) {
                return self.verified(log, id, registration, right, now);
            }
        }
        Seen::WrongCode(guessed.attempts_left)
    }

    pub(super) fn follow_link(
        &mut self,
        log: &mut Log,
        id: RegistrationId,
        token: &LinkToken,
        now: Timestamp,
    ) -> Seen {
        self.read(Topic::Created, log, now);
        let Some(registration) = self.registration(id, now) else { return Seen::Unknown };
        if self.desk.is_token_right(&registration, token, now).is_some() {
            self.read(Topic::Verified, log, now);
            if let Some(right) = self.desk.is_token_right(&registration, token, now) {
                return self.verified(log, id, registration, right, now);
            }
        }
        Seen::WrongToken
    }

    pub(super) fn show(&mut self, log: &Log, id: RegistrationId, token: &LinkToken, now: Timestamp) -> Seen {
        self.read_all(log, now);
        let Some(registration) = self.registration(id, now) else { return Seen::Unknown };
        match self.desk.is_token_right(&registration, token, now) {
            Some(_) => Seen::Shown(registration.person),
            None => Seen::WrongToken,
        }
    }

    fn verified(
        &mut self,
        log: &mut Log,
        id: RegistrationId,
        registration: Registration,
        right: Right,
        now: Timestamp,
    ) -> Seen {
        if !right.is_verified {
            let (event, _) = self.desk.verification(id, registration, RequestId::random(), now);
            log.write(&event, now);
            self.desk.view.apply(&event, now);
        }
        Seen::Verified
    }

    /// The code in a mail.
    pub(super) fn code(&self, mail: &Registered) -> VerificationCode {
        self.code_of(&mail.email, mail.window)
    }

    /// The code of an address for a window.
    pub(super) fn code_of(&self, email: &EmailAddress, window: u64) -> VerificationCode {
        let id = self.desk.id_secret.account_id(email);
        VerificationCode::derive(self.desk.code_secrets.current(), id, email, window)
    }

    /// The token in the link of a mail.
    pub(super) fn token(&self, mail: &Registered) -> LinkToken {
        LinkToken::derive(self.desk.code_secrets.current(), mail.id, &mail.email, mail.window)
    }

    /// Codes that are wrong for this address in all windows of these tests' day.
    pub(super) fn wrong_codes(&self, email: &str) -> impl Iterator<Item = VerificationCode> + use<> {
        let email = EmailAddress::parse(email).unwrap();
        let day = self.desk.rules.window_at(at("00:00:00")).number();
        let right: Vec<_> = (day..day + 48).map(|window| self.code_of(&email, window)).collect();
        (0..1_000_000)
            .map(|number: u32| VerificationCode::parse(&format!("{number:06}")).unwrap())
            .filter(move |code| !right.iter().any(|right| right.matches(code)))
    }
}
