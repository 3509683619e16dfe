//! `kill -9`: every answer stays true.

use acceptance::{
    api::{Api, between},
    inbox::{Inbox, VERIFY},
    ledger::{Registering, Registration, all_mailed, register},
    log,
    world::{World, show},
};
use contract::{
    event::{Event, Mailing},
    topic::Topic,
};
use jiff::Timestamp;
use reqwest::StatusCode;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(60);
const REGISTRATIONS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn every_mailed_code_verifies_after_a_kill_of_the_user_service_and_at_a_replica_that_starts_later() {
    let world = World::start().await;
    let (mut user_service, api) = world.ready_user_service("user").await;
    let _notification_service = world.ready_notification_service("notification").await;
    let mut registrations = register(&api, "person", 2 * REGISTRATIONS).await;
    let later = registrations.split_off(REGISTRATIONS);
    user_service.kill();

    let began = Instant::now();
    user_service.start_and_wait().await;
    show(&format!("ready {:.2?} after the start that followed the kill", began.elapsed()));
    let (_replica, replica_api) = world.ready_user_service("replica").await;
    all_mailed(&registrations, &world.inbox, LIMIT).await;
    all_mailed(&later, &world.inbox, LIMIT).await;
    let after_restart = verified(&api, &registrations, &world.inbox).await;
    let at_replica = verified(&replica_api, &later, &world.inbox).await;
    show(&format!(
        "{after_restart} of {REGISTRATIONS} verified after the restart, {at_replica} of {REGISTRATIONS} at a replica started later"
    ));
    assert_eq!((after_restart, at_replica), (REGISTRATIONS, REGISTRATIONS));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answered_registration_is_mailed_although_the_notification_service_is_killed_again_and_again() {
    const CRASHES: usize = 5;
    const MAX_UNCOMMITTED: usize = 100;
    const SMTP_CONNECTIONS: usize = 8;
    const STILL_ON_THE_WIRE: Duration = Duration::from_millis(100);
    let world = World::start().await;
    let (_user_service, api) = world.ready_user_service("user").await;
    let mut notification_service = world
        .notification_service("notification")
        .with("MAX_UNCOMMITTED", &MAX_UNCOMMITTED.to_string())
        .with("SMTP_CONNECTIONS", &SMTP_CONNECTIONS.to_string());
    notification_service.start_and_wait().await;

    let load = Registering::begin(100, move |number| {
        let api = api.clone();
        async move { Registration::accepted(&api, format!("person{number}@example.com")).await }
    });
    let mut crashes = Vec::new();
    for _ in 0..CRASHES {
        // A kill in the middle of the work: a restarted service sends its backlog in one go.
        let some_mails = world.inbox.count() + 150;
        assert!(world.inbox.wait_for_count(some_mails, LIMIT).await, "no mails flow");
        notification_service.kill();
        crashes.push(Timestamp::now());
        notification_service.start();
    }
    let registrations = load.end().await;
    all_mailed(&registrations, &world.inbox, LIMIT).await;
    // Finishes the mails in flight, so that no duplicate comes later.
    notification_service.ready().await;
    notification_service.stop().await;

    let (mut duplicates, mut pauses) = ([0; CRASHES], [LIMIT; CRASHES]);
    for registration in &registrations {
        for (number, mail) in registration.code_mails(&world.inbox).iter().enumerate() {
            let Some(crash) = crashes.iter().rposition(|crash| mail.received_at > *crash) else {
                assert_eq!(number, 0, "a copy without a crash");
                continue;
            };
            // The earlier mail came from a process that has crashed.
            duplicates[crash] += usize::from(number > 0);
            let pause = between(crashes[crash], mail.received_at);
            if pause > STILL_ON_THE_WIRE {
                pauses[crash] = pauses[crash].min(pause);
            }
        }
    }
    show(&format!(
        "{} registrations, {CRASHES} kills, duplicates after each: {duplicates:?}",
        registrations.len()
    ));
    show(&format!("mails flow again {pauses:.1?} after it; a broker gives up a silent member after 6 s"));
    let bound = MAX_UNCOMMITTED + SMTP_CONNECTIONS;
    // Duplicates of one crash may come only after the next one, so the limit holds for all crashes so far.
    let mut so_far = 0;
    for (crash, duplicates_after) in duplicates.iter().enumerate() {
        so_far += duplicates_after;
        assert!(so_far <= bound * (crash + 1), "{duplicates:?}, more than {bound} a crash");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_frozen_learns_which_mails_others_sent_before_it_decides_on_one() {
    const LONGER_THAN_A_LOOK_AT_THE_END_LASTS: Duration = Duration::from_secs(4);
    let world = World::start().await;
    let (_a, at_a) = world.ready_user_service("a").await;
    let (b, at_b) = world.ready_user_service("b").await;
    b.freeze();
    let email = "ada@example.com";
    let first = Registration::accepted(&at_a, email.to_owned()).await;
    let again = tokio::spawn(async move { at_b.register(email).await });
    sleep(LONGER_THAN_A_LOOK_AT_THE_END_LASTS).await;
    b.thaw();
    let again = again.await.expect("an answer");
    assert_eq!(again.status, StatusCode::ACCEPTED, "{again:?}");
    // The services mail each place once, so only the log shows whether a place was taken twice.
    let mailings = log::read(&world.kafka.bootstrap(), Topic::Created).into_iter().map(|it| match it.event {
        Some(Event::Registered(mailing, event)) => (event.registration.to_string(), mailing),
        other => panic!("{other:?}"),
    });
    let expected = [(first.id, Mailing::FirstCode), (again.id().to_owned(), Mailing::Nothing)];
    assert_eq!(mailings.collect::<Vec<_>>(), expected);
}

/// The number of these people who can verify with their mailed code.
async fn verified(api: &Api, registrations: &[Registration], inbox: &Inbox) -> usize {
    let mut refused = HashMap::new();
    for registration in registrations {
        let answer = api.verify(&registration.id, &registration.code(inbox)).await;
        if answer.status != StatusCode::OK {
            *refused.entry(answer.body.to_string()).or_insert(0) += 1;
        }
    }
    assert!(refused.is_empty(), "{refused:?}");
    assert!(registrations.iter().all(|it| inbox.mails(&it.email, VERIFY).len() == 1), "each code once");
    registrations.len()
}
