//! The trace of a request goes on in the records that it leads to.

use crate::world::{DEADLINE, Replica, World, code};
use contract::{topic::Topic, trace_context::TraceContext};
use rdkafka::Message;
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderValue},
};
use runtime::kafka::headers;
use sandbox::topics;
use serde_json::json;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The headers of the trace in each record of a topic, in the order of reading.
async fn traced(world: &World, topic: Topic) -> Vec<Vec<(String, String)>> {
    let brokers = world.brokers();
    let read = move || {
        let mut traced = Vec::new();
        let read = topics::read(&brokers, &[topic.name()], DEADLINE, |record| {
            let headers = headers(record.headers()).into_iter();
            let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
            let of_trace = headers.filter(|(name, _)| name.starts_with("ce_trace"));
            traced.push(of_trace.map(|(name, value)| (name.to_owned(), text(value))).collect());
        });
        read.expect("the topic is read");
        traced
    };
    tokio::task::spawn_blocking(read).await.expect("the topic is read")
}

async fn post(
    replica: &Replica,
    path: &str,
    body: serde_json::Value,
    headers: HeaderMap,
) -> serde_json::Value {
    let answer = replica.request(Method::POST, path).json(&body).headers(headers).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    answer.json().await.unwrap()
}

fn with(lines: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn ada(email: &str) -> serde_json::Value {
    json!({"first_name": "Ada", "last_name": "Lovelace", "email": email})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_trace_goes_on_in_every_record_with_a_step_of_this_service() {
    let world = World::start().await;
    let replica = world.replica().await;
    let parent: (_, &[u8]) = ("traceparent", PARENT.as_bytes());
    let given = || with(&[parent, ("tracestate", b"a=1"), ("tracestate", b" b=2 ,")]);
    let registered = post(&replica, "/api/register", ada("ada@example.com"), given()).await;
    let id = registered["data"]["id"].as_str().unwrap().to_owned();
    let code = code(&world.registration(&id).await);
    post(&replica, "/api/verify", json!({"id": id, "code": code}), given()).await;
    for topic in [Topic::Created, Topic::Activity, Topic::Verified] {
        let [record] = &traced(&world, topic).await[..] else { panic!("one record in {topic:?}") };
        let [(parent, step), (state, passed_on)] = &record[..] else { panic!("{record:?}") };
        assert_eq!((parent.as_str(), state.as_str()), ("ce_traceparent", "ce_tracestate"));
        assert!(step.starts_with(&format!("00-{TRACE}-")) && step.ends_with("-01"), "{step}");
        assert_ne!(step, PARENT, "the step is this service's");
        assert_eq!(passed_on, "a=1,b=2");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_what_is_no_valid_trace_gets_into_a_record() {
    let world = World::start().await;
    let replica = world.replica().await;
    let parent: (_, &[u8]) = ("traceparent", PARENT.as_bytes());
    let long = format!("stranger={}", "s".repeat(600));
    let cases: &[&[(&str, &[u8])]] = &[
        &[],
        &[("tracestate", b"stranger=1")],
        &[parent, parent],
        &[parent, ("traceparent", b"00-1111111111111111111111111111111c-b7ad6b7169203331-01")],
        &[("traceparent", b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01")],
        &[("traceparent", b"00-00000000000000000000000000000000-b7ad6b7169203331-01")],
        &[("traceparent", b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
        &[("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-stranger")],
        &[("traceparent", b"\xff\xfe"), ("tracestate", b"stranger=1")],
        &[("traceparent", b"")],
    ];
    for (number, case) in cases.iter().enumerate() {
        post(&replica, "/api/register", ada(&format!("p{number}@example.com")), with(case)).await;
    }
    let records = traced(&world, Topic::Created).await;
    assert_eq!(records.len(), cases.len());
    let mut ids = std::collections::BTreeSet::new();
    for record in &records {
        let [(name, value)] = &record[..] else { panic!("{record:?}") };
        let trace = TraceContext::of_record([(name.as_str(), Some(value.as_bytes()))]).unwrap();
        assert!(!trace.is_sampled() && value.ends_with("-02"), "{value}");
        assert_ne!(trace.trace_id().to_string(), TRACE);
        ids.insert(trace.trace_id().to_string());
    }
    assert_eq!(ids.len(), cases.len(), "each is a trace of its own");

    // A state that breaks a rule is dropped; the trace goes on.
    let broken: &[&[u8]] = &[long.as_bytes(), b"STRANGER=1", b"a=1,a=2", b"a=\xff", b"a=1\tstranger"];
    for (number, state) in broken.iter().enumerate() {
        let headers = with(&[parent, ("tracestate", state)]);
        post(&replica, "/api/register", ada(&format!("q{number}@example.com")), headers).await;
    }
    let records = traced(&world, Topic::Created).await;
    let kept = records.iter().filter(|record| record[0].1.contains(TRACE));
    assert_eq!(kept.map(Vec::len).collect::<Vec<_>>(), vec![1; broken.len()]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_listed_origin_may_send_its_trace() {
    let world = World::start().await;
    let replica = world.replica_with(&[("CORS_ORIGINS", "https://www.example.com")]).await;
    let preflight = replica
        .request(Method::OPTIONS, "/api/register")
        .header("origin", "https://www.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,traceparent,tracestate");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap().to_ascii_lowercase();
    assert!(allowed.contains("traceparent") && allowed.contains("tracestate"), "{allowed}");
    replica.stop().await;
}
