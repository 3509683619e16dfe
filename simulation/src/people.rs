//! Who signs up, and what they know: their mailboxes, their ids, what strangers registered with their addresses. And the records that
//! nobody mails.

use crate::{
    broker::Outgoing,
    call::{Call, Verb},
    mail_server::Treatment,
    random::Random,
    setup::{GROUP, code_key, id_secret},
};
use contract::{
    account_id::AccountId,
    code_secrets::CodeKey,
    email_address::EmailAddress,
    event::{Event, EventKind, Mailing, Place, Registered},
    locale::Locale,
    person::Person,
    person_name::PersonName,
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::Timestamp;
use notification_service::simulated::Header;
use rand::RngExt;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use user_service::IdSecret;

/// Strangers are after the first ones.
pub(crate) const VICTIMS: usize = 3;
/// Somebody gives up after so many requests.
const PATIENCE: u32 = 60;
const NAMES: [&str; 8] = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Leslie", "Donald", "Radia"];

/// All people of a run.
pub(crate) struct People {
    pub(crate) random: Random,
    pub(crate) humans: Vec<Human>,
    /// Whose mailbox an account's mails go to.
    pub(crate) owners: HashMap<AccountId, usize>,
    /// What strangers have registered with the addresses of somebody.
    pub(crate) of_strangers: HashMap<usize, Vec<RegistrationId>>,
    /// Requests that are not answered yet.
    pub(crate) calls: BTreeMap<RequestId, Call>,
    /// Requests so far.
    pub(crate) count: u64,
    key: CodeKey,
    id_secret: IdSecret,
}

/// Somebody with a mailbox.
pub(crate) struct Human {
    pub(crate) name: String,
    pub(crate) treatment: Treatment,
    /// Of own registrations, the newest last.
    pub(crate) ids: Vec<RegistrationId>,
    /// Mails with a code, the newest last.
    pub(crate) mails: Vec<Mail>,
    pub(crate) is_verified: bool,
    /// Wrong codes that are typed first.
    mistakes: u32,
    pub(crate) patience: u32,
    /// What must prove the address after the last fault.
    pub(crate) insists_on: Option<(RegistrationId, Mail)>,
}

/// A mail as its reader has it.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) registration: RegistrationId,
    pub(crate) email: EmailAddress,
    pub(crate) window: u64,
}

/// What somebody wants to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Register,
    /// Another mail.
    More,
    /// To prove the address with a mail.
    Prove,
    /// The same with the link, until that succeeds.
    Insist,
}

impl People {
    pub(crate) fn new(random: Random) -> Self {
        let mut people = Self {
            random,
            humans: Vec::new(),
            owners: HashMap::new(),
            of_strangers: HashMap::new(),
            calls: BTreeMap::new(),
            count: 0,
            key: code_key(),
            id_secret: id_secret(),
        };
        for _ in 0..VICTIMS {
            people.add();
        }
        people
    }

    /// How long until the next one; `pause` on average.
    pub(crate) fn pause(&mut self, pause: Duration) -> Duration {
        // Bursts and lulls.
        if self.random.random_bool(0.3) {
            Duration::ZERO
        } else {
            pause.mul_f64(self.random.random_range(0.0..3.0))
        }
    }

    /// Somebody new.
    pub(crate) fn add(&mut self) -> usize {
        let treatment = match self.random.random_range(0..100) {
            _ if self.humans.len() < VICTIMS => Treatment::Served,
            0..84 => Treatment::Served,
            84..88 => Treatment::Greylisted(self.random.random_range(1..10)),
            88..90 => Treatment::Full,
            90..94 => Treatment::Unknown,
            94..98 => Treatment::Unclear,
            _ => Treatment::Disliked,
        };
        let number = self.humans.len();
        self.humans.push(Human {
            name: format!("p{number}"),
            treatment,
            ids: Vec::new(),
            mails: Vec::new(),
            is_verified: false,
            mistakes: if self.random.random_bool(0.2) { self.random.random_range(1..5) } else { 0 },
            patience: if number < VICTIMS { u32::MAX } else { PATIENCE },
            insists_on: None,
        });
        number
    }

    /// What somebody enters: spellings of one address, some with a tag, and never the same name twice.
    #[expect(clippy::expect_used, reason = "constants that are valid")]
    pub(crate) fn enter(&mut self, number: usize, tagged: f64) -> Person {
        let name = &self.humans[number].name;
        let email = match self.random.random_range(0.0..1.0) {
            chance if chance < tagged => {
                format!("{name}+{}@example.com", self.random.random_range(0..6))
            }
            chance if chance > 0.9 => format!("{}@Example.com", name.to_uppercase()),
            _ => format!("{name}@example.com"),
        };
        let email = EmailAddress::parse(&email).expect("an address");
        self.owners.insert(self.id_secret.account_id(&email), number);
        let mut name = || {
            let name = NAMES[self.random.random_range(0..NAMES.len())];
            PersonName::parse(name).expect("a name")
        };
        let (first_name, last_name) = (name(), name());
        let locale = if self.random.random_bool(0.5) { "en" } else { "de" };
        Person { first_name, last_name, email, locale: Locale::parse(locale).expect("a language") }
    }

    /// What a recipient's mails meet.
    pub(crate) fn treatment(&self, event: &Event) -> Treatment {
        let owner = self.owners.get(&event.account_id());
        owner.map_or(Treatment::Served, |number| self.humans[*number].treatment)
    }

    /// The account of somebody's address as it is mostly written.
    #[expect(clippy::expect_used, reason = "a valid address")]
    pub(crate) fn account(&self, number: usize) -> AccountId {
        let email = format!("{}@example.com", self.humans[number].name);
        self.id_secret.account_id(&EmailAddress::parse(&email).expect("an address"))
    }

    pub(crate) fn code(&self, mail: &Mail) -> VerificationCode {
        VerificationCode::derive(&self.key, self.id_secret.account_id(&mail.email), &mail.email, mail.window)
    }

    pub(crate) fn token(&self, mail: &Mail) -> LinkToken {
        LinkToken::derive(&self.key, self.id_secret.account_id(&mail.email), &mail.email, mail.window)
    }

    /// A code as somebody guesses it who does not know it: mostly one of a few.
    #[expect(clippy::expect_used, reason = "six digits")]
    pub(crate) fn guess(&mut self) -> VerificationCode {
        let most = if self.random.random_bool(0.8) { 40 } else { 1_000_000 };
        VerificationCode::parse(&format!("{:06}", self.random.random_range(0..most))).expect("six digits")
    }

    /// How somebody proves the address, with one of the mails and one of the ids.
    pub(crate) fn proof(&mut self, number: usize) -> Option<Verb> {
        let guess = self.guess();
        let human = &mut self.humans[number];
        let newest = human.mails.len().checked_sub(1)?;
        let chosen = if self.random.random_bool(0.8) { newest } else { self.random.random_range(0..=newest) };
        let mail = human.mails[chosen].clone();
        let id = match self.random.random_range(0..100) {
            0..15 => mail.registration,
            15..30 if !human.ids.is_empty() => human.ids[self.random.random_range(0..human.ids.len())],
            _ => human.ids.last().copied().unwrap_or(mail.registration),
        };
        if human.mistakes > 0 {
            human.mistakes -= 1;
            return Some(Verb::Code(id, guess));
        }
        Some(match self.random.random_range(0..100) {
            0..65 => Verb::Code(id, self.code(&mail)),
            65..85 => Verb::Show(id, self.token(&mail)),
            _ => Verb::Link(id, self.token(&mail)),
        })
    }

    /// Whoever still insists.
    pub(crate) fn insisting(&self) -> impl Iterator<Item = &str> {
        self.humans.iter().filter(|human| human.insists_on.is_some()).map(|human| human.name.as_str())
    }

    /// Records that nobody understands, or that are another group's.
    #[expect(clippy::expect_used, reason = "constants that are valid")]
    pub(crate) fn noise(&mut self, now: Timestamp) -> Outgoing {
        let person = self.enter(0, 0.0);
        let place = Place { window: 1, send: 1, expires_at: now, key: self.key.id().clone() };
        let registration = format!("{:032x}", self.count).parse().expect("a UUID");
        let request = RequestId::parse("noise").expect("an id");
        let registered =
            Registered::new(Mailing::FirstCode, self.account(0), registration, person, place, request, now);
        let mut record = encode(&Event::Registered(Mailing::FirstCode, registered), now);
        if self.random.random_bool(0.5) {
            record.payload.iter_mut().for_each(|payload| payload.truncate(40));
        } else {
            record.topic = Topic::MailRetry;
            record.headers.push(text("retry_group", &format!("not-{GROUP}")));
        }
        record
    }
}

/// The event as the user service's producer gets it.
#[expect(clippy::expect_used, reason = "every field has a JSON form")]
pub(crate) fn encode(event: &Event, created_at: Timestamp) -> Outgoing {
    let encoded = event.encode().expect("JSON");
    Outgoing {
        topic: encoded.topic,
        key: Some(encoded.key.into_bytes()),
        payload: Some(encoded.payload),
        headers: encoded.headers.iter().map(|(name, value)| text(name, value)).collect(),
        created_at,
    }
}

fn text(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: Some(value.as_bytes().to_vec()) }
}

/// Whether an event asks for a mail.
pub(crate) fn asks_for_a_mail(event: &Event) -> bool {
    !matches!(event.kind(), EventKind::RegistrationRepeated | EventKind::Attempt)
}
