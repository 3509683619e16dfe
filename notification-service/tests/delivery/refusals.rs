use crate::world::{DEADLINE, World, address, created, created_until};
use contract::topic::Topic;
use jiff::{SignedDuration, Timestamp};
use rdkafka::producer::FutureRecord;
use runtime::kafka::owned_headers;
use sandbox::smtp::{Action, Script, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_that_is_refused_for_good_is_one_dead_letter_and_holds_up_nobody() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::recipient(
        &address(2),
        Action::reply(550, "5.1.1 no such user person2@example.com"),
    ));
    let service = world.start(&[]).await;
    let refused = created(2);
    world.publish(&[created(1), refused.clone(), created(3)]).await;
    world.wait_for_committed(Topic::Created, 3).await;
    world.wait_for_mails(2).await;
    let letters = world.wait_for_dead_letters(1).await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(letter.payload, refused.encode().unwrap().payload, "the bytes are untouched");
    let header = |name: &str| letter.headers[name].as_str();
    assert_eq!(header("ce_type"), "user_account_created");
    assert_eq!(header("dead_letter_reason"), "recipient_refused");
    assert_eq!(header("dead_letter_smtp_status"), "550");
    assert_eq!(header("dead_letter_smtp_enhanced_status"), "5.1.1");
    assert_eq!(header("dead_letter_attempts"), "1");
    assert_eq!(header("dead_letter_source_topic"), "user_account_created");
    assert_eq!(header("dead_letter_source_offset"), "1");
    assert!(!letter.headers.values().any(|value| value.contains('@')), "{letter:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_no_event_is_a_dead_letter_and_the_next_one_is_mailed() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let with_type: &[_] = &[("ce_type", "user_account_created")];
    let large = "x".repeat(64 * 1024);
    for (payload, headers) in [("\u{0}garbage", with_type), ("{}", &[]), (&large, &[])] {
        let record =
            FutureRecord::to(Topic::Created.name()).key("k").payload(payload).headers(owned_headers(headers));
        world.producer.send(record, DEADLINE).await.unwrap();
    }
    world.publish(&[created(1)]).await;
    world.wait_for_committed(Topic::Created, 4).await;
    world.wait_for_mails(1).await;
    let letters = world.wait_for_dead_letters(3).await;
    for payload in [b"\0garbage", large.as_bytes()] {
        assert_eq!(letters.iter().filter(|letter| letter.payload == payload).count(), 1);
    }
    assert!(letters.iter().all(|letter| letter.headers["dead_letter_reason"] == "undecodable"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_temporary_refusal_is_tried_again_while_the_others_go_on() {
    let world = World::new(1).await;
    let seen = std::sync::atomic::AtomicUsize::new(0);
    world.smtp.set_script(Script::new(move |step| {
        let refused = step.stage == Stage::Rcpt
            && step.argument == address(1)
            && seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2;
        if refused { Action::reply(451, "greylisted") } else { Action::Accept }
    }));
    let service = world.start(&[]).await;
    world.publish(&[created(1), created(2), created(3)]).await;
    world.wait_for_committed(Topic::Created, 3).await;
    let mails = world.wait_for_mails(3).await;
    assert_eq!(mails[2].recipients, [address(1)], "it comes last");
    world.wait_for_committed(Topic::MailRetry, 2).await;
    let health = service.wait_until(|body| body["records"]["in_flight"] == 0).await;
    assert_eq!(health["records"]["handed_on"], 2);
    assert_eq!(health["gate"]["open"], true);
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_never_ends_expires_or_becomes_a_dead_letter_with_the_code() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::new(|step| match (step.stage, step.recipients.first()) {
        (Stage::Rcpt, _) if step.argument == address(1) => Action::reply(452, "mailbox full"),
        (Stage::EndOfData, _) => Action::reply(554, "spam"),
        _ => Action::Accept,
    }));
    let service = world.start(&[]).await;
    let soon = || Timestamp::now() + SignedDuration::from_secs(4);
    world.publish(&[created_until(1, soon())]).await;
    service.wait_until(|body| body["records"]["expired"] == 1).await;
    // On a busy machine the last try may come too late. Then that mail has expired, and the next one shows it.
    for number in 2..=6 {
        world.publish(&[created_until(number, soon())]).await;
        let ended = u64::from(number);
        let count = |body: &serde_json::Value, of: &str| body["records"][of].as_u64().unwrap();
        let health =
            service.wait_until(|body| count(body, "expired") + count(body, "dead_lettered") == ended).await;
        if count(&health, "dead_lettered") == 1 {
            break;
        }
    }
    let letters = world.wait_for_dead_letters(1).await;
    assert_eq!(letters[0].headers["dead_letter_reason"], "content_refused");
    assert!(!letters[0].headers.contains_key("dead_letter_smtp_enhanced_status"), "the reply has none");
    assert!(letters[0].headers["dead_letter_source"].starts_with("user_account_created/0/"));
    assert!(letters[0].headers["dead_letter_attempts"].parse::<u32>().unwrap() >= 2);
    assert_eq!(service.ready().await["records"]["in_flight"], 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_newer_version_or_with_an_unknown_key_waits_for_a_service_that_knows_it() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let encoded = created(1).encode().unwrap();
    let text = String::from_utf8(encoded.payload).unwrap();
    for (key, payload) in [
        ("a", text.replace("\"version\":2", "\"version\":3")),
        ("b", text.replace("\"key\":\"k1\"", "\"key\":\"k2\"")),
    ] {
        let record = FutureRecord::to(Topic::Created.name())
            .key(key)
            .payload(&payload)
            .headers(owned_headers(&encoded.headers));
        world.producer.send(record, DEADLINE).await.unwrap();
    }
    world.wait_for_committed(Topic::Created, 2).await;
    service.wait_until(|body| body["records"]["handed_on"].as_u64() >= Some(2)).await;
    service.stop().await;
    assert_eq!(world.smtp.count(), 0);
    assert!(world.dead_letters().await.is_empty());
}
