//! One account at two replicas: verified by both at once, verified at one while the other can't read it, forgotten, forgotten
//! during a verification.

use acceptance::{
    api::Api,
    ledger::Registration,
    log::{self, Record, Writer},
    proofs,
    proxy::{LinkFault, Proxy},
    service::Service,
    world::World,
};
use contract::{
    event::{Event, Mailing},
    topic::Topic,
};
use jiff::Timestamp;
use reqwest::StatusCode;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const WINDOW: Duration = Duration::from_secs(3_600);
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// A margin for a busy machine.
const MARGIN: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_link_and_a_code_at_once_verify_an_account_once_or_twice_and_nothing_is_written_afterwards() {
    const ACCOUNTS: usize = 20;
    let world = World::start().await;
    let (_a, at_a) = world.ready_user_service("a").await;
    let (mut b, at_b) = world.ready_user_service("b").await;
    let mut people = Vec::new();
    for number in 0..ACCOUNTS {
        let email = format!("person{number}@example.com");
        let by_link = Registration::accepted(&at_a, email.clone()).await;
        let by_code = Registration::accepted(&at_b, email.clone()).await;
        let window = window_of(&by_link);
        let (token, code) = (proofs::link_token(&email, window), proofs::code(&email, window));
        let answers = tokio::join!(at_a.verify_by_link(&by_link.id, &token), at_b.verify(&by_code.id, &code));
        for answer in [answers.0, answers.1] {
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            assert_eq!(answer.id(), proofs::account_id(&email).to_string());
        }
        people.push((by_link, by_code, token));
    }
    let written = verified(&world);
    for (by_link, by_code, _) in &people {
        let mut registrations = registrations_verified(&written, &by_link.email);
        assert!((1..=2).contains(&registrations.len()), "{registrations:?}");
        registrations.retain(|id| *id != by_link.id && *id != by_code.id);
        assert_eq!(registrations, [""; 0], "of this account's registrations");
    }
    b.kill();
    b.start_and_wait().await;
    for (by_link, by_code, token) in &people {
        for (api, id) in [(&at_a, &by_code.id), (&at_b, &by_link.id)] {
            let answer = api.verify_by_link(id, token).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        }
    }
    assert_eq!(verified(&world).len(), written.len(), "verified already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_can_not_read_whether_an_account_is_verified_refuses_instead_of_verifying_it_again() {
    let mut world = World::new().await;
    let proxy = Proxy::listen().await.expect("a port");
    proxy.leads_to(world.kafka.behind(&[proxy.address()])[0]);
    world.kafka.start().await;
    let (_a, at_a) = world.ready_user_service("a").await;
    let mut b = world.user_service("b").with("KAFKA_BROKERS", &proxy.address().to_string());
    b.start_and_wait().await;
    let at_b = Api::new(b.address());
    let email = "ada@example.com";
    let first = Registration::accepted(&at_a, email.to_owned()).await;
    let second = Registration::accepted(&at_b, email.to_owned()).await;
    let token = proofs::link_token(email, window_of(&first));

    proxy.set(Some(LinkFault::Stall));
    let answer = at_a.verify(&first.id, &proofs::code(email, window_of(&first))).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let refusal = at_b.verify_by_link(&second.id, &token).await;
    assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE, "{refusal:?}");
    assert!(refusal.retry_after.is_some(), "{refusal:?}");
    assert!(refusal.latency() < PUBLISH_TIMEOUT + MARGIN, "{refusal:?}");
    proxy.set(None);
    b.ready().await;
    let answer = at_b.verify_by_link(&second.id, &token).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(registrations_verified(&verified(&world), email), [first.id], "verified once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_account_is_a_new_one_at_all_replicas_and_stays_one_through_a_restart() {
    let world = World::start().await;
    let (a, at_a) = small_skew(&world, "a").await;
    let (mut b, at_b) = small_skew(&world, "b").await;
    let email = "ada@example.com";
    let old = Registration::accepted(&at_a, email.to_owned()).await;
    let old_window = window_of(&old);
    let (old_code, old_token) = (proofs::code(email, old_window), proofs::link_token(email, old_window));
    assert_eq!(at_a.verify(&old.id, &old_code).await.status, StatusCode::OK);
    a.command(&["forget", &proofs::account_id(email).to_string()]).await;

    // Accepted at one replica, it is known at the other at once.
    let new = Registration::accepted(&at_b, email.to_owned()).await;
    let answer = at_a.verify(&new.id, &old_code).await;
    assert!(answer.is_wrong_code(), "{answer:?}");
    let (mailing, event) = log::registered(&world.kafka.bootstrap(), &new.id);
    assert_eq!((mailing, event.send), (Mailing::FirstCode, 1), "{event:?}");
    assert!(event.window > old_window, "{event:?}");
    let (code, token) = (proofs::code(email, event.window), proofs::link_token(email, event.window));
    for api in [&at_a, &at_b] {
        for (id, token) in [(&old.id, &old_token), (&old.id, &token), (&new.id, &old_token)] {
            let answer = api.verify_by_link(id, token).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
        }
        for code in [&old_code, &code] {
            let answer = api.verify(&old.id, code).await;
            assert!(answer.is_wrong_code(), "{answer:?}");
        }
    }
    assert_eq!(at_a.verify(&new.id, &code).await.status, StatusCode::OK);

    b.kill();
    b.start_and_wait().await;
    let wrong = proofs::wrong_code(email, event.window, 1);
    let mut known = Vec::new();
    for api in [&at_a, &at_b] {
        let (mailing, event) = log::registered(
            &world.kafka.bootstrap(),
            &Registration::accepted(api, email.to_owned()).await.id,
        );
        let left = api.verify(&new.id, &wrong).await.body["attempts_left"].clone();
        let answer = api.verify_by_link(&new.id, &token).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        known.push((mailing, event.window, event.send, left));
    }
    assert_eq!(known[0], known[1], "at one that runs and one that was restarted");
    assert_eq!(registrations_verified(&verified(&world), email), [old.id, new.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_is_written_after_the_tombstone_is_forgotten_as_well() {
    let world = World::start().await;
    let (a, at_a) = small_skew(&world, "a").await;
    let (_b, at_b) = small_skew(&world, "b").await;
    let email = "ada@example.com";
    let registration = Registration::accepted(&at_a, email.to_owned()).await;
    let token = proofs::link_token(email, window_of(&registration));
    assert_eq!(at_a.verify_by_link(&registration.id, &token).await.status, StatusCode::OK);
    // A replica that had read the topic's end before the tombstone writes this.
    let late = verified(&world).remove(0).event.expect("the verification");
    let account = proofs::account_id(email).to_string();
    let is_late = async {
        let began = Instant::now();
        while verified(&world).len() < 2 {
            assert!(began.elapsed() < LIMIT, "no tombstone");
            sleep(Duration::from_millis(50)).await;
        }
        let writer = Writer::new(&world.kafka.bootstrap());
        writer.write(&late);
        writer.flush();
    };
    let arguments = ["forget", &account];
    tokio::join!(a.command(&arguments), is_late);

    let is_tombstone: Vec<_> = verified(&world).iter().map(|record| record.event.is_none()).collect();
    assert_eq!(is_tombstone, [false, true, false, true]);
    for api in [&at_a, &at_b] {
        let answer = api.verify_by_link(&registration.id, &token).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
    }
    let again = Registration::accepted(&at_b, email.to_owned()).await;
    assert_eq!(
        log::registered(&world.kafka.bootstrap(), &again.id).0,
        Mailing::FirstCode,
        "a code, not a notice"
    );
}

/// A replica with a small skew, so that `forget` does not wait long.
async fn small_skew(world: &World, name: &str) -> (Service, Api) {
    let mut service = world.user_service(name).with("MAX_CLOCK_SKEW", "1s");
    service.start_and_wait().await;
    let api = Api::new(service.address());
    (service, api)
}

fn window_of(registration: &Registration) -> u64 {
    let window = |moment: Timestamp| proofs::window_at(moment, WINDOW);
    let (before, after) = (window(registration.sent_at), window(registration.answered_at));
    assert_eq!(before, after, "by chance at the end of a window: run it again");
    before
}

fn verified(world: &World) -> Vec<Record> {
    log::read(&world.kafka.bootstrap(), Topic::Verified)
}

/// The registrations in an account's verifications, by offset.
fn registrations_verified(records: &[Record], email: &str) -> Vec<String> {
    let account = proofs::account_id(email).to_string();
    let of_account = records.iter().filter(|record| record.key == account);
    let events = of_account.filter_map(|record| match &record.event {
        Some(Event::Verified(event)) => Some(event.registration.to_string()),
        _ => None,
    });
    events.collect()
}
