use crate::world::{DEADLINE, IMPATIENT, World, created, created_to, created_until, distinct_ids};
use contract::topic::Topic;
use jiff::{SignedDuration, Timestamp};
use sandbox::smtp::{Action, Script, Stage};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_wait_for_a_mail_server_that_is_away_at_the_start() {
    let world = World::new(2).await;
    world.smtp.stop().await;
    let service = world.start(&[]).await;
    world.publish(&(1..=20).map(created).collect::<Vec<_>>()).await;
    let closed = service.wait_until(|body| body["gate"]["open"] == false).await;
    assert_eq!(closed["http_status"], 200, "a mail server that is away is no reason to restart this service");
    assert_eq!(world.committed(Topic::Created).await, 0);

    world.smtp.restart().await.unwrap();
    assert_eq!(world.wait_for_mails(20).await.len(), 20);
    world.wait_for_committed(Topic::Created, 20).await;
    service.wait_until(|body| body["gate"]["open"] == true).await;
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
    assert_eq!(world.committed(Topic::MailRetry).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_in_any_phase_loses_nothing_and_makes_no_dead_letters() {
    let faults = [
        (Stage::Connect, Action::reply(421, "too busy")),
        (Stage::Connect, Action::Hang),
        (Stage::Ehlo, Action::Disconnect),
        (Stage::Mail, Action::reply(550, "sender not welcome")),
        (Stage::Mail, Action::Hang),
        (Stage::Rcpt, Action::reply(421, "going down")),
        (Stage::Rcpt, Action::Disconnect),
        (Stage::EndOfData, Action::Disconnect),
    ];
    let world = World::new(2).await;
    let service = world.start(&[&IMPATIENT[..], &[("SMTP_CONNECTIONS", "4")]].concat()).await;
    for (round, (stage, fault)) in (0_u8..).zip(faults) {
        // A restart ends the sessions of the last round, so that each phase is reached again.
        world.smtp.stop().await;
        world.smtp.set_script(Script::at(stage, fault.clone()));
        world.smtp.restart().await.unwrap();
        world.publish(&(0..5).map(|n| created(10 * round + n)).collect::<Vec<_>>()).await;
        let gate = service.wait_until(|body| body["gate"]["open"] == false).await;
        assert!(gate["gate"]["closed_by"].is_string(), "{stage:?} {fault:?}: {gate}");
        world.smtp.set_script(Script::accept_all());
        let expected = 5 * (usize::from(round) + 1);
        assert_eq!(world.wait_for_mails(expected).await.len(), expected, "{stage:?} {fault:?}");
        world.wait_for_committed(Topic::Created, expected.try_into().unwrap()).await;
    }
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
    assert_eq!(world.committed(Topic::MailRetry).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_after_the_final_dot_costs_a_copy_and_no_mail() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::first(1, Stage::EndOfData, Action::AcceptThenDisconnect));
    let service = world.start(&[]).await;
    world.publish(&[created(1), created(2), created(3)]).await;
    world.wait_for_committed(Topic::Created, 3).await;
    let mails = world.smtp.mails();
    assert_eq!((mails.len(), distinct_ids(&mails)), (4, 3), "the copy has the same Message-ID");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_server_closed_while_it_was_idle_is_no_failure() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    world.publish(&[created(1)]).await;
    world.wait_for_committed(Topic::Created, 1).await;
    world.smtp.stop().await;
    world.smtp.restart().await.unwrap();
    world.publish(&[created(2)]).await;
    world.wait_for_mails(2).await;
    let health = service.ready().await;
    assert_eq!(health["gate"]["open"], true);
    assert_eq!(world.smtp.sessions().opened, 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_expires_during_an_outage_is_not_mailed_afterwards() {
    let world = World::new(1).await;
    world.smtp.stop().await;
    let service = world.start(&[]).await;
    world.publish(&[created_until(1, Timestamp::now() + SignedDuration::from_secs(1)), created(2)]).await;
    service.wait_until(|body| body["gate"]["open"] == false).await;
    tokio::time::timeout(DEADLINE, tokio::time::sleep(Duration::from_secs(1))).await.unwrap();
    world.smtp.restart().await.unwrap();
    world.wait_for_committed(Topic::Created, 2).await;
    assert_eq!(world.wait_for_mails(1).await.len(), 1);
    service.wait_until(|body| body["records"]["expired"] == 1).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_refusals_in_a_row_close_the_gate_instead_of_emptying_the_backlog() {
    let world = World::new(2).await;
    world.smtp.set_script(Script::at(Stage::EndOfData, Action::reply(554, "we don't like you")));
    let service = world.start(&[("SMTP_CONNECTIONS", "2")]).await;
    world.publish(&(0..100).map(created).collect::<Vec<_>>()).await;
    service.wait_until(|body| body["gate"]["open"] == false).await;
    let handed_on = service.ready().await["records"]["handed_on"].as_u64().unwrap();
    assert!(handed_on < 30, "{handed_on} of 100 were handed on");
    world.smtp.set_script(Script::accept_all());
    assert_eq!(world.wait_for_mails(100).await.len(), 100);
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_that_are_refused_again_and_again_neither_close_the_gate_nor_keep_it_closed() {
    const FULL: &str = "full@example.com";
    let server = |content: Action| {
        Script::new(move |step| match step.stage {
            Stage::Rcpt if step.argument == FULL => Action::reply(452, "mailbox full"),
            Stage::EndOfData => content.clone(),
            _ => Action::Accept,
        })
    };
    let world = World::new(2).await;
    world.smtp.set_script(server(Action::Accept));
    let service = world.start(&[("SMTP_CONNECTIONS", "2")]).await;
    let again_and_again: Vec<_> = (0..30).map(|number| created_to(number, FULL)).collect();
    for event in &again_and_again {
        world.publish_retry(event, Timestamp::now()).await;
    }
    let health = service.wait_until(|body| body["records"]["handed_on"].as_u64() >= Some(30)).await;
    assert_eq!(health["gate"]["open"], true);

    world.smtp.set_script(server(Action::reply(554, "we don't like you")));
    world.publish(&(100..120).map(created).collect::<Vec<_>>()).await;
    service.wait_until(|body| body["gate"]["open"] == false).await;
    for event in &again_and_again {
        world.publish_retry(event, Timestamp::now()).await;
    }
    world.smtp.set_script(server(Action::Accept));
    assert_eq!(world.wait_for_mails(20).await.len(), 20);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_on_which_the_server_always_fails_holds_nothing_up_at_the_bound_on_uncommitted_ones() {
    const POISON: &str = "poison@example.com";
    let world = World::new(1).await;
    world.smtp.set_script(Script::recipient(POISON, Action::Disconnect));
    let changes = [("MAX_UNCOMMITTED", "1"), ("COMMIT_MAX_RECORDS", "1"), ("SMTP_CONNECTIONS", "1")];
    let service = world.start(&changes).await;
    let poison = [created_to(0, POISON)];
    world.publish(&poison.into_iter().chain((1..=9).map(created)).collect::<Vec<_>>()).await;
    assert_eq!(world.wait_for_mails(9).await.len(), 9);
    world.wait_for_committed(Topic::Created, 10).await;
    service.stop().await;
}
