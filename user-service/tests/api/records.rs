//! Records that no user service wrote: none ends a replica, none makes it believe what it should not.

use crate::world::{DEADLINE, Replica, World, code};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::{
    event::{CodeIssued, Event},
    topic::Topic,
};
use std::time::{Duration, Instant};

const FAR: &str = "9999-12-30T22:00:00.000Z";

/// The event's JSON as an object that can be changed.
fn json_of(event: Event) -> Value {
    serde_json::from_slice(&event.encode().expect("JSON").payload).expect("JSON")
}

fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    changes.iter().for_each(|(name, changed)| value[*name] = changed.clone());
    value
}

/// What the fields of a mailed code and of a notice have in common.
fn notice(issued: &CodeIssued) -> Value {
    json_of(Event::Created(issued.clone()))
}

async fn write(world: &World, topic: Topic, kind: &str, key: &str, value: &[u8]) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", world.brokers())
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", "2097152")
        .create()
        .expect("a producer");
    let headers = OwnedHeaders::new().insert(Header { key: "ce_type", value: Some(kind) });
    let record = FutureRecord::to(topic.name()).key(key).payload(value).headers(headers);
    producer.send(record, DEADLINE).await.expect("written");
}

/// Waits until the replica has passed over so many records.
async fn passed_over(replica: &Replica, records: u64) -> String {
    let started = Instant::now();
    loop {
        let text = replica.metrics().await;
        let lines =
            text.lines().filter(|line| line.starts_with("user_service_records_not_understood_total{"));
        let counts =
            lines.map(|line| line.rsplit(' ').next().expect("a number").parse::<u64>().expect("a number"));
        let sum: u64 = counts.sum();
        if sum == records {
            return text;
        }
        assert!(started.elapsed() < DEADLINE, "{sum} of {records} records passed over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_with_times_and_numbers_out_of_range_are_counted_and_sign_up_goes_on() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    let value = notice(&issued);
    let far = [("occurred_at", json!(FAR)), ("window_started_at", json!(FAR)), ("expires_at", json!(FAR))];
    let newer = [("window", json!(issued.window + 1)), far[1].clone()];
    let forged = [
        ("account_exists", with(value.clone(), &far)),
        ("account_exists", with(value.clone(), &[far[1].clone()])),
        ("code_resent", with(value.clone(), &newer)),
        ("code_resent", with(value.clone(), &[("window", json!(u64::MAX))])),
        ("code_resent", with(value.clone(), &[("send", json!(u32::MAX))])),
        ("code_resent", with(value.clone(), &[("generation", json!(u32::MAX))])),
        ("attempt", with(value.clone(), &[("window", json!(u64::MAX))])),
        ("attempt", with(value.clone(), &[far[0].clone()])),
        ("code_resent", with(value, &[("added", json!("x".repeat(70_000)))])),
    ];
    for (kind, value) in &forged {
        write(&world, Topic::Activity, kind, &id, value.to_string().as_bytes()).await;
    }
    let count = u64::try_from(forged.len()).expect("few");
    passed_over(&replica, count).await;
    assert_eq!(replica.register("ada@example.com").await.status, StatusCode::ACCEPTED);
    assert_eq!(replica.register("bob@example.com").await.status, StatusCode::ACCEPTED);
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
    let restarted = world.replica().await;
    passed_over(&restarted, count).await;
    assert_eq!(restarted.register("eve@example.com").await.status, StatusCode::ACCEPTED);
    restarted.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_in_the_topic_of_another_is_not_believed() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    let value = notice(&issued).to_string();
    for (topic, kind) in [
        (Topic::Created, "user_account_verified"),
        (Topic::Activity, "user_account_verified"),
        (Topic::Created, "code_resent"),
        (Topic::Verified, "user_account_created"),
        (Topic::Verified, "attempt"),
    ] {
        write(&world, topic, kind, &id, value.as_bytes()).await;
    }
    let metrics = passed_over(&replica, 5).await;
    assert!(
        metrics.contains("user_service_records_not_understood_total{reason=\"wrong_topic\"} 5"),
        "{metrics}"
    );
    assert!(metrics.contains("user_service_verified_accounts 0"), "{metrics}");
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_names_another_address_yields_no_code() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.newest_code(&id).await;
    let mut stolen = CodeIssued { send: 2, ..issued.clone() };
    stolen.email = "thief@example.org".to_owned().try_into().expect("valid");
    write(
        &world,
        Topic::Activity,
        "code_resent",
        &id,
        json_of(Event::CodeResent(stolen.clone())).to_string().as_bytes(),
    )
    .await;
    passed_over(&replica, 1).await;
    assert_ne!(code(&stolen), code(&issued));
    assert_eq!(replica.verify(&id, &code(&stolen)).await.problem(), "wrong-code");
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}
