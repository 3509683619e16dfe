use crate::world::{DEADLINE, World, address, asked, created};
use contract::{event::Mailing, topic::Topic};
use sandbox::smtp::{Action, Script, Stage};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_behind_a_delivery_that_is_under_way_are_not_committed() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::recipient(&address(3), Action::Hang));
    let service = world.start(&[]).await;
    world.publish(&(1..=9).map(created).collect::<Vec<_>>()).await;
    world.wait_for_mails(8).await;
    world.wait_for_committed(Topic::Created, 2).await;
    let health = service.wait_until(|body| body["records"]["delivered"] == 8).await;
    assert_eq!(health["records"]["in_flight"], 1);
    assert_eq!(world.committed(Topic::Created).await, 2);

    world.smtp.set_script(Script::accept_all());
    world.wait_for_mails(9).await;
    world.wait_for_committed(Topic::Created, 9).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_the_configured_number_is_finished_but_uncommitted_and_the_rest_goes_on_afterwards() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::recipient(&address(0), Action::Hang));
    let service = world.start(&at_most_ten_uncommitted("20s")).await;
    world.publish(&(0..50).map(created).collect::<Vec<_>>()).await;
    world.wait_for_mails(9).await;
    // The server has accepted the ninth mail before the service has read its reply.
    service.wait_until(|body| body["records"]["delivered"] == 9).await;
    assert_eq!(world.smtp.count(), 9);

    world.smtp.set_script(Script::accept_all());
    world.wait_for_mails(50).await;
    world.wait_for_committed(Topic::Created, 50).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_holds_while_nothing_can_be_committed() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::at(Stage::Connect, Action::Hang));
    let service = world.start(&at_most_ten_uncommitted("20s")).await;
    world.publish(&(0..50).map(created).collect::<Vec<_>>()).await;
    service.wait_until(|body| body["records"]["in_flight"] == 50).await;

    let World { broker, smtp, .. } = world;
    broker.stop().await;
    smtp.set_script(Script::accept_all());
    assert!(smtp.wait_for_count(10, DEADLINE).await);
    // Without the limit the other forty would follow within milliseconds.
    assert!(!smtp.wait_for_count(11, Duration::from_secs(1)).await);
    assert_eq!(service.ready().await["records"]["delivered"], 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_ask_for_no_mail_do_not_count_towards_the_bound() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::at(Stage::Connect, Action::Hang));
    let service = world.start(&at_most_ten_uncommitted("1s")).await;
    let mut events = vec![created(0)];
    events.extend((1..=20).map(|number| asked(Mailing::Nothing, number)));
    world.publish(&events).await;
    service.wait_until(|body| body["records"]["ignored"] == 20).await;

    // The first mail has failed, and twenty finished records stand behind it.
    service.wait_until(|body| body["gate"]["open"] == false).await;
    world.smtp.set_script(Script::accept_all());
    world.wait_for_mails(1).await;
    world.wait_for_committed(Topic::Created, 21).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_events_use_several_sessions_and_no_more_than_configured() {
    let world = World::new(2).await;
    world.smtp.set_script(Script::at(Stage::EndOfData, Action::Delay(Duration::from_millis(20))));
    let service = world.start(&[("SMTP_CONNECTIONS", "5")]).await;
    world.publish(&(0..100).map(created).collect::<Vec<_>>()).await;
    world.wait_for_mails(100).await;
    world.wait_for_committed(Topic::Created, 100).await;
    let sessions = world.smtp.sessions();
    assert_eq!((sessions.opened, sessions.peak), (5, 5));
    service.stop().await;
    assert_eq!(world.smtp.sessions().open, 0);
}

fn at_most_ten_uncommitted(reply_timeout: &str) -> [(&str, &str); 4] {
    [
        ("SMTP_REPLY_TIMEOUT", reply_timeout),
        ("SMTP_CONNECTIONS", "2"),
        ("COMMIT_MAX_RECORDS", "5"),
        ("MAX_UNCOMMITTED", "10"),
    ]
}
