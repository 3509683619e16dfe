//! Made-up evidence: a good round breaks no count, and each count has a test that breaks it.

use super::*;
use crate::{
    evidence::{Ask, Incident, Mail, Person, Record, Recovery, Reply, Request, Writing},
    rules,
};
use acceptance::world::{CODE_SECRETS, ID_SECRET};
use contract::{
    account_id::AccountId,
    code_secrets::{CodeSecrets, KeyId, parse_secret},
    email_address::EmailAddress,
    event::{Attempt, Event, EventId, EventKind, Mailing, Place, Registered, Verified},
    locale::Locale,
    person,
    person_name::PersonName,
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// The window that begins at second 0 of these tests.
const WINDOW: u64 = 20_000_000;
const ADDRESS: &str = "Ada@example.com";

fn at(second: i64) -> Timestamp {
    rules::begin(WINDOW) + SignedDuration::from_secs(second)
}

fn address(email: &str) -> EmailAddress {
    EmailAddress::parse(email).unwrap()
}

fn account(email: &str) -> AccountId {
    AccountId::of(&parse_secret(ID_SECRET).unwrap(), &address(email))
}

fn id(number: u32) -> RegistrationId {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

fn code(window: u64) -> String {
    let secrets = CodeSecrets::parse(CODE_SECRETS).unwrap();
    let code = VerificationCode::derive(secrets.current(), account(ADDRESS), &address(ADDRESS), window);
    code.digits().to_owned()
}

fn token(window: u64) -> String {
    let secrets = CodeSecrets::parse(CODE_SECRETS).unwrap();
    LinkToken::derive(secrets.current(), account(ADDRESS), &address(ADDRESS), window).to_text()
}

fn ada() -> Person {
    Person { first_name: "Ada", last_name: "Lovelace", email: ADDRESS.to_owned(), locale: "en" }
}

/// A registration in the window of its time.
fn registered(mailing: Mailing, number: u32, send: u32, second: i64, person: &Person) -> Event {
    let window = rules::window_at(at(second));
    let (expires_at, key) = (rules::code_ends_at(window), KeyId::parse("k1").unwrap());
    let place = Place { window, send, expires_at, key };
    let request_id = RequestId::parse(&format!("register-{number}")).unwrap();
    let (account, person) = (account(&person.email), data(person));
    let new = Registered::new(mailing, account, id(number), person, place, request_id, at(second));
    Event::Registered(mailing, new)
}

fn data(person: &Person) -> person::Person {
    person::Person {
        first_name: PersonName::parse(person.first_name).unwrap(),
        last_name: PersonName::parse(person.last_name).unwrap(),
        email: address(&person.email),
        locale: Locale::parse(person.locale).unwrap(),
    }
}

fn created() -> Event {
    registered(Mailing::FirstCode, 1, 1, 0, &ada())
}

fn verified(number: u32, request: &str, second: i64) -> Verified {
    let request_id = RequestId::parse(request).unwrap();
    Verified::new(account(ADDRESS), id(number), data(&ada()), request_id, at(second))
}

/// A guess with a registration. `guess` is its name.
fn attempt(number: u32, guess: &str, request: &str, second: i64) -> Event {
    let mut mac = [0; 32];
    mac[..guess.len()].copy_from_slice(guess.as_bytes());
    let (event_id, windows) = (EventId::from_mac(&mac), vec![rules::window_at(at(second))]);
    let (account, request_id) = (account(ADDRESS), RequestId::parse(request).unwrap());
    Event::Attempt(Attempt::new(event_id, account, id(number), windows, request_id, at(second)))
}

fn mail(event: &Event, received: i64) -> Mail {
    let code_of = match event {
        Event::Registered(Mailing::FirstCode | Mailing::FurtherCode, event) => Some(event),
        _ => None,
    };
    Mail {
        mail_id: Some(event.mail_id()),
        request_id: event.request_id().as_str().to_owned(),
        recipient: event.email().unwrap().as_str().to_owned(),
        code: code_of.map(|event| code(event.window)),
        registration: code_of.map(|event| event.registration.to_string()),
        token: code_of.map(|event| token(event.window)),
        names: Vec::new(),
        begun_at: at(received),
        received_at: at(received),
    }
}

/// A request that is answered a second after it was sent.
fn request(request_id: &str, ask: Ask, second: i64, status: u16, problem: &str) -> Request {
    let reply =
        Reply { status, problem: problem.to_owned(), id: None, attempts_left: None, at: at(second + 1) };
    Request { request_id: request_id.to_owned(), ask, sent_at: at(second), reply: Some(reply) }
}

fn register(number: u32, second: i64, person: &Person) -> Request {
    let ask = Ask::Register(person.clone());
    request(&format!("register-{number}"), ask, second, 202, "").with_id(&id(number).to_string())
}

fn verify(request_id: &str, number: u32, code: &str, second: i64, status: u16) -> Request {
    let ask = Ask::VerifyCode { id: id(number).to_string(), code: code.to_owned() };
    let problem = match status {
        422 => "wrong-code",
        410 => "no-longer-valid",
        _ => "",
    };
    request(request_id, ask, second, status, problem).with_account(status)
}

fn follow(request_id: &str, number: u32, token: &str, second: i64, status: u16) -> Request {
    let ask = Ask::VerifyLink { id: id(number).to_string(), token: token.to_owned() };
    let problem = if status == 422 { "wrong-token" } else { "" };
    request(request_id, ask, second, status, problem).with_account(status)
}

fn killed(duplicates: usize) -> Incident {
    Incident { what: "killed".to_owned(), from: at(3), until: at(4), duplicates }
}

impl Request {
    fn with_id(mut self, id: &str) -> Self {
        self.reply.as_mut().unwrap().id = Some(id.to_owned());
        self
    }

    fn with_account(self, status: u16) -> Self {
        if status == 200 { self.with_id(&account(ADDRESS).to_string()) } else { self }
    }

    fn with_attempts_left(mut self, left: u32) -> Self {
        self.reply.as_mut().unwrap().attempts_left = Some(left);
        self
    }
}

impl Evidence {
    fn empty() -> Self {
        Self {
            secrets: CodeSecrets::parse(CODE_SECRETS).unwrap(),
            id_secret: parse_secret(ID_SECRET).unwrap(),
            requests: Vec::new(),
            records: Vec::new(),
            mails: Vec::new(),
            expired: HashMap::new(),
            incidents: Vec::new(),
            recovery: Recovery::default(),
        }
    }

    /// Registered and mailed in the first second.
    fn begun() -> Self {
        let mut evidence = Self::empty();
        evidence.requests.push(register(1, 0, &ada()));
        evidence.write(created());
        evidence.mails.push(mail(&created(), 1));
        evidence
    }

    /// Registered, mailed, mistyped once, verified, confirmed.
    fn good() -> Self {
        let mut evidence = Self::begun();
        evidence.requests.push(verify("typo", 1, "000000", 4, 422).with_attempts_left(4));
        evidence.write(attempt(1, "a", "typo", 4));
        evidence.requests.push(verify("verify", 1, &code(WINDOW), 6, 200));
        evidence.write(attempt(1, "right", "verify", 6));
        evidence.verified(1, "verify", 6);
        evidence
    }

    /// Writes an event to its topic at the time of the event.
    fn write(&mut self, event: Event) -> &mut Record {
        self.record(event.kind().topic(), event)
    }

    fn record(&mut self, topic: Topic, event: Event) -> &mut Record {
        self.records.push(Record {
            topic,
            partition: 0,
            offset: i64::try_from(self.records.len()).unwrap(),
            stamped_at: event.occurred_at(),
            account: Some(event.account_id()),
            is_null: false,
            event: Some(event),
            retry: None,
            reason: None,
        });
        self.records.last_mut().unwrap()
    }

    fn verified(&mut self, number: u32, request: &str, second: i64) {
        let event = Event::Verified(verified(number, request, second));
        self.mails.push(mail(&event, second + 1));
        self.write(event);
    }

    fn forget(&mut self, second: i64) {
        let tombstone = self.record(Topic::Verified, created());
        (tombstone.event, tombstone.is_null, tombstone.stamped_at) = (None, true, at(second));
    }

    /// Adds a registration. Its mail arrives a second later.
    fn registers(&mut self, mailing: Mailing, number: u32, send: u32, second: i64, person: &Person) {
        let event = registered(mailing, number, send, second, person);
        self.requests.push(register(number, second, person));
        if mailing != Mailing::Nothing {
            self.mails.push(mail(&event, second + 1));
        }
        self.write(event);
    }

    fn dead_letter(&mut self, event: Event, reason: &str) {
        self.record(Topic::DeadLetter, event).reason = Some(reason.to_owned());
    }

    fn without_mails_of(mut self, event: &Event) -> Self {
        self.mails.retain(|mail| mail.mail_id != Some(event.mail_id()));
        self
    }

    fn without_records_of(mut self, kind: EventKind) -> Self {
        self.records.retain(|record| record.event.as_ref().is_none_or(|event| event.kind() != kind));
        self
    }
}

/// The names of the broken counts.
fn broken(evidence: &Evidence) -> Vec<&'static str> {
    judge(evidence).iter().filter(|count| count.is_broken()).map(|count| count.name).collect()
}

const NONE: [&str; 0] = [];
const WITHOUT_RECORD: &str = "requests answered 202 without their record in the log";
const WITHOUT_MAIL: &str = "accepted signups without a mail";
const WITHOUT_END: &str = "events without a mail, a dead letter or an expiry";

#[test]
fn a_good_round_breaks_no_count() {
    assert_eq!(broken(&Evidence::begun()), NONE);
    assert_eq!(broken(&Evidence::good()), NONE);
}

#[test]
fn a_202_without_its_record_is_found_and_so_is_the_mail_that_was_promised() {
    let names = broken(&Evidence::begun().without_records_of(EventKind::Created));
    assert!(names.contains(&WITHOUT_RECORD) && names.contains(&WITHOUT_MAIL), "{names:?}");
    // A record that is passed over does not count.
    let mut evidence = Evidence::begun();
    evidence.records[0].stamped_at = at(11);
    let names = broken(&evidence);
    assert!(names.contains(&WITHOUT_RECORD), "{names:?}");
    evidence.records[0].stamped_at = at(10);
    assert_eq!(broken(&evidence), NONE);
    // The record of another request does not count, either.
    evidence.requests[0].request_id = "another".to_owned();
    assert!(broken(&evidence).contains(&WITHOUT_RECORD));
}

#[test]
fn a_request_with_two_registrations_is_found() {
    let mut evidence = Evidence::begun();
    let Event::Registered(_, again) = registered(Mailing::Nothing, 2, 1, 1, &ada()) else { unreachable!() };
    let again = Registered { request_id: RequestId::parse("register-1").unwrap(), ..again };
    evidence.write(Event::Registered(Mailing::Nothing, again));
    assert_eq!(broken(&evidence), ["requests with more than one registration"]);
    // A record that the producer wrote twice is one registration.
    let mut evidence = Evidence::begun();
    evidence.write(created());
    assert_eq!(broken(&evidence), NONE);
}

#[test]
fn registered_data_are_those_that_were_sent() {
    const NAME: &str = "registrations with other data than were sent";
    let sent = |person: Person| {
        let mut evidence = Evidence::begun();
        evidence.requests[0].ask = Ask::Register(person);
        broken(&evidence)
    };
    assert_eq!(sent(Person { first_name: "Eve", ..ada() }), [NAME]);
    assert_eq!(sent(Person { last_name: "lovelace", ..ada() }), [NAME]);
    assert_eq!(sent(Person { locale: "de", ..ada() }), [NAME]);
    assert_eq!(sent(Person { email: "ada@example.com".to_owned(), ..ada() }), [NAME], "another spelling");
    // Another mail has the data of the registration that the request names.
    let resend = |resends| {
        let mut evidence = Evidence::begun();
        evidence.registers(Mailing::Nothing, 2, 1, 1, &ada());
        evidence.requests[1].ask = Ask::Resend { id: id(1).to_string() };
        let Some(Event::Registered(_, event)) = &mut evidence.records[1].event else { unreachable!() };
        event.resends = resends;
        broken(&evidence)
    };
    assert_eq!(resend(1), NONE);
    assert_eq!(resend(0), [NAME]);
}

#[test]
fn a_200_without_a_verification_in_the_log_is_found() {
    const NAME: &str = "verified answers without a user_account_verified event of their account";
    let event = Event::Verified(verified(1, "verify", 6));
    assert_eq!(
        broken(&Evidence::good().without_records_of(EventKind::Verified).without_mails_of(&event)),
        [NAME]
    );
    let mut evidence = Evidence::good();
    evidence.requests[2].reply.as_mut().unwrap().id = Some(id(1).to_string());
    assert_eq!(broken(&evidence), [NAME], "not the account's id");
}

#[test]
fn an_accepted_registration_must_be_known_while_it_lives() {
    let ask = |sent: i64| {
        let mut evidence = Evidence::begun();
        evidence.requests.push(verify("asks", 1, "000000", sent, 404));
        broken(&evidence)
    };
    assert_eq!(ask(2), ["accepted registrations called unknown"]);
    assert_eq!(ask(158), ["accepted registrations called unknown"]);
    assert_eq!(ask(160), NONE, "it is over");
    assert_eq!(ask(1), NONE, "asked before the registration was answered");
}

#[test]
fn a_registration_that_is_known_after_its_end_is_found() {
    let mut evidence = Evidence::good();
    let end = rules::LINK_TTL.as_secs();
    evidence.requests.push(follow("late", 1, &token(WINDOW), end, 200));
    assert_eq!(broken(&evidence), NONE);
    evidence.requests.push(follow("too-late", 1, &token(WINDOW), end + 1, 200));
    assert_eq!(broken(&evidence), ["registrations known after their end"]);
}

#[test]
fn answers_that_the_contract_does_not_have_are_found() {
    let mut evidence = Evidence::begun();
    evidence.requests.push(verify("strange", 1, "000000", 5, 500));
    assert_eq!(broken(&evidence), ["answers outside the contract"]);
    let mut evidence = Evidence::begun();
    evidence.requests.push(follow("token", 1, "token", 5, 410));
    assert_eq!(broken(&evidence), ["answers outside the contract"], "a token costs no guess");
}

/// Five guesses with the first registration.
fn five_guesses() -> Evidence {
    let mut evidence = Evidence::begun();
    for number in 0..5 {
        let (guess, request) = (number.to_string(), format!("guess-{number}"));
        evidence.requests.push(verify(&request, 1, "000000", 4, 422).with_attempts_left(4 - number));
        evidence.write(attempt(1, &guess, &request, 4));
    }
    evidence
}

#[test]
fn a_guess_beyond_the_budget_of_its_registration_is_found_whoever_made_it() {
    const NAME: &str = "guesses judged beyond the budget of their registration";
    let mut evidence = five_guesses();
    assert_eq!(broken(&evidence), NONE);
    evidence.requests.push(verify("sixth", 1, "000000", 5, 422));
    evidence.write(attempt(1, "sixth", "sixth", 5));
    assert_eq!(broken(&evidence), [NAME]);
    // The sixth guess has a place, but is refused.
    *evidence.requests.last_mut().unwrap() = verify("sixth", 1, "000000", 5, 410);
    assert_eq!(broken(&evidence), NONE);
    // A guess of before is judged, however late it is sent again.
    evidence.requests.push(verify("again", 1, "000000", 6, 422).with_attempts_left(0));
    evidence.write(attempt(1, "3", "again", 6));
    assert_eq!(broken(&evidence), NONE);
    evidence.requests.push(verify("free", 1, "000000", 7, 422));
    assert_eq!(broken(&evidence), [NAME], "a guess that the log did not hand out");
}

#[test]
fn a_guess_that_is_passed_over_or_written_twice_uses_up_nothing() {
    let mut evidence = Evidence::begun();
    for number in 0..5 {
        let (guess, request) = (number.to_string(), format!("guess-{number}"));
        evidence.write(attempt(1, &guess, "late", 4)).stamped_at = at(15);
        evidence.requests.push(verify(&request, 1, "000000", 4, 422).with_attempts_left(4 - number));
        evidence.write(attempt(1, &format!("again {guess}"), &request, 4));
        evidence.write(attempt(1, &format!("again {guess}"), &request, 4));
    }
    assert_eq!(broken(&evidence), NONE);
}

#[test]
fn a_guess_that_is_refused_while_there_is_a_budget_is_found() {
    const NAME: &str = "guesses refused although the budget of their registration was not used up";
    let mut evidence = five_guesses();
    evidence.requests.push(verify("sixth", 1, "000000", 5, 410));
    assert_eq!(broken(&evidence), NONE);
    evidence.requests.push(verify("fifth", 1, "000000", 5, 410));
    evidence.write(attempt(1, "4", "fifth", 5));
    assert_eq!(broken(&evidence), [NAME], "it has a place");
    let mut evidence = Evidence::good();
    evidence.requests.push(verify("third", 1, "000000", 9, 410));
    assert_eq!(broken(&evidence), [NAME]);
}

#[test]
fn a_wrong_number_of_attempts_left_is_found() {
    const NAME: &str = "answers with a wrong number of attempts left";
    let left = |left| {
        let mut evidence = Evidence::good();
        evidence.requests[1] = verify("typo", 1, "000000", 4, 422).with_attempts_left(left);
        broken(&evidence)
    };
    assert_eq!(left(5), [NAME]);
    assert_eq!(left(4), NONE);
    assert_eq!(left(3), NONE, "the next guess may have been read already");
    assert_eq!(left(2), [NAME], "others' guesses don't count");
}

/// As many guesses as a window allows, with registrations of strangers. Then the right one, with the first registration.
fn besieged(status: u16) -> Evidence {
    let mut evidence = Evidence::begun();
    for number in 0..rules::WINDOW_ATTEMPTS {
        let (stranger, request) = (2 + number / 5, format!("guess-{number}"));
        if number.is_multiple_of(5) {
            evidence.registers(Mailing::Nothing, stranger, 1, 1, &ada());
        }
        let guess = format!("guess {number}");
        evidence.requests.push(verify(&request, stranger, "000000", 2, 422));
        evidence.write(attempt(stranger, &guess, &request, 2));
    }
    evidence.requests.push(verify("verify", 1, &code(WINDOW), 6, status));
    evidence.write(attempt(1, "right", "verify", 6));
    evidence
}

#[test]
fn a_right_code_beyond_the_budget_of_its_window_is_not_accepted_but_the_link_is() {
    let mut evidence = besieged(422);
    assert_eq!(broken(&evidence), NONE);
    evidence.requests.push(follow("link", 1, &token(WINDOW), 8, 200));
    evidence.verified(1, "link", 8);
    assert_eq!(broken(&evidence), NONE);
    let mut evidence = besieged(200);
    evidence.verified(1, "verify", 6);
    assert_eq!(broken(&evidence), ["right codes accepted beyond the budget of their window"]);
}

#[test]
fn wrong_codes_and_tokens_that_are_accepted_are_found() {
    const NAME: &str = "wrong codes or tokens accepted";
    let accepted = |request: Request| {
        let mut evidence = Evidence::good();
        evidence.write(attempt(1, "another", "another", 9));
        evidence.requests.push(request);
        broken(&evidence)
    };
    assert_eq!(accepted(verify("another", 1, "000000", 9, 200)), [NAME]);
    assert_eq!(accepted(verify("another", 1, &code(WINDOW - 2), 9, 200)), [NAME]);
    assert_eq!(accepted(follow("link", 1, "guessed", 9, 200)), [NAME]);
    assert_eq!(accepted(follow("link", 1, &token(WINDOW), 9, 200)), NONE);
    assert_eq!(accepted(follow("link", 1, &token(WINDOW + 1), 9, 200)), [NAME], "it has not begun");
    // With the registration of another address.
    let eve = Person { email: "eve@example.com".to_owned(), ..ada() };
    let mut evidence = Evidence::good();
    let event = registered(Mailing::FirstCode, 9, 1, 1, &eve);
    evidence.write(event.clone());
    evidence.expired.insert((event.event_id(), "register-9".to_owned()), at(200));
    evidence
        .requests
        .push(follow("link", 9, &token(WINDOW), 9, 200).with_id(&account(&eve.email).to_string()));
    assert!(broken(&evidence).contains(&NAME));
}

#[test]
fn right_codes_and_tokens_that_are_called_wrong_are_found() {
    const NAME: &str = "right codes or tokens called wrong";
    let mut evidence = Evidence::begun();
    evidence.requests.push(verify("verify", 1, &code(WINDOW), 6, 422).with_attempts_left(4));
    evidence.write(attempt(1, "right", "verify", 6));
    assert_eq!(broken(&evidence), [NAME]);
    let mut evidence = Evidence::begun();
    evidence.requests.push(follow("link", 1, &token(WINDOW), 6, 422));
    assert_eq!(broken(&evidence), [NAME]);
    // After the code has ended.
    let ends = rules::WINDOW.as_secs() + rules::CODE_TTL.as_secs();
    let mut evidence = Evidence::begun();
    evidence.requests.push(verify("verify", 1, &code(WINDOW), ends, 422).with_attempts_left(4));
    evidence.write(attempt(1, "right", "verify", ends));
    assert_eq!(broken(&evidence), NONE);
}

#[test]
fn a_verified_account_has_the_data_of_its_registration_byte_for_byte() {
    const NAME: &str = "verified accounts with other data than their registration";
    let with = |change: fn(&mut Verified)| {
        let mut evidence = Evidence::good();
        let Some(Event::Verified(event)) = &mut evidence.records[3].event else { unreachable!() };
        change(event);
        broken(&evidence)
    };
    assert_eq!(with(|_| {}), NONE);
    assert_eq!(with(|event| event.first_name = PersonName::parse("Eve").unwrap()), [NAME]);
    assert_eq!(with(|event| event.last_name = PersonName::parse("lovelace").unwrap()), [NAME]);
    assert_eq!(with(|event| event.locale = Locale::parse("de").unwrap()), [NAME]);
    assert!(with(|event| event.email = address("ada@example.com")).contains(&NAME));
    assert_eq!(with(|event| event.registration = id(9)), [NAME]);
}

#[test]
fn an_account_that_is_verified_again_is_found() {
    let again = |number, sent: i64| {
        let mut evidence = Evidence::good();
        evidence.registers(Mailing::Nothing, 2, 1, 1, &ada());
        evidence.requests.push(follow("again", number, &token(WINDOW), sent, 200));
        let event = Event::Verified(verified(number, "again", sent));
        evidence.write(event.clone());
        if number == 2 {
            evidence.mails.push(mail(&event, sent + 1));
        }
        broken(&evidence)
    };
    const NAME: &str = "accounts verified again by a request of later";
    assert_eq!(again(2, 6), NONE, "both were under way at once");
    assert_eq!(again(2, 8), [NAME]);
    assert_eq!(again(1, 8), [NAME], "with the same registration");
    // Three times at once.
    let mut evidence = Evidence::good();
    for number in 2..4 {
        let request = format!("link-{number}");
        evidence.registers(Mailing::Nothing, number, 1, 1, &ada());
        evidence.requests.push(follow(&request, number, &token(WINDOW), 6, 200));
        evidence.verified(number, &request, 6);
    }
    assert_eq!(broken(&evidence), ["accounts verified more than twice at once"]);
}

#[test]
fn what_proves_nothing_is_not_accepted() {
    const NAME: &str =
        "proofs accepted of a forgotten account, or with a registration of after the verification";
    // Registered within the skew after the verification, and later.
    let later = |second: i64, status| {
        let mut evidence = Evidence::good();
        evidence.registers(Mailing::Nothing, 2, 2, second, &ada());
        evidence.requests.push(follow("later", 2, &token(WINDOW), second + 2, status));
        broken(&evidence)
    };
    assert_eq!(later(11, 200), NONE);
    assert_eq!(later(11, 422), ["right codes or tokens called wrong"]);
    assert_eq!(later(12, 200), [NAME]);
    assert_eq!(later(12, 422), NONE);
    // After the account was forgotten, earlier registrations prove nothing.
    let forgotten = |sent: i64, status| {
        let mut evidence = Evidence::good();
        evidence.forget(20);
        evidence.requests.push(follow("old", 1, &token(WINDOW), sent, status));
        broken(&evidence)
    };
    assert!(forgotten(25, 200).contains(&NAME));
    assert_eq!(forgotten(25, 422), NONE);
    assert_eq!(forgotten(20, 200), NONE, "under way at once");
}

/// Forgotten at second 20, and registered again in the next window.
fn forgotten() -> Evidence {
    let mut evidence = Evidence::good();
    evidence.forget(20);
    let Event::Registered(_, event) = registered(Mailing::FirstCode, 2, 1, 25, &ada()) else {
        unreachable!()
    };
    let event = Registered { window: WINDOW + 1, expires_at: rules::code_ends_at(WINDOW + 1), ..event };
    let event = Event::Registered(Mailing::FirstCode, event);
    evidence.requests.push(register(2, 25, &ada()));
    evidence.mails.push(mail(&event, 26));
    evidence.write(event);
    evidence
}

#[test]
fn after_a_tombstone_the_next_window_is_open_and_those_before_are_over() {
    let verify_with = |window: u64| {
        let mut evidence = forgotten();
        evidence.requests.push(follow("anew", 2, &token(window), 40, 200));
        evidence.verified(2, "anew", 40);
        broken(&evidence)
    };
    assert_eq!(broken(&forgotten()), NONE);
    assert_eq!(verify_with(WINDOW + 1), NONE);
    assert_eq!(verify_with(WINDOW), ["wrong codes or tokens accepted"]);
    let mut evidence = forgotten();
    evidence.requests.push(follow("anew", 2, &token(WINDOW), 40, 422));
    assert_eq!(broken(&evidence), NONE);
}

#[test]
fn a_window_that_is_not_the_clocks_is_found() {
    const NAME: &str = "registrations with a window that is not the clock's";
    let mut evidence = forgotten();
    evidence.records.retain(|record| !record.is_null);
    assert!(broken(&evidence).contains(&NAME));
    let mut evidence = Evidence::begun();
    let Some(Event::Registered(_, event)) = &mut evidence.records[0].event else { unreachable!() };
    event.expires_at = at(900);
    assert_eq!(broken(&evidence), [NAME]);
}

#[test]
fn a_place_that_is_taken_again_is_found() {
    let taken = |second: i64| {
        let mut evidence = Evidence::begun();
        evidence.registers(Mailing::FirstCode, 2, 1, second, &ada());
        evidence.mails.truncate(1);
        broken(&evidence)
    };
    assert_eq!(taken(3), NONE, "the other replica need not have read it");
    assert_eq!(taken(4), ["places of a window taken again"]);
}

#[test]
fn two_mails_of_one_place_are_found() {
    let mut evidence = Evidence::begun();
    evidence.registers(Mailing::FurtherCode, 2, 1, 1, &ada());
    assert_eq!(broken(&evidence), ["places of a window with more than one mail"]);
    // A code and a notice: the address was verified in between.
    let mut evidence = Evidence::begun();
    evidence.requests.push(verify("verify", 1, &code(WINDOW), 1, 200));
    evidence.write(attempt(1, "right", "verify", 1));
    evidence.verified(1, "verify", 1);
    evidence.registers(Mailing::Notice, 2, 1, 2, &ada());
    assert_eq!(broken(&evidence), NONE);
}

#[test]
fn mails_before_their_place_are_found() {
    const NAME: &str = "mails before their place of the schedule";
    // At 0, 4, 8 and 16 s. The schedule allows 0, 2, 6 and 14 s.
    let at_times = |times: &[i64]| {
        let mut evidence = Evidence::begun();
        for (number, second) in (2..).zip(times) {
            evidence.registers(Mailing::FurtherCode, number, number, *second, &ada());
        }
        broken(&evidence)
    };
    assert_eq!(at_times(&[4, 8, 16]), NONE);
    assert_eq!(at_times(&[4, 8, 15]), [NAME]);
    assert_eq!(at_times(&[1]), NONE, "the other replica need not have read of the first");
    assert_eq!(at_times(&[1, 4]), NONE, "nor of the second");
    assert_eq!(at_times(&[4, 8, 16, 32]), NONE);
    assert_eq!(at_times(&[4, 8, 16, 31]), [NAME]);
}

#[test]
fn a_request_at_a_free_place_that_mails_nothing_is_found() {
    const NAME: &str = "requests at a free place of the schedule that nothing was mailed for";
    let asks = |second: i64| {
        let mut evidence = Evidence::begun();
        evidence.registers(Mailing::Nothing, 2, 1, second, &ada());
        evidence
    };
    assert_eq!(broken(&asks(1)), NONE);
    assert_eq!(broken(&asks(2)), [NAME]);
    // A request without a clear outcome may hold the place.
    let mut evidence = asks(2);
    let lower_case = Person { email: ADDRESS.to_lowercase(), ..ada() };
    evidence.requests.push(request("lost", Ask::Register(lower_case), 1, 503, "unavailable"));
    assert_eq!(broken(&evidence), NONE);
}

#[test]
fn the_first_place_of_a_window_comes_with_the_cool_down_after_any_other() {
    let mut evidence = Evidence::empty();
    evidence.registers(Mailing::FirstCode, 1, 1, 89, &ada());
    evidence.registers(Mailing::Nothing, 2, 0, 90, &ada());
    assert_eq!(broken(&evidence), NONE);
    evidence.registers(Mailing::Nothing, 3, 0, 91, &ada());
    assert_eq!(broken(&evidence), ["requests at a free place of the schedule that nothing was mailed for"]);
}

#[test]
fn codes_for_verified_addresses_and_notices_for_others_are_found() {
    const NAME: &str = "codes for a verified address, or notices for another";
    let mut evidence = Evidence::good();
    evidence.registers(Mailing::FurtherCode, 2, 2, 9, &ada());
    assert_eq!(broken(&evidence), NONE, "the other replica need not have read of the verification");
    evidence.registers(Mailing::FirstCode, 3, 1, 95, &ada());
    assert_eq!(broken(&evidence), [NAME]);
    let mut evidence = Evidence::good();
    evidence.registers(Mailing::Notice, 2, 1, 95, &ada());
    assert_eq!(broken(&evidence), NONE);
    let mut evidence = Evidence::begun();
    evidence.registers(Mailing::Notice, 2, 1, 95, &ada());
    assert_eq!(broken(&evidence), [NAME]);
}

#[test]
fn mails_to_tagged_spellings_beyond_their_limit_are_found() {
    const NAME: &str = "mailboxes with more mails to tagged spellings than their limit";
    let tagged = |numbers: std::ops::Range<u32>, second: i64, evidence: &mut Evidence| {
        for number in numbers {
            let email = format!("ada+{number}@example.com");
            let person = Person { email, ..ada() };
            let event = registered(Mailing::FirstCode, 10 + number, 1, second, &person);
            evidence.requests.push(register(10 + number, second, &person));
            // This test does not care whether it was mailed.
            evidence.expired.insert((event.event_id(), event.request_id().as_str().to_owned()), at(200));
            evidence.write(event);
        }
    };
    let mut evidence = Evidence::begun();
    tagged(0..4, 1, &mut evidence);
    tagged(4..8, 4, &mut evidence);
    assert_eq!(broken(&evidence), NONE, "each replica has its places before it has read the other's");
    tagged(8..9, 4, &mut evidence);
    assert_eq!(broken(&evidence), [NAME]);
    let mut evidence = Evidence::begun();
    tagged(0..4, 1, &mut evidence);
    tagged(4..5, 5, &mut evidence);
    assert_eq!(broken(&evidence), [NAME]);
}

/// The event of the first code, for the expired ones.
fn written() -> Writing {
    (created().event_id(), "register-1".to_owned())
}

#[test]
fn a_lost_mail_is_found_and_a_dead_letter_or_an_expiry_in_its_place_is_none() {
    let lost = || Evidence::good().without_mails_of(&created());
    assert_eq!(broken(&lost()), [WITHOUT_MAIL, WITHOUT_END]);

    let deadline = (rules::WINDOW + rules::CODE_TTL - rules::LEAST_CODE_LIFE).as_secs();
    let mut expired = lost();
    expired.expired.insert(written(), at(deadline));
    assert_eq!(broken(&expired), NONE);
    // An event that is logged as expired before its deadline counts as lost.
    expired.expired.insert(written(), at(deadline - 2));
    assert_eq!(broken(&expired), [WITHOUT_MAIL, WITHOUT_END]);

    let mut refused = lost();
    refused.dead_letter(created(), "content_refused");
    assert_eq!(broken(&refused), NONE);
}

#[test]
fn a_registration_between_two_places_counts_on_a_mail_whose_code_is_right() {
    let mut evidence = Evidence::begun();
    evidence.registers(Mailing::Nothing, 2, 1, 1, &ada());
    assert_eq!(broken(&evidence), NONE);
    let names = broken(&evidence.without_mails_of(&created()));
    assert!(names.contains(&WITHOUT_MAIL), "{names:?}");
    // The registration names a place that no record has taken.
    let mut evidence = Evidence::empty();
    evidence.registers(Mailing::Nothing, 2, 1, 1, &ada());
    let names = broken(&evidence);
    assert!(names.contains(&WITHOUT_MAIL), "{names:?}");
    evidence.requests.push(request("lost", Ask::Register(ada()), 0, 503, "unavailable"));
    assert_eq!(broken(&evidence), NONE, "a request that had no good end may hold it");
}

#[test]
fn a_confirmation_or_a_notice_that_never_came_is_found() {
    let event = Event::Verified(verified(1, "verify", 6));
    assert_eq!(broken(&Evidence::good().without_mails_of(&event)), [WITHOUT_END]);
    let mut evidence = Evidence::good();
    evidence.registers(Mailing::Notice, 2, 1, 95, &ada());
    evidence.mails.pop();
    assert_eq!(broken(&evidence), [WITHOUT_MAIL, WITHOUT_END]);
}

#[test]
fn a_mail_that_began_too_late_is_found() {
    let deadline = (rules::WINDOW + rules::CODE_TTL - rules::LEAST_CODE_LIFE).as_secs();
    let mut evidence = Evidence::begun();
    evidence.mails[0].begun_at = at(deadline);
    assert_eq!(broken(&evidence), NONE);
    evidence.mails[0].begun_at = at(deadline + 1);
    assert_eq!(broken(&evidence), ["mails begun with less than a minute of their code left"]);
}

#[test]
fn a_mail_with_another_code_link_or_address_or_of_no_event_is_found() {
    const NAME: &str = "mails of no event, or with another code, link or address";
    let spoiled = |spoil: fn(&mut Mail)| {
        let mut evidence = Evidence::good();
        spoil(&mut evidence.mails[0]);
        broken(&evidence)
    };
    assert_eq!(spoiled(|mail| mail.code = Some("000000".to_owned())), [NAME]);
    assert_eq!(spoiled(|mail| mail.token = None), [NAME]);
    assert_eq!(spoiled(|mail| mail.registration = Some(id(9).to_string())), [NAME]);
    assert_eq!(spoiled(|mail| mail.recipient = "ada@example.com".to_owned()), [NAME]);
    assert_eq!(spoiled(|mail| mail.request_id = "another".to_owned()), [NAME]);
    assert!(spoiled(|mail| mail.mail_id = None).contains(&NAME));
}

#[test]
fn a_mail_shows_one_word_of_its_own_first_name_and_a_notice_none() {
    const NAME: &str = "mails with more of the names than one word";
    let shows = |mailing, names: &[&'static str]| {
        let mut evidence = Evidence::good();
        evidence.registers(mailing, 2, 1, 95, &Person { first_name: "Prizes Waiting", ..ada() });
        evidence.mails.last_mut().unwrap().names = names.to_vec();
        evidence.mails[0].names = vec!["Ada"];
        broken(&evidence)
    };
    assert_eq!(shows(Mailing::Notice, &[]), NONE);
    assert_eq!(shows(Mailing::Notice, &["Ada"]), [NAME]);
    assert!(shows(Mailing::FirstCode, &["Waiting"]).contains(&NAME));
    assert!(shows(Mailing::FirstCode, &["Lovelace"]).contains(&NAME));
}

#[test]
fn a_dead_letter_for_an_address_that_is_not_refused_is_found() {
    const NAME: &str = "dead letters that nothing asked for";
    for reason in ["recipient_refused", "undecodable", "panicked", "wrong_clock"] {
        let mut evidence = Evidence::good();
        evidence.dead_letter(created(), reason);
        assert_eq!(broken(&evidence), [NAME], "{reason}");
    }
    let mut evidence = Evidence::good();
    evidence.dead_letter(Event::Verified(verified(1, "verify", 6)), "content_refused");
    assert_eq!(broken(&evidence), [NAME], "a confirmation lives for a day");
    // A record that a frozen broker wrote too late.
    let mut evidence = Evidence::good();
    let late = registered(Mailing::FurtherCode, 2, 2, 4, &ada());
    evidence.write(late.clone()).stamped_at = at(15);
    evidence.dead_letter(late, "wrong_clock");
    assert_eq!(broken(&evidence), NONE);
}

#[test]
fn duplicates_need_a_fault_and_have_its_bound() {
    let copied = |times: i64, incidents: Vec<Incident>| {
        let mut evidence = Evidence { incidents, ..Evidence::good() };
        evidence.mails.extend((0..times).map(|number| mail(&created(), 7 + number)));
        broken(&evidence)
    };
    const ALL: [&str; 2] = ["duplicates of mails", "duplicates of mails without a fault that explains them"];
    assert_eq!(copied(1, vec![]), ALL);
    assert_eq!(copied(1, vec![killed(1)]), NONE);
    let beyond = "duplicates beyond what the one fault allows that explains them";
    assert_eq!(copied(2, vec![killed(1)]), ["duplicates of mails", beyond]);
    // A fault that was long over when the first mail came.
    let old = Incident { from: at(-100), until: at(-90), ..killed(9) };
    assert_eq!(copied(1, vec![old.clone()]), ALL[1..]);
    assert_eq!(copied(2, vec![old, killed(1)]), [beyond], "another fault's allowance does not help");
}

#[test]
fn a_mail_that_two_records_ask_for_may_be_sent_twice() {
    let mut evidence = Evidence::begun();
    evidence.mails.push(mail(&created(), 7));
    // Another replica took the same place at once.
    evidence.requests.push(register(2, 1, &ada()));
    evidence.write(registered(Mailing::FirstCode, 2, 1, 1, &ada()));
    assert_eq!(broken(&evidence), NONE);
    evidence.mails.push(mail(&created(), 8));
    assert_eq!(broken(&evidence), ["duplicates of mails"]);
}

#[test]
fn a_try_that_was_written_twice_explains_a_duplicate_but_allows_no_more_of_them() {
    let mut evidence = Evidence::begun();
    evidence.mails.push(mail(&created(), 27));
    // A fault that is long over when the two retries are due.
    evidence.incidents.push(killed(1));
    let mut try_again = |attempt: &str| {
        let retry = ("source/0/0".to_owned(), attempt.to_owned());
        evidence.record(Topic::MailRetry, created()).retry = Some(retry);
        evidence.mails[0].received_at = at(25);
        broken(&evidence)
    };
    const WITHOUT: &str = "duplicates of mails without a fault that explains them";
    assert_eq!(try_again("1"), [WITHOUT]);
    assert_eq!(try_again("2"), [WITHOUT], "two tries, each written once");
    assert_eq!(try_again("2"), NONE);
}

#[test]
fn what_did_not_come_back_is_found() {
    let found = |recovery| broken(&Evidence { recovery, ..Evidence::good() });
    let crashes = Recovery { crashes: vec!["user-0".to_owned()], ..Recovery::default() };
    assert_eq!(found(crashes), ["processes that ended by themselves, or not well"]);
    let not_ready = Recovery { not_ready: vec!["user-0".to_owned()], ..Recovery::default() };
    assert_eq!(found(not_ready), ["services not ready in time after the last fault"]);
    let unsettled = Recovery { unsettled: vec!["topic/0".to_owned()], ..Recovery::default() };
    assert_eq!(found(unsettled), ["partitions with a backlog after that"]);
    let too_large = Recovery { too_large: vec!["user-0".to_owned()], ..Recovery::default() };
    assert_eq!(found(too_large), ["services with more memory than their configuration says"]);
}
