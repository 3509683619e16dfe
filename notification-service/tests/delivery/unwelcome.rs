use crate::{
    dead_letters::run,
    world::{World, created, created_to, distinct_ids},
};
use contract::topic::Topic;
use jiff::Timestamp;
use sandbox::smtp::{Action, Script, Stage};
use std::time::{Duration, Instant};

/// Refuses every recipient for good without a reason, except those whose address begins with `served`.
fn serves_only(served: &'static str, refusal: &'static str) -> Script {
    Script::new(move |step| match step.stage {
        Stage::Rcpt if !step.argument.starts_with(served) => Action::reply(550, refusal),
        _ => Action::Accept,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_thinks_of_us_is_no_fault_of_the_recipients() {
    let refusals = [
        (Stage::Rcpt, 554, "5.7.1 <u@example.com>: Relay access denied"),
        (Stage::Rcpt, 504, "5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"),
        (Stage::Rcpt, 553, "5.7.1 <no-reply@example.com>: Sender address rejected: not owned by user app"),
        (Stage::Rcpt, 454, "4.7.1 <u@example.com>: Relay access denied"),
        (Stage::Rcpt, 550, "relay not permitted"),
        (Stage::Rcpt, 530, "5.5.1 Invalid command: Must issue an AUTH command first"),
        (Stage::EndOfData, 550, "5.7.60 Client does not have permissions to send as this sender"),
    ];
    let world = World::new(2).await;
    let service = world.start(&[("SMTP_CONNECTIONS", "16")]).await;
    for (round, (stage, code, text)) in (0_u8..).zip(refusals) {
        world.smtp.set_script(Script::at(stage, Action::reply(code, text)));
        world.publish(&(0..15).map(|number| created(15 * round + number)).collect::<Vec<_>>()).await;
        let health = service.wait_until(|body| body["gate"]["open"] == false).await;
        let reason = health["gate"]["closed_by"].as_str().unwrap();
        assert!(reason.contains(&code.to_string()), "{reason}");
        assert!(!reason.contains('@'), "{reason}");
        // Some probes later nothing has changed.
        service.wait_until(|body| body["records"]["in_flight"] == 15).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(service.ready().await["gate"]["open"], false);

        world.smtp.set_script(Script::accept_all());
        let repaired = Instant::now();
        let expected = 15 * (usize::from(round) + 1);
        assert_eq!(world.wait_for_mails(expected).await.len(), expected, "{text}");
        assert!(repaired.elapsed() < Duration::from_secs(5), "{text}: {:?}", repaired.elapsed());
    }
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
    assert_eq!(world.committed(Topic::MailRetry).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_without_a_reason_close_the_gate_and_their_dead_letters_can_be_replayed() {
    let world = World::new(2).await;
    world.smtp.set_script(serves_only("nobody", "I cannot deliver mail for <u@example.com>"));
    let service = world.start(&[("SMTP_CONNECTIONS", "2")]).await;
    let since = Timestamp::now();
    world.publish(&(0..40).map(created).collect::<Vec<_>>()).await;
    let health = service.wait_until(|body| body["gate"]["open"] == false).await;
    let reason = health["gate"]["closed_by"].as_str().unwrap();
    assert_eq!(reason, "refused many recipients in a row, the last with reply 550");
    // Five in a row, and three in flight. Refused probes make no further dead letters.
    let letters = service.wait_until(|body| body["records"]["handed_on"].as_u64() >= Some(2)).await;
    let letters = letters["records"]["dead_lettered"].as_u64().unwrap();
    assert!((5..=8).contains(&letters), "{letters} dead letters");

    world.smtp.set_script(Script::accept_all());
    let others = 40 - usize::try_from(letters).unwrap();
    world.wait_for_mails(others).await;
    let replayed =
        run(&world, &["replay", "--reason", "recipient_refused", "--since", &since.to_string()]).await;
    assert!(replayed.contains(&format!("{letters} in all")), "{replayed}");
    assert_eq!(world.wait_for_mails(40).await.len(), 40);
    let later = run(&world, &["replay", "--all", "--since", &Timestamp::now().to_string()]).await;
    assert!(later.contains("0 in all"), "{later}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_registers_made_up_addresses_holds_up_nobody_for_long() {
    let world = World::new(1).await;
    world.smtp.set_script(serves_only("ada", "no such user"));
    let service = world.start(&[]).await;
    let made_up = |number: u8| created_to(number, &format!("x{number}@example.org"));
    world.publish(&(0..10).map(made_up).collect::<Vec<_>>()).await;
    service.wait_until(|body| body["gate"]["open"] == false).await;
    // More of them wait when a real person registers.
    world.publish(&(10..60).map(made_up).collect::<Vec<_>>()).await;
    service.wait_until(|body| body["records"]["in_flight"].as_u64() >= Some(40)).await;
    let started = Instant::now();
    world.publish(&[created_to(60, "ada@example.com")]).await;
    world.wait_for_mails(1).await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_are_clearly_wrong_never_close_the_gate() {
    let world = World::new(1).await;
    world.smtp.set_script(serves_only("ada", "5.1.1 User unknown"));
    let service = world.start(&[]).await;
    world.publish(&(0..40).map(created).collect::<Vec<_>>()).await;
    let health = service.wait_until(|body| body["records"]["dead_lettered"] == 40).await;
    assert_eq!(health["gate"]["open"], true);
    let metrics = service.metrics().await;
    assert!(
        metrics.contains("notification_smtp_refusals_total{about=\"recipient\",server=\"1\"} 40\n"),
        "{metrics}"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_the_server_does_not_relay_to_holds_up_nobody_and_is_no_dead_letter() {
    const ELSEWHERE: &str = "eve@elsewhere.example";
    let world = World::new(1).await;
    world.smtp.set_script(Script::recipient(ELSEWHERE, Action::reply(554, "5.7.1 Relay access denied")));
    let service = world.start(&[("SMTP_CONNECTIONS", "2")]).await;
    world.publish(&[created_to(0, ELSEWHERE)]).await;
    service.wait_until(|body| body["gate"]["open"] == false).await;
    let started = Instant::now();
    world.publish(&(1..=20).map(created).collect::<Vec<_>>()).await;
    let mails = world.wait_for_mails(20).await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(distinct_ids(&mails), 20);
    // Each accepted mail opens the gate and gives this record another try, three at most. Then it waits in the retry topic.
    for number in 21..=24 {
        world.publish(&[created(number)]).await;
        world.wait_for_mails(number.into()).await;
    }
    // From there it comes back and is refused, and the gate stays open.
    let health = service.wait_until(|body| body["records"]["handed_on"].as_u64() >= Some(2)).await;
    assert_eq!(health["gate"]["open"], true);
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
}
