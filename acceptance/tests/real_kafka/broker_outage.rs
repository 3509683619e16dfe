//! The broker goes away and comes back under load.

use acceptance::{
    api::{Answer, Api, between},
    inbox::VERIFY,
    latency::Latencies,
    ledger::{Registering, Registration, all_mailed},
    service::Service,
    world::{World, show},
};
use jiff::Timestamp;
use reqwest::StatusCode;
use sandbox::smtp::{Action, Script, Stage};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// A margin for a busy machine.
const MARGIN: Duration = Duration::from_secs(1);
const READY_AGAIN: Duration = Duration::from_secs(5);
/// After this time without the broker, a member takes its partitions for lost.
const LONGER_THAN_A_GROUP_SESSION: Duration = Duration::from_secs(8);
/// A well-formed id that no registration has.
const UNKNOWN_ID: &str = "00000000-0000-4000-8000-000000000000";
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
enum Outage {
    /// SIGKILL, and a start after this time.
    Killed(Duration),
    /// SIGSTOP for this time. Requests to the broker arrive later.
    Frozen(Duration),
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_while_the_broker_is_dead_is_accepted_later_and_mailed_with_one_code() {
    // The broker returns at once, and then only after requests have timed out.
    survives(&[Outage::Killed(Duration::ZERO), Outage::Killed(2 * PUBLISH_TIMEOUT)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_frozen_broker_took_after_its_refusal_leads_to_no_second_code() {
    survives(&[Outage::Frozen(2 * PUBLISH_TIMEOUT)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_is_refused_in_time_while_the_broker_is_away_and_works_afterwards() {
    let world = World::start().await;
    let (a, at_a) = world.ready_user_service("a").await;
    let (b, at_b) = world.ready_user_service("b").await;
    let _notification_service = world.ready_notification_service("notification").await;
    for (outage, email) in [
        (Outage::Frozen(2 * PUBLISH_TIMEOUT), "ada@example.com"),
        (Outage::Killed(2 * PUBLISH_TIMEOUT), "bob@example.com"),
    ] {
        let registration = Registration::accepted(&at_a, email.to_owned()).await;
        let mail = world.inbox.first(email, VERIFY, LIMIT).await;
        let in_vain = async {
            // Not before the broker has gone.
            sleep(Duration::from_secs(2)).await;
            tokio::join!(
                at_a.verify(&registration.id, mail.code()),
                at_b.verify_by_link(&registration.id, mail.link_token()),
                at_b.verify(UNKNOWN_ID, mail.code()),
            )
        };
        let (_, refusals) = tokio::join!(suffer(&world, outage, [&a, &b]), in_vain);
        for refusal in [refusals.0, refusals.1, refusals.2] {
            assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE, "{refusal:?}");
            assert!(refusal.retry_after.is_some(), "{refusal:?}");
            show(&format!("{outage:?}: refused after {:.2?}", refusal.latency()));
            assert!(refusal.latency() < PUBLISH_TIMEOUT + MARGIN, "{refusal:?}");
        }
        let asked = Timestamp::now();
        let mut answer = at_b.verify(&registration.id, mail.code()).await;
        // The cluster may need a moment more. The attempt stays counted.
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            answer = at_b.verify(&registration.id, mail.code()).await;
        }
        show(&format!("{outage:?}: verified after {:.2?}", between(asked, answer.answered_at)));
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_service_ends_when_it_is_asked_to_although_its_broker_is_frozen() {
    let world = World::start().await;
    let (_user_service, api) = world.ready_user_service("user").await;
    let mut notification_service = world.notification_service("notification");
    notification_service.start_and_wait().await;
    // Holds mails until the broker is frozen, so that some finished records can't be committed.
    let held_up = watch::Sender::new(0);
    let (mut count, counted) = (held_up.subscribe(), held_up);
    world.inbox.set_script(Script::new(move |step| match step.stage {
        Stage::EndOfData => {
            counted.send_modify(|count| *count += 1);
            Action::Hang
        }
        _ => Action::Accept,
    }));
    for number in 0..5 {
        Registration::accepted(&api, format!("person{number}@example.com")).await;
    }
    timeout(LIMIT, count.wait_for(|count| *count == 5)).await.expect("in time").expect("the script lives");
    world.kafka.freeze();
    world.inbox.set_script(Script::accept_all());
    assert!(world.inbox.wait_for_count(5, LIMIT).await);

    let began = Instant::now();
    notification_service.stop().await;
    show(&format!("stopped after {:.1?}", began.elapsed()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_of_the_mail_server_that_is_dropped_with_its_partitions_is_not_waited_for() {
    let world = World::start().await;
    let (_user_service, api) = world.ready_user_service("user").await;
    let mut notification_service = world.notification_service("notification");
    notification_service.start_and_wait().await;
    // The first email closes the gate, and the next probe hangs.
    let begun = watch::Sender::new(0);
    let (mut count, counted) = (begun.subscribe(), begun);
    world.inbox.set_script(Script::new(move |step| match step.stage {
        Stage::Mail => {
            counted.send_modify(|count| *count += 1);
            if *counted.borrow() == 1 { Action::Disconnect } else { Action::Hang }
        }
        _ => Action::Accept,
    }));
    let emails = ["ada@example.com", "bob@example.com"].map(str::to_owned);
    let mut registrations = Vec::new();
    for email in emails {
        registrations.push(Registration::accepted(&api, email).await);
        timeout(LIMIT, count.wait_for(|count| *count > 0)).await.expect("in time").expect("the script lives");
    }
    timeout(LIMIT, count.wait_for(|count| *count == 2)).await.expect("in time").expect("the script lives");

    world.kafka.freeze();
    sleep(LONGER_THAN_A_GROUP_SESSION).await;
    world.inbox.set_script(Script::accept_all());
    world.kafka.thaw();
    all_mailed(&registrations, &world.inbox, LIMIT / 2).await;
}

/// Registers 100 people a second at two replicas during these outages. A person who is refused tries the other replica.
async fn survives(outages: &[Outage]) {
    let world = World::start().await;
    let (a, at_a) = world.ready_user_service("a").await;
    let (b, at_b) = world.ready_user_service("b").await;
    let _notification_service = world.ready_notification_service("notification").await;

    let replicas: Arc<[Api]> = [at_a.clone(), at_b].into();
    let load = Registering::begin(100, move |number| {
        let replicas = Arc::clone(&replicas);
        async move { Registration::insist(&replicas, number, format!("person{number}@example.com")).await }
    });
    let mut returns = Vec::new();
    for outage in outages {
        sleep(Duration::from_secs(3)).await;
        returns.push(suffer(&world, *outage, [&a, &b]).await);
    }
    let all_ready = Timestamp::now() + MARGIN;
    sleep(READY_AGAIN).await;
    let registrations = timeout(LIMIT, load.end()).await.expect("everybody is accepted in time");

    for (outage, back) in outages.iter().zip(returns) {
        let accepted =
            registrations.iter().map(|it| it.answered_at).filter(|answered| *answered > back).min();
        let first = between(back, accepted.expect("registrations are accepted again"));
        show(&format!("{outage:?}: first registration accepted {first:.2?} after the broker was back"));
        assert!(first < READY_AGAIN, "{first:?}");
    }
    refused_in_time(&registrations);
    for refusal in registrations.iter().flat_map(|it| &it.refusals) {
        assert!(refusal.sent_at < all_ready, "by a replica that is ready: {refusal:?}");
    }
    all_mailed(&registrations, &world.inbox, LIMIT).await;
    let mut duplicates = 0;
    for registration in &registrations {
        let mails = registration.code_mails(&world.inbox);
        duplicates += mails.len() - 1;
        let answer = at_a.verify(&registration.id, mails[0].code()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    show(&format!("all mailed, all verified; {duplicates} mails came twice"));
}

/// Takes the broker away, brings it back, and waits until both replicas are ready. Returns the time of the broker's return.
async fn suffer(world: &World, outage: Outage, replicas: [&Service; 2]) -> Timestamp {
    match outage {
        Outage::Killed(time) => {
            world.kafka.kill().await;
            sleep(time).await;
            world.kafka.start().await;
        }
        Outage::Frozen(time) => {
            world.kafka.freeze();
            sleep(time).await;
            world.kafka.thaw();
        }
    }
    let back = Timestamp::now();
    tokio::join!(replicas[0].ready(), replicas[1].ready());
    let ready = between(back, Timestamp::now());
    show(&format!("{outage:?}: both replicas ready {ready:.2?} after the broker was back"));
    assert!(ready < READY_AGAIN, "{ready:?}");
    back
}

fn refused_in_time(registrations: &[Registration]) {
    let refusals: Vec<&Answer> = registrations.iter().flat_map(|it| &it.refusals).collect();
    let times: Latencies = refusals.iter().map(|refusal| refusal.latency()).collect();
    show(&format!("{} registrations, {} refusals: {times}", registrations.len(), refusals.len()));
    assert!(times.max() < PUBLISH_TIMEOUT + MARGIN, "a refusal took {:?}", times.max());
}
