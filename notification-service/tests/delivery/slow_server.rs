//! A server may take minutes for a reply (RFC 5321, section 4.5.3.2). That costs sessions, and no duplicates.

use crate::world::{IMPATIENT, World, address, created};
use contract::topic::Topic;
use sandbox::smtp::{Action, Script, Stage, Step};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Longer than the `SMTP_TIMEOUT` of [`IMPATIENT`].
const SLOW: Duration = Duration::from_millis(1200);

/// Whether the step is about the first person's mail.
fn is_first(step: &Step<'_>) -> bool {
    step.argument == address(1) || step.recipients.contains(&address(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_to_the_final_dot_costs_no_copy_and_stops_nobody_else() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::new(|step| match step.stage {
        Stage::EndOfData if is_first(step) => Action::Delay(SLOW),
        _ => Action::Accept,
    }));
    let service = world
        .start(&[&IMPATIENT[..], &[("SMTP_FINAL_TIMEOUT", "20s"), ("SMTP_CONNECTIONS", "2")]].concat())
        .await;
    world.publish(&(1..=9).map(created).collect::<Vec<_>>()).await;
    let others = world.wait_for_mails(8).await;
    assert!(others.iter().all(|mail| mail.recipients != [address(1)]));
    assert_eq!(world.wait_for_mails(9).await.len(), 9);
    world.wait_for_committed(Topic::Created, 9).await;
    let health = service.ready().await;
    assert_eq!((&health["gate"]["open"], &health["records"]["delivered"]), (&true.into(), &9.into()));
    service.stop().await;
    assert_eq!(world.smtp.count(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_before_the_dot_may_take_longer_than_connecting() {
    for stage in [Stage::Connect, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data] {
        let world = World::new(1).await;
        world.smtp.set_script(Script::first(1, stage, Action::Delay(SLOW)));
        let service = world.start(&[&IMPATIENT[..], &[("SMTP_REPLY_TIMEOUT", "20s")]].concat()).await;
        world.publish(&[created(1)]).await;
        world.wait_for_committed(Topic::Created, 1).await;
        assert_eq!((world.smtp.count(), world.smtp.sessions().opened), (1, 1), "{stage:?}");
        assert_eq!(service.ready().await["gate"]["open"], true, "{stage:?}");
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_gets_no_answer_is_handed_on_and_holds_up_nothing() {
    for stage in [Stage::Rcpt, Stage::Data, Stage::EndOfData] {
        let world = World::new(1).await;
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        world.smtp.set_script(Script::new(move |step| {
            if step.stage != stage || !is_first(step) {
                return Action::Accept;
            }
            counted.fetch_add(1, Ordering::Relaxed);
            Action::Hang
        }));
        let bound = [("MAX_UNCOMMITTED", "10"), ("COMMIT_MAX_RECORDS", "5"), ("SMTP_CONNECTIONS", "2")];
        let service = world.start(&[&IMPATIENT[..], &bound].concat()).await;
        world.publish(&(1..=30).map(created).collect::<Vec<_>>()).await;
        service.wait_until(|body| body["records"]["handed_on"].as_u64() > Some(0)).await;
        // The next try, from the retry topic, may have begun already.
        assert!(tries.load(Ordering::Relaxed) <= 2, "it was tried again and again before");
        world.wait_for_committed(Topic::Created, 30).await;
        assert_eq!(world.wait_for_mails(29).await.len(), 29);

        world.smtp.set_script(Script::accept_all());
        assert_eq!(world.wait_for_mails(30).await.len(), 30);
        service.stop().await;
        assert!(world.dead_letters().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_an_answer_within_its_bound_and_hands_the_record_on() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::new(|step| match step.stage {
        Stage::EndOfData if is_first(step) => Action::Hang,
        _ => Action::Accept,
    }));
    let service = world.start(&[("SMTP_FINAL_TIMEOUT", "10m")]).await;
    world.publish(&(1..=9).map(created).collect::<Vec<_>>()).await;
    world.wait_for_mails(8).await;
    service.wait_until(|body| body["records"]["delivered"] == 8).await;
    assert_eq!(world.committed(Topic::Created).await, 0, "the first one is under way");
    service.stop().await;
    assert_eq!(world.committed(Topic::Created).await, 9);

    world.smtp.set_script(Script::accept_all());
    let service = world.start(&[]).await;
    assert_eq!(world.wait_for_mails(9).await.len(), 9);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_and_a_moment_of_refusals_do_not_stop_everybody_else() {
    let world = World::new(2).await;
    let refusing = Arc::new(AtomicBool::new(true));
    let refuses = Arc::clone(&refusing);
    world.smtp.set_script(Script::new(move |step| match step.stage {
        Stage::EndOfData if is_first(step) => Action::Delay(Duration::from_secs(60)),
        Stage::Mail if step.session > 1 && refuses.load(Ordering::Relaxed) => {
            Action::reply(451, "4.3.0 Temporary system problem")
        }
        _ => Action::Accept,
    }));
    let service = world.start(&[("SMTP_FINAL_TIMEOUT", "2m"), ("SMTP_CONNECTIONS", "8")]).await;
    world.publish(&[created(1)]).await;
    while world.smtp.sessions().opened == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.publish(&(2..=9).map(created).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    refusing.store(false, Ordering::Relaxed);
    let repaired = Instant::now();
    assert_eq!(world.wait_for_mails(8).await.len(), 8);
    assert!(repaired.elapsed() < Duration::from_secs(20), "{:?}", repaired.elapsed());
    drop(service);
}
