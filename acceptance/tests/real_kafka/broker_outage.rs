//! The broker dies and comes back under load.

use acceptance::{
    api::Answer,
    latency::Latencies,
    ledger::{Registration, all_mailed},
    load::open_loop,
    world::{World, show},
};
use reqwest::StatusCode;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;

const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// For the way through a busy machine.
const MARGIN: Duration = Duration::from_secs(1);
const READY_AGAIN: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_while_the_broker_is_away_is_accepted_later_and_mailed_with_one_code() {
    let world = Arc::new(World::start().await);
    let (a, at_a) = world.ready_user_service("a").await;
    let (b, at_b) = world.ready_user_service("b").await;
    let _notification_service = world.ready_notification_service("notification").await;
    let replicas: Arc<[_]> = [at_a.clone(), at_b].into();

    let over = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            let more = |_| !over.load(Ordering::Relaxed);
            let begin = |number| {
                let replicas = Arc::clone(&replicas);
                async move { Registration::insist(&replicas, number, format!("person{number}@example.com")).await }
            };
            open_loop(100, more, begin).await
        }
    });
    // Once back at once, once only after requests have run out of time.
    for away in [Duration::ZERO, 2 * PUBLISH_TIMEOUT] {
        sleep(Duration::from_secs(3)).await;
        world.kafka.kill().await;
        sleep(away).await;
        world.kafka.start().await;
        let back = Instant::now();
        tokio::join!(a.ready(), b.ready());
        let ready = back.elapsed();
        show(&format!("both replicas ready {ready:.2?} after the broker was back"));
        assert!(ready < READY_AGAIN, "{ready:?}");
    }
    sleep(Duration::from_secs(3)).await;
    over.store(true, Ordering::Relaxed);
    let registrations = load.await.expect("the load ends");

    let refusals: Vec<&Answer> = registrations.iter().flat_map(|it| &it.refusals).collect();
    let times: Latencies = refusals.iter().map(|refusal| refusal.latency()).collect();
    show(&format!("{} registrations, {} refusals: {times}", registrations.len(), refusals.len()));
    assert!(times.max() < PUBLISH_TIMEOUT + MARGIN, "a refusal took {:?}", times.max());

    all_mailed(&registrations, &world.inbox, LIMIT).await;
    let mut copies = 0;
    for registration in &registrations {
        let mails = registration.code_mails(&world.inbox);
        copies += mails.len() - 1;
        let answer = at_a.verify(&registration.id, mails[0].code()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    show(&format!("all mailed, all verified; {copies} mails more than once"));
}
