//! The trace of a record goes on in the mail, by whatever topics the record gets there.

use crate::{
    dead_letters,
    world::{DEADLINE, World, address, asked, created, verified},
};
use contract::{
    event::{Event, Mailing},
    topic::Topic,
};
use jiff::Timestamp;
use rdkafka::producer::FutureRecord;
use runtime::kafka::owned_headers;
use sandbox::smtp::{Action, ReceivedMail, Script};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Writes an event with further headers.
async fn publish(world: &World, event: &Event, added: &[(&'static str, &[u8])]) {
    let encoded = event.encode().unwrap();
    let own = encoded.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let headers: Vec<_> = own.chain(added.iter().copied()).collect();
    let record = FutureRecord::to(encoded.topic.name())
        .key(&encoded.key)
        .payload(&encoded.payload)
        .headers(owned_headers(&headers));
    world.producer.send(record, DEADLINE).await.unwrap();
}

/// The lines of a mail's head that begin with this name.
fn lines(mail: &ReceivedMail, name: &str) -> Vec<String> {
    let text = String::from_utf8(mail.data.clone()).unwrap();
    let head = text.split_once("\r\n\r\n").unwrap().0;
    head.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mail_names_the_trace_of_its_record_and_nothing_else_of_it() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let events = [created(1), asked(Mailing::Notice, 2), verified(3, Timestamp::now())];
    for event in &events {
        let of_trace = [("ce_traceparent", PARENT.as_bytes()), ("ce_tracestate", b"of=another")];
        publish(&world, event, &of_trace).await;
    }
    for mail in world.wait_for_mails(3).await {
        assert_eq!(lines(&mail, "X-Trace-Id"), [format!("X-Trace-Id: {TRACE}")], "{:?}", mail.recipients);
        let text = String::from_utf8(mail.data.clone()).unwrap();
        assert!(!text.contains("of=another") && !text.contains("b7ad6b7169203331"), "{text}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_without_a_trace_or_with_a_broken_one_is_mailed() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let broken: [&[(&str, &[u8])]; 8] = [
        &[],
        &[("ce_traceparent", b"")],
        &[("ce_traceparent", b"\xff\0\r\nX-Evil: 1")],
        &[("ce_traceparent", PARENT.as_bytes()), ("ce_traceparent", PARENT.as_bytes())],
        &[("ce_traceparent", b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01")],
        &[("ce_tracestate", b"a=1")],
        &[("ce_traceparent", &[b'0'; 15_000])],
        &[
            ("ce_traceparent", b"00-"),
            ("ce_traceparent", b""),
            ("ce_tracestate", b"\xff"),
            ("ce_tracestate", b"\r\n"),
        ],
    ];
    for (number, headers) in (1..).zip(broken) {
        publish(&world, &created(number), headers).await;
    }
    for mail in world.wait_for_mails(broken.len()).await {
        assert!(lines(&mail, "X-Trace-Id").is_empty() && lines(&mail, "X-Evil").is_empty(), "{mail:?}");
        assert_eq!(lines(&mail, "X-Request-Id").len(), 1);
    }
    world.wait_for_committed(Topic::Created, 8).await;
    assert!(world.dead_letters().await.is_empty());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_on_through_retry_dead_letter_and_replay() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let headers = [("ce_traceparent", PARENT.as_bytes()), ("ce_tracestate", b"of=another")];
    for (number, refusal) in [(1, (450, "4.2.0 later")), (2, (550, "5.1.1 no such user"))] {
        world.smtp.set_script(Script::recipient(&address(number), Action::reply(refusal.0, refusal.1)));
        publish(&world, &created(number), &headers).await;
        world.wait_for_committed(Topic::Created, i64::from(number)).await;
    }
    world.smtp.set_script(Script::accept_all());
    let listed = dead_letters::run(&world, &["list", "--json"]).await;
    let letter: serde_json::Value = serde_json::from_str(listed.trim_end()).unwrap();
    assert_eq!(letter["trace_id"], TRACE);
    assert!(!listed.contains("of=another"), "{listed}");
    dead_letters::run(&world, &["replay", "--all"]).await;

    for mail in world.wait_for_mails(2).await {
        assert_eq!(lines(&mail, "X-Trace-Id"), [format!("X-Trace-Id: {TRACE}")], "{:?}", mail.recipients);
    }
    service.stop().await;
    let copies = world.records(Topic::MailRetry).await.into_iter().chain(world.dead_letters().await);
    let traced: Vec<_> =
        copies.filter(|record| !record.headers.contains_key("dead_letter_resolved")).collect();
    assert_eq!(traced.len(), 3, "a retry, a dead letter and its replay: {traced:?}");
    for record in traced {
        assert_eq!(record.headers["ce_traceparent"], PARENT);
        assert_eq!(record.headers["ce_tracestate"], "of=another");
    }
}
