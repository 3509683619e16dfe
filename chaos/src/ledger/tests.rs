//! Made-up evidence: a good round breaks no count, and each count has something that breaks it.

use super::*;
use crate::evidence::{Ask, Incident, Mail, Record, Recovery, Reply, Request};
use acceptance::world::CODE_SECRETS;
use shared::{
    account_id::AccountId,
    code_secrets::CodeSecrets,
    event::{self, Attempt, CodeIssued, Event, EventId, EventKind, RegistrationRepeated, VERSION, Verified},
    topic::Topic,
    verification_code::{LinkToken, VerificationCode},
};
use std::collections::HashMap;

const WINDOW: u64 = 7;
const ADDRESS: &str = "ada@example.com";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn ada() -> AccountId {
    AccountId::from_derived([1; 16])
}

fn address() -> shared::email_address::EmailAddress {
    shared::email_address::EmailAddress::parse(ADDRESS).unwrap()
}

fn code(generation: u32) -> String {
    let secrets = CodeSecrets::parse(CODE_SECRETS).unwrap();
    VerificationCode::derive(secrets.current(), ada(), &address(), WINDOW, generation).digits().to_owned()
}

fn issued(kind: EventKind, generation: u32, send: u32, request: &str) -> CodeIssued {
    CodeIssued {
        event_id: EventId::derive(kind, ada(), WINDOW, generation, send),
        occurred_at: at(0),
        version: VERSION,
        id: ada(),
        first_name: shared::person_name::PersonName::parse("Ada").unwrap(),
        last_name: shared::person_name::PersonName::parse("Lovelace").unwrap(),
        email: address(),
        locale: shared::locale::Locale::default(),
        window: WINDOW,
        window_started_at: at(0),
        generation,
        send,
        expires_at: at(30),
        key: shared::code_secrets::KeyId::parse("k1").unwrap(),
        request_id: shared::request_id::RequestId::parse(request).unwrap(),
    }
}

fn created() -> Event {
    Event::Created(issued(EventKind::Created, 0, 1, "register"))
}

/// The first code, as this request wrote it.
fn written(request: &str) -> crate::evidence::Writing {
    (created().event_id(), request.to_owned())
}

fn repeated() -> Event {
    let it = issued(EventKind::Created, 0, 1, "again");
    Event::RegistrationRepeated(RegistrationRepeated {
        event_id: EventId::derive(EventKind::RegistrationRepeated, ada(), WINDOW, 0, 1),
        occurred_at: at(1),
        version: VERSION,
        id: it.id,
        first_name: it.first_name,
        last_name: it.last_name,
        email: it.email,
        locale: it.locale,
        window: it.window,
        window_started_at: it.window_started_at,
        generation: it.generation,
        send: it.send,
        expires_at: it.expires_at,
        request_id: it.request_id,
    })
}

fn verified() -> Event {
    let it = issued(EventKind::Created, 0, 1, "verify");
    Event::Verified(Verified {
        event_id: EventId::derive(EventKind::Verified, ada(), WINDOW, 0, 0),
        occurred_at: at(5),
        version: VERSION,
        id: it.id,
        first_name: it.first_name,
        last_name: it.last_name,
        email: it.email,
        locale: it.locale,
        request_id: it.request_id,
    })
}

fn attempt(generation: u32, request: &str) -> Event {
    Event::Attempt(Attempt {
        event_id: EventId::random(),
        occurred_at: at(4),
        version: VERSION,
        id: ada(),
        window: WINDOW,
        generation,
        request_id: shared::request_id::RequestId::parse(request).unwrap(),
    })
}

fn mail(event: &Event, received: i64) -> Mail {
    let issued = matches!(event, Event::Created(_) | Event::CodeResent(_));
    let secrets = CodeSecrets::parse(CODE_SECRETS).unwrap();
    let token = LinkToken::derive(secrets.current(), ada(), &address(), WINDOW).to_text();
    let generation = match event {
        Event::CodeResent(issued) => issued.generation,
        _ => 0,
    };
    Mail {
        event_id: Some(event.event_id()),
        request_id: event.request_id().as_str().to_owned(),
        recipient: ADDRESS.to_owned(),
        code: issued.then(|| code(generation)),
        token: issued.then_some(token),
        begun_at: at(received),
        received_at: at(received),
    }
}

fn request(request_id: &str, ask: Ask, status: u16, problem: &str) -> Request {
    let id = (status == 202).then(|| ada().to_string());
    let reply = Reply { status, problem: problem.to_owned(), id, at: at(5) };
    Request { request_id: request_id.to_owned(), ask, sent_at: at(4), reply: Some(reply) }
}

fn register(request_id: &str) -> Request {
    request(request_id, Ask::Register { email: ADDRESS.to_owned(), locale: "en" }, 202, "")
}

fn verify(request_id: &str, code: &str, status: u16, problem: &str) -> Request {
    let ask = Ask::VerifyCode { id: ada().to_string(), code: code.to_owned() };
    request(request_id, ask, status, problem)
}

fn killed(copies: usize) -> Incident {
    Incident { what: "killed".to_owned(), from: at(3), until: at(4), copies }
}

impl Evidence {
    /// Registered, mailed, mistyped once, verified, confirmed.
    fn good() -> Self {
        let mut evidence = Self {
            secrets: CodeSecrets::parse(CODE_SECRETS).unwrap(),
            requests: vec![
                register("register"),
                verify("typo", "000000", 422, "wrong-code"),
                verify("verify", &code(0), 200, ""),
            ],
            records: Vec::new(),
            mails: vec![mail(&created(), 1), mail(&verified(), 6)],
            expired: HashMap::new(),
            incidents: Vec::new(),
            recovery: Recovery::default(),
        };
        for event in [created(), attempt(0, "typo"), attempt(0, "verify"), verified()] {
            evidence.write(event.kind().topic(), event);
        }
        evidence
    }

    fn write(&mut self, topic: Topic, event: Event) -> &mut Record {
        let offset = i64::try_from(self.records.len()).unwrap();
        let record = Record { topic, partition: 0, offset, event: Some(event), retry: None, reason: None };
        self.records.push(record);
        self.records.last_mut().unwrap()
    }

    fn dead_letter(&mut self, event: Event, reason: &str) {
        self.write(Topic::DeadLetter, event).reason = Some(reason.to_owned());
    }

    fn without_mails_of(mut self, event: &Event) -> Self {
        self.mails.retain(|mail| mail.event_id != Some(event.event_id()));
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

#[test]
fn a_good_round_breaks_no_count() {
    assert_eq!(broken(&Evidence::good()), [""; 0]);
}

#[test]
fn a_202_without_its_record_is_found_and_so_is_the_mail_that_was_promised() {
    let evidence = Evidence::good().without_records_of(EventKind::Created);
    let names = broken(&evidence);
    assert!(names.contains(&"requests answered 202 without a record in the log"), "{names:?}");
    assert!(names.contains(&"accepted signups without a mail"), "{names:?}");
}

#[test]
fn a_200_without_a_verification_in_the_log_is_found() {
    let evidence = Evidence::good().without_records_of(EventKind::Verified).without_mails_of(&verified());
    assert_eq!(broken(&evidence), ["verified answers without a user_account_verified event"]);
}

#[test]
fn an_accepted_registration_must_be_known_while_its_code_lives() {
    let mut evidence = Evidence::good();
    let mut forgotten = verify("forgotten", "000000", 404, "unknown-id");
    (forgotten.sent_at, forgotten.reply.as_mut().unwrap().at) = (at(6), at(7));
    evidence.requests.push(forgotten);
    assert_eq!(broken(&evidence), ["accepted registrations called unknown"]);
    // Asked before the registration was answered, it need not be.
    evidence.requests.last_mut().unwrap().sent_at = at(4);
    assert_eq!(broken(&evidence), [""; 0]);
}

#[test]
fn answers_that_the_contract_does_not_have_are_found() {
    let mut evidence = Evidence::good();
    evidence.requests.push(verify("strange", "000000", 500, "internal"));
    assert_eq!(broken(&evidence), ["answers outside the contract"]);
}

#[test]
fn a_lost_mail_is_found_and_a_dead_letter_or_an_expiry_in_its_place_is_none() {
    let lost = || Evidence::good().without_mails_of(&created());
    let names = ["accepted signups without a mail", "events without a mail, a dead letter or an expiry"];
    assert_eq!(broken(&lost()), names);

    let mut expired = lost();
    expired.expired.insert(written("register"), at(31));
    assert_eq!(broken(&expired), [""; 0]);
    // What is called expired before its time is lost.
    expired.expired.insert(written("register"), at(20));
    assert_eq!(broken(&expired), names);

    let mut refused = lost();
    refused.dead_letter(created(), "content_refused");
    assert_eq!(broken(&refused), [""; 0]);
}

#[test]
fn a_repeated_registration_counts_on_the_mail_of_its_window() {
    let mut evidence = Evidence::good();
    evidence.requests.push(register("again"));
    evidence.write(Topic::Activity, repeated());
    assert_eq!(broken(&evidence), [""; 0]);
    let names = broken(&evidence.without_mails_of(&created()));
    assert!(names.contains(&"accepted signups without a mail"), "{names:?}");
}

#[test]
fn a_confirmation_that_never_came_is_found() {
    let evidence = Evidence::good().without_mails_of(&verified());
    assert_eq!(broken(&evidence), ["events without a mail, a dead letter or an expiry"]);
}

#[test]
fn a_mail_that_began_after_its_codes_end_is_found() {
    let mut evidence = Evidence::good();
    evidence.mails[0].begun_at = at(30);
    assert_eq!(broken(&evidence), ["mails begun after their code's expiry"]);
}

#[test]
fn a_mail_with_another_code_or_address_or_of_no_event_is_found() {
    const NAME: &str = "mails of no event, or with another code, link or address";
    let spoiled = |spoil: fn(&mut Mail)| {
        let mut evidence = Evidence::good();
        spoil(&mut evidence.mails[0]);
        broken(&evidence)
    };
    assert_eq!(spoiled(|mail| mail.code = Some("000000".to_owned())), [NAME]);
    assert_eq!(spoiled(|mail| mail.token = None), [NAME]);
    assert_eq!(spoiled(|mail| mail.recipient = "eve@example.com".to_owned()), [NAME]);
    assert!(spoiled(|mail| mail.event_id = None).contains(&NAME));
}

#[test]
fn a_dead_letter_for_an_address_that_is_not_refused_is_found() {
    const NAME: &str = "dead letters that nothing asked for";
    for reason in ["recipient_refused", "undecodable", "panicked"] {
        let mut evidence = Evidence::good();
        evidence.dead_letter(created(), reason);
        assert_eq!(broken(&evidence), [NAME], "{reason}");
    }
    let mut evidence = Evidence::good();
    evidence.dead_letter(verified(), "content_refused");
    assert_eq!(broken(&evidence), [NAME], "a confirmation lives for a day");
}

#[test]
fn a_sixth_comparison_is_found_whoever_made_it() {
    let mut evidence = Evidence::good().without_records_of(EventKind::Attempt);
    evidence.requests.retain(|request| request.request_id == "register");
    for number in 0..6 {
        let name = format!("guess-{number}");
        evidence.requests.push(verify(&name, "000000", 422, "wrong-code"));
        evidence.write(Topic::Activity, attempt(0, &name));
    }
    assert_eq!(broken(&evidence), ["sixth comparisons of a code"]);
    // The sixth attempt is handed out, but not compared.
    let reply = evidence.requests.last_mut().unwrap().reply.as_mut().unwrap();
    (reply.status, reply.problem) = (410, "no-longer-valid".to_owned());
    assert_eq!(broken(&evidence), [""; 0]);
}

#[test]
fn an_attempt_that_stands_in_the_log_twice_counts_once_where_it_stands_first() {
    let mut evidence = Evidence::good().without_records_of(EventKind::Attempt);
    evidence.requests.retain(|request| request.request_id == "register");
    for number in 0..5 {
        let name = format!("guess-{number}");
        evidence.requests.push(verify(&name, "000000", 422, "wrong-code"));
        let guess = attempt(0, &name);
        evidence.write(Topic::Activity, guess.clone());
        evidence.write(Topic::Activity, guess);
    }
    assert_eq!(broken(&evidence), [""; 0]);
    let first = evidence.records.iter().find(|record| record.topic == Topic::Activity).unwrap().event.clone();
    evidence.write(Topic::Activity, first.unwrap());
    assert_eq!(broken(&evidence), [""; 0], "the first is still the first");
}

#[test]
fn a_comparison_that_the_log_did_not_hand_out_is_found() {
    let mut evidence = Evidence::good();
    evidence.requests.push(verify("free", "000000", 422, "wrong-code"));
    assert_eq!(broken(&evidence), ["sixth comparisons of a code"]);
}

#[test]
fn a_right_code_called_wrong_and_a_wrong_one_accepted_are_found() {
    const NAME: &str = "right codes called wrong, or wrong ones accepted";
    let mut evidence = Evidence::good();
    evidence.requests[1] = verify("typo", &code(0), 422, "wrong-code");
    assert_eq!(broken(&evidence), [NAME]);
    let mut evidence = Evidence::good();
    evidence.requests[2] = verify("verify", "000000", 200, "");
    assert_eq!(broken(&evidence), [NAME]);
    let mut evidence = Evidence::good();
    let ask = Ask::VerifyLink { id: ada().to_string(), token: "guessed".to_owned() };
    evidence.requests.push(request("link", ask, 200, ""));
    assert_eq!(broken(&evidence), [NAME]);
}

#[test]
fn two_codes_that_are_valid_at_once_are_found() {
    const NAME: &str = "ids with two valid codes";
    let resent = || Event::CodeResent(issued(EventKind::CodeResent, 1, 2, "resend"));
    let with_second_code = |used: u32| {
        let mut evidence = Evidence::good();
        evidence.write(Topic::Activity, resent());
        evidence.mails.push(mail(&resent(), 8));
        // Two attempts are used up already.
        for number in 2..used {
            let guess = attempt(0, &format!("guess-{number}"));
            // Written twice, it uses up one attempt.
            evidence.write(Topic::Activity, guess.clone());
            evidence.write(Topic::Activity, guess);
        }
        evidence
    };
    assert_eq!(broken(&with_second_code(4)), [NAME], "the first still has an attempt");
    let mut evidence = with_second_code(5);
    assert_eq!(broken(&evidence), [""; 0]);
    evidence.requests.push(verify("second", &code(1), 200, ""));
    assert_eq!(broken(&evidence), [NAME], "both were accepted");
}

#[test]
fn copies_need_a_fault_and_have_its_bound() {
    let copied = |times: i64, incidents: Vec<Incident>| {
        let mut evidence = Evidence { incidents, ..Evidence::good() };
        evidence.mails.extend((0..times).map(|number| mail(&created(), 7 + number)));
        broken(&evidence)
    };
    const ALL: [&str; 2] = ["copies of mails", "copies of mails without a fault that explains them"];
    assert_eq!(copied(1, vec![]), ALL);
    assert_eq!(copied(1, vec![killed(1)]), [""; 0]);
    let beyond = "copies beyond what the one fault allows that explains them";
    assert_eq!(copied(2, vec![killed(1)]), ["copies of mails", beyond]);
    // Long over when the first mail came.
    let old = Incident { from: at(-100), until: at(-90), ..killed(9) };
    assert_eq!(copied(1, vec![old.clone()]), ALL[1..]);
    assert_eq!(copied(2, vec![old, killed(1)]), [beyond], "another fault's allowance does not help");
}

#[test]
fn an_event_that_was_written_twice_may_be_mailed_twice() {
    let mut evidence = Evidence::good();
    evidence.mails.push(mail(&created(), 7));
    evidence.write(Topic::Created, created());
    assert_eq!(broken(&evidence), [""; 0]);
    evidence.mails.push(mail(&created(), 8));
    assert_eq!(broken(&evidence), ["copies of mails"]);
}

#[test]
fn each_writing_of_an_event_has_its_own_time() {
    let again =
        || Event::Created(CodeIssued { expires_at: at(40), ..issued(EventKind::Created, 0, 1, "repeat") });
    let mut evidence = Evidence::good().without_mails_of(&created());
    evidence.write(Topic::Created, again());
    evidence.expired.insert(written("register"), at(31));
    let lost = ["events without a mail, a dead letter or an expiry"];
    assert_eq!(broken(&evidence), lost, "the later writing is lost");
    evidence.mails.push(mail(&again(), 35));
    assert_eq!(broken(&evidence), [""; 0]);
    evidence.mails[1].begun_at = at(40);
    assert_eq!(broken(&evidence), ["mails begun after their code's expiry"]);
}

#[test]
fn a_try_that_was_written_twice_explains_a_copy_but_allows_no_more_of_them() {
    let mut evidence = Evidence::good();
    evidence.mails.push(mail(&created(), 27));
    // Long over when the two tries are due.
    evidence.incidents.push(killed(1));
    let mut try_again = |attempt: &str| {
        let retry = ("source/0/0".to_owned(), attempt.to_owned());
        evidence.write(Topic::MailRetry, created()).retry = Some(retry);
        evidence.mails[0].received_at = at(25);
        broken(&evidence)
    };
    const WITHOUT: &str = "copies of mails without a fault that explains them";
    assert_eq!(try_again("1"), [WITHOUT]);
    assert_eq!(try_again("2"), [WITHOUT], "two tries, each written once");
    assert_eq!(try_again("2"), [""; 0]);
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

#[test]
fn a_notice_for_a_verified_account_is_mailed_once_a_window() {
    let it = issued(EventKind::Created, 0, 1, "exists");
    let exists = |occurred_at| {
        Event::AccountExists(event::AccountExists {
            event_id: EventId::derive(EventKind::AccountExists, ada(), 8, 0, 0),
            occurred_at,
            version: VERSION,
            id: it.id,
            first_name: it.first_name.clone(),
            last_name: it.last_name.clone(),
            email: it.email.clone(),
            locale: it.locale.clone(),
            window: 8,
            window_started_at: at(10),
            request_id: it.request_id.clone(),
        })
    };
    let mut evidence = Evidence::good();
    evidence.requests.push(register("exists"));
    evidence.write(Topic::Activity, exists(at(10)));
    evidence.write(Topic::Activity, exists(at(11)));
    let names = ["accepted signups without a mail", "events without a mail, a dead letter or an expiry"];
    assert_eq!(broken(&evidence), names);
    evidence.mails.push(mail(&exists(at(10)), 12));
    assert_eq!(broken(&evidence), [""; 0]);
}
