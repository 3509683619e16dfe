//! Records that no user service wrote: each becomes a dead letter or is passed over, and the mails go on.

use crate::{
    dead_letters,
    world::{DEADLINE, World, address, asked, attempt, code_of, created, registered, token_of, verified},
};
use contract::{
    event::{Event, Mailing, Registered},
    topic::Topic,
};
use jiff::{SignedDuration, Timestamp};
use rdkafka::producer::FutureRecord;
use runtime::kafka::owned_headers;
use sandbox::{
    raw,
    smtp::{Action, Script},
};
use std::{sync::Mutex, time::Duration};

async fn write(world: &World, topic: Topic, pairs: &[(&str, &str)], value: &[u8], written_at: Timestamp) {
    let record = FutureRecord::to(topic.name())
        .key("k")
        .payload(value)
        .headers(owned_headers(pairs))
        .timestamp(written_at.as_millisecond());
    world.producer.send(record, DEADLINE).await.unwrap();
}

/// The warnings of all services of this process.
fn log_lines() -> &'static Mutex<Vec<String>> {
    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    struct Kept;
    impl log::Log for Kept {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.level() <= log::Level::Warn
        }

        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                let topic = record.key_values().get("kafka.topic".into());
                LINES.lock().unwrap().push(format!("{topic:?} {}", record.args()));
            }
        }

        fn flush(&self) {}
    }
    log::set_boxed_logger(Box::new(Kept)).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    &LINES
}

fn value(event: &Event) -> String {
    String::from_utf8(event.encode().unwrap().payload).unwrap()
}

/// Waits until the topic has had no new record for a while. Returns the number of its records.
async fn records_of(world: &World, topic: Topic) -> usize {
    let mut known = world.records(topic).await.len();
    loop {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let now = world.records(topic).await.len();
        if now == known {
            return known;
        }
        known = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_in_the_topic_of_another_is_a_dead_letter() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let now = Timestamp::now();
    for (topic, event) in [
        (Topic::Created, verified(1, now)),
        (Topic::Verified, created(2)),
        (Topic::MailRetry, attempt(3)),
        (Topic::MailRetry, asked(Mailing::Nothing, 4)),
        (Topic::Created, attempt(6)),
    ] {
        write(&world, topic, &[("ce_type", event.kind().name())], value(&event).as_bytes(), now).await;
    }
    world.publish(&[created(5)]).await;
    let letters = world.wait_for_dead_letters(5).await;
    assert!(
        letters.iter().all(|letter| letter.headers["dead_letter_reason"] == "undecodable"),
        "{letters:?}"
    );
    world.wait_for_committed(Topic::MailRetry, 2).await;
    assert_eq!(world.wait_for_mails(1).await[0].recipients, [address(5)]);
    service.stop().await;
    assert_eq!(world.smtp.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_is_a_dead_letter_without_its_value_and_stops_nobody() {
    let world = World::new(1).await;
    let service = world.start(&[("SMTP_CONNECTIONS", "1"), ("COMMIT_MAX_RECORDS", "1")]).await;
    let now = Timestamp::now();
    let large = "x".repeat(2_097_000);
    for _ in 0..3 {
        write(&world, Topic::MailRetry, &[], large.as_bytes(), now).await;
    }
    // A valid event, plus a field that a reader ignores.
    let padded = value(&created(1)).replacen('{', &format!("{{\"padding\":\"{}\",", "y".repeat(70_000)), 1);
    write(&world, Topic::Created, &[("ce_type", "user_account_created")], padded.as_bytes(), now).await;
    let wide = "z".repeat(1_000_000);
    write(&world, Topic::Created, &[("ce_type", "user_account_created"), ("h", &wide)], b"{}", now).await;
    world.publish(&[created(2)]).await;
    assert_eq!(world.wait_for_mails(1).await[0].recipients, [address(2)]);
    let letters = world.wait_for_dead_letters(5).await;
    for letter in &letters {
        assert_eq!(letter.headers["dead_letter_reason"], "too_large");
        assert!(letter.payload.is_empty());
    }
    let of =
        |source: &str| letters.iter().find(|letter| letter.headers["dead_letter_source"] == source).unwrap();
    let letter = of("user_account_mail_retry/0/1");
    assert_eq!(letter.headers["dead_letter_value_octets"], "2097000");
    // printf 'x%.0s' {1..2097000} | sha256sum
    assert_eq!(letter.headers["dead_letter_value_sha256"], DIGEST);
    assert_eq!(of("user_account_created/0/0").headers["ce_type"], "user_account_created");
    assert_eq!(of("user_account_created/0/1").headers["dead_letter_value_octets"], "2");
    assert!(!of("user_account_created/0/1").headers.contains_key("h"));
    world.wait_for_committed(Topic::MailRetry, 3).await;
    service.stop().await;
}

const DIGEST: &str = "2840114afbe5dfae3218e793a82100d7f8f0494d35fb34f1e317db8419cc47ac";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_an_unknown_type_is_not_tried_beyond_its_day_whatever_time_it_names() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let far = "9999-12-30T22:00:00.000Z";
    let then = Timestamp::now() - SignedDuration::from_hours(25);
    let retried = [
        ("ce_type", "newer"),
        ("ce_time", far),
        ("retry_not_before", far),
        ("retry_attempt", "1"),
        ("retry_source", "user_account_created/0/0"),
        ("retry_first_failure", far),
    ];
    // Its wait ended two minutes after it was written.
    write(&world, Topic::MailRetry, &retried, b"{}", then).await;
    let letters = world.wait_for_dead_letters(1).await;
    assert_eq!(letters[0].headers["dead_letter_reason"], "unknown_version");
    // A record that was just written waits. Its day begins at the broker's time.
    write(&world, Topic::Created, &[("ce_type", "newer"), ("ce_time", far)], b"{}", then).await;
    service.wait_until(|body| body["records"]["handed_on"] == 1).await;
    let handed_on = world.records(Topic::MailRetry).await;
    let failed: Timestamp = handed_on[1].headers["retry_first_failure"].parse().unwrap();
    assert!(failed > then && failed <= Timestamp::now(), "{failed}");
    service.stop().await;
    assert_eq!(world.dead_letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_of_another_group_are_passed_over_and_those_of_none_are_taken() {
    let world = World::new(1).await;
    world.smtp.set_script(Script::recipient(&address(3), Action::reply(451, "later")));
    let service = world.start(&[]).await;
    let now = Timestamp::now();
    let pairs = |group| {
        vec![
            ("ce_type", "user_account_created"),
            ("retry_not_before", "2026-11-21T10:00:00.123Z"),
            ("retry_attempt", "1"),
            ("retry_source", "user_account_created/0/7"),
            ("retry_first_failure", "2026-11-21T10:00:00.123Z"),
            ("retry_group", group),
        ]
    };
    write(&world, Topic::MailRetry, &pairs("another"), value(&created(1)).as_bytes(), now).await;
    write(&world, Topic::MailRetry, &pairs("notification-service"), value(&created(2)).as_bytes(), now).await;
    world.publish(&[created(3)]).await;
    world.publish_retry(&created(4), now).await;
    let mails = world.wait_for_mails(2).await;
    assert!(!mails.iter().any(|mail| mail.recipients == [address(1)]));
    let is_handed_on = |records: &serde_json::Value| records["handed_on"].as_u64() >= Some(1);
    let health =
        service.wait_until(|body| body["records"]["delivered"] == 2 && is_handed_on(&body["records"])).await;
    // What was taken is delivered, handed on, or the retry that waits. The record of the other group is none of these.
    assert!(
        health["records"]["in_flight"].as_u64() <= Some(1) && health["records"]["ignored"] == 0,
        "{health}"
    );
    let handed_on = world.records(Topic::MailRetry).await;
    let groups: Vec<_> =
        handed_on.iter().map(|record| record.headers.get("retry_group").map(String::as_str)).collect();
    assert_eq!(groups[..3], [Some("another"), Some("notification-service"), None]);
    assert_eq!(groups[3], Some("notification-service"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_reads_all_again_goes_on_with_one_chain_of_retries() {
    let world = World::new(1).await;
    let now = Timestamp::now();
    let newer = value(&created(1)).replace("\"version\":2", "\"version\":99");
    // The topics after four tries. The service reads all of them from the start.
    write(&world, Topic::Created, &[("ce_type", "user_account_created")], newer.as_bytes(), now).await;
    let past = (now - SignedDuration::from_mins(5)).to_string();
    for attempt in ["1", "2", "3", "4"] {
        let retried = [
            ("ce_type", "user_account_created"),
            ("retry_not_before", past.as_str()),
            ("retry_attempt", attempt),
            ("retry_source", "user_account_created/0/0"),
            ("retry_first_failure", past.as_str()),
            ("retry_group", "notification-service"),
        ];
        write(&world, Topic::MailRetry, &retried, newer.as_bytes(), now).await;
    }
    let service = world.start(&[]).await;
    let seen = |attempt: &'static str| {
        let world = &world;
        async move {
            let records = world.records(Topic::MailRetry).await;
            records.iter().filter(|record| record.headers["retry_attempt"] == attempt).count()
        }
    };
    let started = std::time::Instant::now();
    while seen("5").await == 0 {
        assert!(started.elapsed() < DEADLINE, "the chain goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The original may cause one more retry, which is passed over.
    assert!(records_of(&world, Topic::MailRetry).await <= 7);
    assert_eq!((seen("2").await, seen("3").await, seen("4").await, seen("5").await), (1, 1, 1, 1));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_retry_mails_a_thief_a_code_that_is_worth_nothing() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let victim = registered(1);
    let email = "thief@example.org".to_owned().try_into().unwrap();
    let stolen = Event::Registered(Mailing::FirstCode, Registered { email, ..victim.clone() });
    world.publish_retry(&stolen, Timestamp::now()).await;
    let mails = world.wait_for_mails(1).await;
    assert_eq!(mails[0].recipients, ["thief@example.org"]);
    let text = String::from_utf8_lossy(&mails[0].data).replace("=\r\n", "");
    assert!(!text.contains(&code_of(1)) && !text.contains(&token_of(1)), "{text}");

    // This record took the same place, with a key that the account does not have.
    let key = contract::code_secrets::KeyId::parse("k2").unwrap();
    world.publish(&[Event::Registered(Mailing::FirstCode, Registered { key, ..victim.clone() })]).await;
    world.publish(&[Event::Registered(Mailing::FirstCode, victim)]).await;
    assert!(world.smtp.wait_for_count(2, DEADLINE).await);
    let mail = &world.smtp.mails()[1];
    assert_eq!(mail.recipients, [address(1)]);
    let text = String::from_utf8_lossy(&mail.data).replace("=\r\n", "");
    assert!(text.contains(&code_of(1)) && text.contains(&token_of(1)), "{text}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_whose_time_is_not_the_brokers_is_a_dead_letter_and_never_mailed() {
    let world = World::new(1).await;
    let service = world.start(&[("MAX_CLOCK_SKEW", "1m"), ("PUBLISH_TIMEOUT", "10s")]).await;
    let at = |number, seconds| {
        let occurred_at = Timestamp::now() + SignedDuration::from_secs(seconds);
        Event::Registered(Mailing::FirstCode, Registered { occurred_at, ..registered(number) })
    };
    world.publish(&[at(1, 70 * 60), at(2, 80), at(3, -80), at(4, -90_000), at(5, 60), at(6, -60)]).await;
    world.publish(&[verified(7, Timestamp::now() + SignedDuration::from_secs(80))]).await;
    world.wait_for_committed(Topic::Created, 6).await;
    world.wait_for_committed(Topic::Verified, 1).await;
    let letters = world.wait_for_dead_letters(5).await;
    let reasons: Vec<_> =
        letters.iter().map(|letter| letter.headers["dead_letter_reason"].as_str()).collect();
    // Times that differ by more than a day are undecodable: no clock is that wrong.
    assert_eq!((reasons.iter().filter(|reason| **reason == "wrong_clock").count(), reasons.len()), (4, 5));
    assert!(reasons.contains(&"undecodable"), "{reasons:?}");
    let mut mails: Vec<_> = world.wait_for_mails(2).await.into_iter().map(|mail| mail.recipients).collect();
    mails.sort_unstable();
    assert_eq!(mails, [[address(5)], [address(6)]]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_name_is_a_dead_letter_and_never_mailed() {
    const NAMES: [&str; 9] = [
        "<img src=x onerror=alert(1)>",
        "\"><script>alert(1)</script>",
        "{{ code }}",
        "{first_name}",
        "\u{202e}adA",
        "\u{e001}",
        "Ada\r\nBcc: eve@example.com",
        "www.example.com",
        "https://example.com/",
    ];
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let now = Timestamp::now();
    for (topic, kind, event) in [
        (Topic::Created, "user_account_created", created(1)),
        (Topic::Verified, "user_account_verified", verified(2, now)),
    ] {
        for name in NAMES {
            let name = format!("\"first_name\":{}", serde_json::Value::from(name));
            let hostile = value(&event).replace("\"first_name\":\"Ada\"", &name);
            assert!(hostile.contains(&name), "{hostile}");
            write(&world, topic, &[("ce_type", kind)], hostile.as_bytes(), now).await;
        }
    }
    world.publish(&[created(3)]).await;
    assert_eq!(world.wait_for_mails(1).await[0].recipients, [address(3)]);
    let letters = world.wait_for_dead_letters(2 * NAMES.len()).await;
    assert!(letters.iter().all(|letter| letter.headers["dead_letter_reason"] == "undecodable"));
    assert_eq!(world.wait_for_mails(1).await.len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_version_1_are_dead_letters_at_once_and_the_log_says_so_once_for_each_topic() {
    const OF_VERSION_1: &str = r#"{"event_id":"f3f86a8c-169f-854e-93ab-e49c60232279","occurred_at":"2026-11-21T11:02:29.052Z",
        "version":1,"id":"c19a848c-0495-87ae-9e10-8be694335a56","first_name":"Ada","last_name":"Lovelace",
        "email":"ada@example.com","locale":"en","window":493882,"window_started_at":"2026-11-21T11:02:29.052Z","generation":0,
        "send":1,"expires_at":"2026-11-21T11:17:29.052Z","key":"k1","request_id":"r-1"}"#;
    let lines = log_lines();
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let now = Timestamp::now();
    for (topic, kind) in [
        (Topic::Created, "user_account_created"),
        (Topic::Verified, "user_account_verified"),
        (Topic::MailRetry, "code_resent"),
    ] {
        for _ in 0..3 {
            write(&world, topic, &[("ce_type", kind)], OF_VERSION_1.as_bytes(), now).await;
        }
    }
    world.publish(&[created(1)]).await;
    assert_eq!(world.wait_for_mails(1).await[0].recipients, [address(1)]);
    let letters = world.wait_for_dead_letters(9).await;
    assert!(letters.iter().all(|letter| letter.headers["dead_letter_reason"] == "unknown_version"));
    service.stop().await;
    let said: Vec<_> =
        lines.lock().unwrap().iter().filter(|line| line.contains("earlier version")).cloned().collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for topic in [Topic::Created, Topic::Verified, Topic::MailRetry] {
        assert!(said.iter().any(|line| line.contains(topic.name())), "{said:?}");
    }
    assert!(said[0].contains("dead-letters discard --reason unknown_version"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_bounded_in_octets_and_all_of_it_is_mailed() {
    let world = World::new(2).await;
    world.smtp.stop().await;
    let service = world.start(&[("MAX_BACKLOG_BYTES", "4194304")]).await;
    let padding = "y".repeat(60_000);
    for number in 0..250 {
        let event = created(number);
        let padded = value(&event).replacen('{', &format!("{{\"padding\":\"{padding}\","), 1);
        let pairs = [("ce_type", "user_account_created")];
        write(&world, Topic::Created, &pairs, padded.as_bytes(), Timestamp::now()).await;
    }
    let taken = |body: &serde_json::Value| body["records"]["taken"].as_u64().unwrap();
    // 4 MiB hold 67 of them. The client's prefetched records come on top: its queue and one response, 4 MiB each.
    let full = service.wait_until(|body| taken(body) >= 67).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let later = service.ready().await;
    assert!(taken(&later) <= 3 * 70, "{full} {later}");
    world.smtp.restart().await.unwrap();
    assert_eq!(world.wait_for_mails(250).await.len(), 250);
    world.wait_for_committed(Topic::Created, 250).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_whose_name_is_not_utf8_ends_nothing() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let header = (&b"ce_\xff"[..], &b"user_account_created"[..]);
    for topic in [Topic::Created, Topic::Verified, Topic::MailRetry, Topic::DeadLetter] {
        raw::write(&world.broker.bootstrap(), topic.name(), (b"k", b"no event"), header).unwrap();
    }
    world.publish(&[created(1)]).await;
    assert_eq!(world.wait_for_mails(1).await[0].recipients, [address(1)]);
    let letters = world.wait_for_dead_letters(4).await;
    assert!(letters.iter().all(|letter| letter.payload == b"no event"), "{letters:?}");
    let list = dead_letters::run(&world, &["list"]).await;
    assert!(list.contains("4 unresolved"), "{list}");
    service.stop().await;
}
