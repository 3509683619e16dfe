use crate::world::{World, address, created, created_until};
use contract::topic::Topic;
use jiff::{SignedDuration, Timestamp};
use notification_service::{DeadLetters, run_dead_letters};
use sandbox::smtp::{Action, Script};

/// Parses the command as an operator types it.
fn typed(arguments: &[&str]) -> DeadLetters {
    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: DeadLetters,
    }
    <Line as clap::Parser>::parse_from(std::iter::once(&"dead-letters").chain(arguments)).command
}

pub(crate) async fn run(world: &World, arguments: &[&str]) -> String {
    run_dead_letters(typed(arguments), &world.kafka).await.unwrap()
}

/// A world with two dead letters: one with a valid code, one with a code that expires at once.
async fn world_with_dead_letters() -> (World, crate::world::Service) {
    let world = World::new(2).await;
    world.smtp.set_script(Script::new(|step| {
        let refused = [address(1), address(2)].iter().any(|refused| refused == step.argument);
        if refused { Action::reply(550, "5.1.1 no such user") } else { Action::Accept }
    }));
    let service = world.start(&[]).await;
    let soon = Timestamp::now() + SignedDuration::from_secs(2);
    world.publish(&[created(1), created_until(2, soon)]).await;
    world.wait_for_dead_letters(2).await;
    while Timestamp::now() < soon {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    (world, service)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_listed_masked_replayed_once_and_then_mailed() {
    let (world, service) = world_with_dead_letters().await;
    let list = run(&world, &["list"]).await;
    assert!(list.contains("2 unresolved") && list.contains("recipient_refused  550 5.1.1  1 "), "{list}");
    assert!(!list.contains(&address(1)) && list.contains("p***@e***.com"), "{list}");
    assert_eq!(list.matches("expired").count(), 1, "{list}");
    assert!(run(&world, &["list", "--show-addresses"]).await.contains(&address(1)));
    let json = run(&world, &["list", "--json"]).await;
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&first["smtp_status"], &first["smtp_enhanced_status"]), (&550.into(), &"5.1.1".into()));
    assert_eq!(json.lines().count(), 2);

    let dry = run(&world, &["replay", "--all", "--dry-run"]).await;
    assert!(dry.contains("would be replayed") && dry.contains("left out: 1"), "{dry}");
    assert_eq!(world.committed(Topic::MailRetry).await, 0);

    world.smtp.set_script(Script::accept_all());
    let replayed = run(&world, &["replay", "--reason", "recipient_refused"]).await;
    assert!(
        replayed.contains("replayed user_account_created/") && replayed.contains("1 in all"),
        "{replayed}"
    );
    let retries = world.records(Topic::MailRetry).await;
    assert_eq!(
        retries[0].headers["retry_group"], "notification-service",
        "who could not mail it takes it up"
    );
    let again = run(&world, &["replay", "--all"]).await;
    assert!(again.contains("0 in all"), "a second run finds nothing to do: {again}");
    assert_eq!(world.wait_for_mails(1).await[0].recipients, [address(1)]);
    world.wait_for_committed(Topic::MailRetry, 1).await;
    assert!(run(&world, &["list"]).await.contains("1 unresolved"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_letter_that_is_refused_again_is_a_dead_letter_again() {
    let (world, service) = world_with_dead_letters().await;
    let id = run(&world, &["list", "--json"]).await;
    let id = id.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let id =
        id.into_iter().find(|letter| letter["expired"] == false).unwrap()["id"].as_str().unwrap().to_owned();
    run(&world, &["replay", "--id", &id]).await;
    // Two letters, a marker, and the letter that the replay failed to mail.
    world.wait_for_dead_letters(4).await;
    let list = run(&world, &["list"]).await;
    assert!(list.contains("2 unresolved") && list.contains(&id), "{list}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discarded_letters_are_gone_and_unknown_ids_are_an_error() {
    let (world, service) = world_with_dead_letters().await;
    let unknown = run_dead_letters(typed(&["discard", "--id", "nowhere/0/0"]), &world.kafka).await;
    assert!(unknown.unwrap_err().to_string().contains("nowhere/0/0"));
    assert!(run(&world, &["discard", "--all"]).await.contains("2 in all"));
    assert!(run(&world, &["list"]).await.contains("0 unresolved"));
    assert_eq!(world.smtp.count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_whose_value_was_not_kept_can_be_discarded_and_not_replayed() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let large = "x".repeat(70_000);
    let record = rdkafka::producer::FutureRecord::to(Topic::Created.name()).key("k").payload(&large);
    world.producer.send(record, crate::world::DEADLINE).await.unwrap();
    world.wait_for_dead_letters(1).await;
    assert!(run(&world, &["list"]).await.contains("user_account_created/0/0  too_large"));
    let replayed = run(&world, &["replay", "--all"]).await;
    assert!(
        replayed.contains("0 in all") && replayed.contains("left out: 1 whose value was too large"),
        "{replayed}"
    );
    assert!(run(&world, &["discard", "--all"]).await.contains("1 in all"));
    assert!(run(&world, &["list"]).await.contains("0 unresolved"));
    service.stop().await;
    assert_eq!(world.committed(Topic::MailRetry).await, 0);
}
