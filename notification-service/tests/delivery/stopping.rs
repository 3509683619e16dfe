use crate::world::{World, created};
use contract::topic::Topic;
use jiff::{SignedDuration, Timestamp};
use sandbox::smtp::{Action, Script, Stage};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graceful_restarts_mail_nothing_twice_and_lose_nothing() {
    let world = World::new(3).await;
    world.smtp.set_script(Script::at(Stage::EndOfData, Action::Delay(Duration::from_millis(10))));
    world.publish(&(0..200).map(created).collect::<Vec<_>>()).await;
    for part in 1..=3 {
        let service = world.start(&[("SMTP_CONNECTIONS", "4")]).await;
        world.wait_for_mails(part * 40).await;
        service.stop().await;
        let mails = i64::try_from(world.smtp.count()).unwrap();
        // A record that waited in front of finished ones may have gone to the retry topic: committed here, mailed later.
        let committed = world.committed(Topic::Created).await;
        assert!(committed >= mails, "{mails} were mailed, {committed} are committed");
    }
    let service = world.start(&[]).await;
    assert_eq!(world.wait_for_mails(200).await.len(), 200);
    world.wait_for_committed(Topic::Created, 200).await;
    service.stop().await;
    assert_eq!(world.smtp.count(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_share_the_work_and_one_that_leaves_makes_no_duplicates() {
    let world = World::new(4).await;
    // Slow until both have joined, so that records are left to share; faster than SMTP_FINAL_TIMEOUT.
    let both_joined = Arc::new(AtomicBool::new(false));
    let joined = Arc::clone(&both_joined);
    world.smtp.set_script(Script::new(move |step| match step.stage {
        Stage::EndOfData if joined.load(Ordering::Relaxed) => Action::Delay(Duration::from_millis(10)),
        Stage::EndOfData => Action::Delay(Duration::from_millis(250)),
        _ => Action::Accept,
    }));
    let staying = world.start(&[("SMTP_CONNECTIONS", "2")]).await;
    staying.wait_until(|body| body["joined"] == true).await;
    world.publish(&(0..=254).map(created).collect::<Vec<_>>()).await;
    let leaving = world.start(&[("SMTP_CONNECTIONS", "2")]).await;
    leaving.wait_until(|body| body["joined"] == true).await;
    both_joined.store(true, Ordering::Relaxed);
    leaving.wait_until(|body| body["records"]["delivered"].as_u64() > Some(5)).await;
    leaving.stop().await;
    assert_eq!(world.wait_for_mails(255).await.len(), 255);
    world.wait_for_committed(Topic::Created, 255).await;
    staying.stop().await;
    assert_eq!(world.smtp.count(), 255);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_broker_and_mail_server_starts_answers_and_stops() {
    let world = World::new(1).await;
    let changes = [("KAFKA_BROKERS", "127.0.0.1:1"), ("SMTP_PORT", "1")];
    let service = world.start(&changes).await;
    let health = service.ready().await;
    assert_eq!((&health["http_status"], &health["joined"]), (&503.into(), &false.into()));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_waits_for_its_next_try_costs_no_duplicates_of_those_behind_it_at_a_stop() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    for (number, wait) in [(1, 60), (2, 0), (3, 0)] {
        world.publish_retry(&created(number), Timestamp::now() + SignedDuration::from_secs(wait)).await;
    }
    world.wait_for_mails(2).await;
    assert_eq!(world.committed(Topic::MailRetry).await, 0, "the first one still waits");
    service.stop().await;
    assert_eq!(world.committed(Topic::MailRetry).await, 3, "it waits behind the others now");

    let service = world.start(&[]).await;
    service.wait_until(|body| body["records"]["taken"] == 1).await;
    service.stop().await;
    assert_eq!(world.smtp.count(), 2);
    assert_eq!(world.committed(Topic::MailRetry).await, 3);
}
