//! Who signs up: people who register, wait for the mail and prove that they have it, and strangers who do what they can with the
//! addresses of others. And the records that nobody mails.

use crate::{
    broker::Outgoing,
    call::{Call, Caller, Verb},
    mail_server::Treatment,
    schedule::{Random, milliseconds},
    setup::{GROUP, code_key, id_secret},
    world::{AFTER_FAULTS, Happening, World, true_time},
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
use user_service::{IdSecret, simulated::Answer};

/// Strangers are after the first ones.
pub(crate) const VICTIMS: usize = 3;
/// Somebody gives up after so many requests.
const PATIENCE: u32 = 60;
/// Nobody waits longer for an answer.
const NO_ANSWER_AFTER: Duration = Duration::from_secs(10);
const NAMES: [&str; 8] = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Leslie", "Donald", "Radia"];

/// All people of a run.
pub(crate) struct People {
    random: Random,
    pub(crate) humans: Vec<Human>,
    /// Whose mailbox an account's mails go to.
    owners: HashMap<AccountId, usize>,
    /// What strangers have registered with the addresses of somebody.
    of_strangers: HashMap<usize, Vec<RegistrationId>>,
    /// Requests that are not answered yet.
    calls: BTreeMap<RequestId, Call>,
    /// Requests so far.
    count: u64,
    key: CodeKey,
    id_secret: IdSecret,
}

/// Somebody with a mailbox.
pub(crate) struct Human {
    name: String,
    pub(crate) treatment: Treatment,
    /// Of own registrations, the newest last.
    ids: Vec<RegistrationId>,
    /// Mails with a code, the newest last.
    mails: Vec<Mail>,
    is_verified: bool,
    /// Wrong codes that are typed first.
    mistakes: u32,
    patience: u32,
    /// What must prove the address after the last fault.
    insists_on: Option<(RegistrationId, Mail)>,
}

/// A mail as its reader has it.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    registration: RegistrationId,
    email: EmailAddress,
    window: u64,
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
    fn add(&mut self) -> usize {
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

    fn code(&self, mail: &Mail) -> VerificationCode {
        VerificationCode::derive(&self.key, self.id_secret.account_id(&mail.email), &mail.email, mail.window)
    }

    fn token(&self, mail: &Mail) -> LinkToken {
        LinkToken::derive(&self.key, self.id_secret.account_id(&mail.email), &mail.email, mail.window)
    }

    /// A code as somebody guesses it who does not know it: mostly one of a few.
    #[expect(clippy::expect_used, reason = "six digits")]
    fn guess(&mut self) -> VerificationCode {
        let most = if self.random.random_bool(0.8) { 40 } else { 1_000_000 };
        VerificationCode::parse(&format!("{:06}", self.random.random_range(0..most))).expect("six digits")
    }

    /// How somebody proves the address, with one of the mails and one of the ids.
    fn proof(&mut self, number: usize) -> Option<Verb> {
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
    fn noise(&mut self, now: Timestamp) -> Outgoing {
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

impl World {
    /// Somebody signs up, for the first time or again.
    pub(crate) fn sign_up(&mut self) {
        let (people, now) = (&mut self.people, true_time(self.agenda.now()));
        let number = match people.random.random_range(0..100) {
            0..3 => {
                let record = people.noise(now);
                self.agenda.after(Duration::from_millis(5), Happening::Noise(Box::new(record)));
                None
            }
            3..15 => Some(people.random.random_range(0..people.humans.len())),
            _ => Some(people.add()),
        };
        if let Some(number) = number {
            self.wish(number, Wish::Register);
        }
        if self.agenda.now() < self.setup.faults_for + AFTER_FAULTS {
            let pause = self.people.pause(self.setup.pause);
            self.agenda.after(pause, Happening::SignUp);
        }
    }

    /// Somebody does what they wanted to do.
    pub(crate) fn wish(&mut self, number: usize, wish: Wish) {
        let is_over = self.agenda.now() > self.setup.faults_for + AFTER_FAULTS;
        let human = &mut self.people.humans[number];
        if wish != Wish::Insist && (is_over || human.patience == 0) {
            return;
        }
        human.patience = human.patience.saturating_sub(1);
        let newest = human.ids.last().copied();
        let insists_on = human.insists_on.clone();
        let verb = match (wish, newest, insists_on) {
            (Wish::Insist, _, Some((id, mail))) => Verb::Link(id, self.people.token(&mail)),
            (Wish::Insist, _, None) => return,
            (Wish::More, Some(id), _) => Verb::Resend(id),
            (Wish::Register | Wish::More, ..) => Verb::Register(self.people.enter(number, 0.1)),
            (Wish::Prove, ..) => match self.people.proof(number) {
                Some(verb) => verb,
                None => return,
            },
        };
        // Now and then somebody clicks twice.
        if matches!(verb, Verb::Register(_)) && self.people.random.random_bool(0.2) {
            self.call(Caller::Owner(number), verb.clone());
        }
        self.call(Caller::Owner(number), verb);
    }

    /// A stranger does something with somebody's address.
    pub(crate) fn stranger(&mut self) {
        let victim = self.people.random.random_range(0..VICTIMS);
        let known = self.people.of_strangers.get(&victim).map(Vec::as_slice).unwrap_or_default();
        let verb = if known.is_empty() || self.people.random.random_bool(0.5) {
            Verb::Register(self.people.enter(victim, 0.3))
        } else {
            let id = known[self.people.random.random_range(0..known.len())];
            let (account, wall) = (self.people.account(victim), self.true_time());
            // One guess in a million is right, and here one in a hundred; more often where that must not help.
            let is_lucky = self.people.random.random_bool(0.01)
                || (self.people.random.random_bool(0.2) && self.ledger.has_used_up(account, wall));
            let mail = self.people.humans[victim].mails.last().filter(|_| is_lucky);
            match mail {
                Some(mail) => Verb::Code(id, self.people.code(mail)),
                None if self.people.random.random_bool(0.05) => Verb::Resend(id),
                None => Verb::Code(id, self.people.guess()),
            }
        };
        self.call(Caller::Stranger(victim), verb);
        if self.agenda.now() < self.setup.faults_for + AFTER_FAULTS {
            let pause = self.people.pause(self.setup.strangers);
            self.agenda.after(pause, Happening::Stranger);
        }
    }

    /// Makes a request at any of the user services.
    #[expect(clippy::expect_used, reason = "letters and digits")]
    fn call(&mut self, caller: Caller, verb: Verb) {
        let people = &mut self.people;
        people.count += 1;
        let (number, sign) = match caller {
            Caller::Owner(number) => (number, ""),
            Caller::Stranger(number) => (number, "x"),
        };
        let request = format!("{}-{sign}{}", people.humans[number].name, people.count);
        let request = RequestId::parse(&request).expect("an id");
        let call = Call { caller, request: request.clone(), verb };
        people.calls.insert(request.clone(), call.clone());
        let user = people.random.random_range(0..self.users.len());
        let wait = milliseconds(&mut people.random, 1..30);
        self.agenda.after(wait, Happening::Called(user, Box::new(call)));
        self.agenda.after(wait + NO_ANSWER_AFTER, Happening::Told(request, None));
    }

    /// A service does not listen.
    pub(crate) fn refused(&mut self, call: &Call) {
        self.agenda.after(Duration::from_millis(1), Happening::Told(call.request.clone(), None));
    }

    /// Somebody gets an answer, or none.
    pub(crate) fn told(&mut self, request: &RequestId, answer: Option<Answer>) {
        let Some(Call { caller, verb, .. }) = self.people.calls.remove(request) else { return };
        match (caller, answer) {
            (Caller::Owner(number), answer) => self.owner_told(number, verb, answer),
            (Caller::Stranger(victim), Some(Answer::Registered(id))) => {
                let ids = self.people.of_strangers.entry(victim).or_default();
                ids.push(id);
                // The newest ones; guesses with the others are used up.
                if ids.len() > 8 {
                    ids.remove(0);
                }
            }
            (Caller::Stranger(_), _) => {}
        }
    }

    fn owner_told(&mut self, number: usize, verb: Verb, answer: Option<Answer>) {
        let (window, cool_down) = (self.setup.rules.window, self.setup.rules.resend_cooldown);
        let (human, random) = (&mut self.people.humans[number], &mut self.people.random);
        let insists = human.insists_on.is_some();
        let soon = milliseconds(random, 200..3_000);
        let next = match answer {
            Some(Answer::Registered(id)) => {
                human.ids.push(id);
                // Those who are sought come back in every window; others try a mail that they have already, or want another.
                match random.random_range(0..10) {
                    _ if number < VICTIMS => {
                        Some((window.mul_f64(random.random_range(0.1..0.9)), Wish::Register))
                    }
                    0 => Some((soon, Wish::Prove)),
                    1..5 if !human.is_verified && !self.setup.is_light => {
                        Some((cool_down.mul_f64(random.random_range(0.5..3.0)), Wish::More))
                    }
                    _ => None,
                }
            }
            Some(Answer::Verified(_)) if insists => {
                human.insists_on = None;
                None
            }
            Some(Answer::Verified(_)) => {
                human.is_verified = true;
                match random.random_range(0..10) {
                    0..2 => Some((milliseconds(random, 1_000..60_000), Wish::Prove)),
                    2..5 => Some((milliseconds(random, 1_000..300_000), Wish::Register)),
                    _ => None,
                }
            }
            Some(Answer::WrongCode { .. } | Answer::GuessesUsedUp) => Some((soon * 2, Wish::Prove)),
            Some(Answer::Wait(wait)) => Some((wait, Wish::More)),
            Some(Answer::Shown(_)) => {
                if let Verb::Show(id, token) = verb {
                    self.call(Caller::Owner(number), Verb::Link(id, token));
                }
                None
            }
            Some(Answer::WrongToken | Answer::Unknown) if !insists => {
                let later = milliseconds(random, 1_000..60_000);
                random.random_bool(0.5).then_some((later, Wish::Register))
            }
            _ if insists => Some((soon, Wish::Insist)),
            _ => {
                let again = match verb {
                    Verb::Register(_) => Wish::Register,
                    Verb::Resend(_) => Wish::More,
                    _ => Wish::Prove,
                };
                Some((soon, again))
            }
        };
        if let Some((wait, wish)) = next {
            self.agenda.after(wait, Happening::Wish(number, wish));
        }
    }

    /// A mail is in a mailbox.
    pub(crate) fn mail_arrives(&mut self, event: &Event) {
        let Event::Registered(Mailing::FirstCode | Mailing::FurtherCode, mail) = event else { return };
        let Some(number) = self.people.owners.get(&mail.id).copied() else { return };
        let human = &mut self.people.humans[number];
        human.mails.push(Mail {
            registration: mail.registration,
            email: mail.email.clone(),
            window: mail.window,
        });
        // The first one is never in a hurry: strangers have all the time that there is.
        let is_calm = number == 0 || human.is_verified || self.setup.is_light;
        let chance = if is_calm { 0.05 } else { 0.6 };
        if self.people.random.random_bool(chance) {
            let most = if self.people.random.random_bool(0.8) { 20_000 } else { 300_000 };
            let wait = milliseconds(&mut self.people.random, 500..most);
            self.agenda.after(wait, Happening::Wish(number, Wish::Prove));
        }
    }

    /// An operator forgets an account.
    pub(crate) fn forget(&mut self) {
        // Nobody is forgotten again after the last fault.
        if self.agenda.now() + self.setup.clock_tolerance() + Duration::from_secs(10) > self.setup.faults_for
        {
            return;
        }
        let people = &mut self.people;
        let number = if people.random.random_bool(0.5) {
            VICTIMS - 1
        } else {
            people.random.random_range(0..people.humans.len())
        };
        people.humans[number].is_verified = false;
        let wait = milliseconds(&mut people.random, 500..60_000);
        self.agenda.after(wait, Happening::Wish(number, Wish::Register));
        self.write_tombstone(self.people.account(number));
        let pause = milliseconds(&mut self.people.random, 10_000..120_000);
        self.agenda.after(pause, Happening::Forget);
    }

    /// Writes a tombstone, and looks later whether the account was verified meanwhile (`user-service forget`).
    pub(crate) fn write_tombstone(&mut self, account: AccountId) {
        let record = Outgoing {
            topic: Topic::Verified,
            key: Some(account.to_string().into_bytes()),
            payload: None,
            headers: Vec::new(),
            created_at: self.true_time(),
        };
        self.append(record, None);
        self.agenda.after(self.setup.clock_tolerance(), Happening::IsForgotten(account));
    }

    /// After the last fault: whoever has a mail whose link is right is verified with it.
    pub(crate) fn insist(&mut self) {
        let now = self.true_time();
        let until = now + (self.setup.faults_for + AFTER_FAULTS).saturating_sub(self.agenda.now());
        for number in 0..self.people.humans.len() {
            let Human { mails, ids, .. } = &self.people.humans[number];
            let pairs = mails.iter().rev().take(3).flat_map(|mail| {
                let ids = ids.iter().rev().take(3).copied().chain([mail.registration]);
                ids.map(move |id| (id, mail.clone()))
            });
            let pairs: Vec<_> = pairs.collect();
            let proves = |(id, mail): &(RegistrationId, Mail)| {
                self.ledger.proves((*id, &mail.email), mail.window, (now, until))
            };
            let proof = pairs.into_iter().find(proves);
            if proof.is_some() {
                self.people.humans[number].insists_on = proof;
                self.wish(number, Wish::Insist);
            }
        }
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
