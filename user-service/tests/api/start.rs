//! A replica starts in any order, and says what it can't do yet.

use crate::world::{Replica, World};
use reqwest::StatusCode;
use sandbox::broker::{Broker, Storage};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_a_replica_is_alive_refuses_with_503_and_works_when_one_appears() {
    let spare = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = spare.local_addr().unwrap().port();
    drop(spare);
    let replica = Replica::start(&format!("127.0.0.1:{port}"), &[]);
    assert_eq!(replica.get("/health/live").await.status, StatusCode::OK);
    let ready = replica.get("/health/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.body["broker_answers"], false);
    for answer in [
        replica.register("ada@example.com").await,
        replica.verify("11111111-1111-8111-9111-111111111111", "123456").await,
    ] {
        assert_eq!((answer.status, answer.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
        assert_eq!(answer.headers["retry-after"], "1");
    }
    let _broker = Broker::start(Storage::Temporary, port).await.unwrap();
    replica.ready().await;
    replica.registered("ada@example.com").await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_turns_registrations_into_503_within_the_timeout() {
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let replica = Replica::start(&broker.bootstrap(), &[("PUBLISH_TIMEOUT", "2s")]);
    replica.ready().await;
    replica.registered("ada@example.com").await;
    broker.stop().await;
    let asked = std::time::Instant::now();
    let answer = replica.register("bob@example.com").await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert!(asked.elapsed().as_millis() < 2000, "{:?}", asked.elapsed());
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_can_not_look_at_the_end_of_the_log_is_alive_and_not_ready() {
    let world = World::start().await;
    let replica = world.replica().await;
    assert_eq!(replica.get("/health/ready").await.body["at_log_end"], true);
    world.end().await;
    let began = std::time::Instant::now();
    loop {
        let ready = replica.get("/health/ready").await;
        if ready.body["at_log_end"] == false {
            assert_eq!(
                (ready.status, &ready.body["caught_up"]),
                (StatusCode::SERVICE_UNAVAILABLE, &true.into())
            );
            break;
        }
        assert!(began.elapsed().as_secs() < 20, "{ready:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(replica.get("/health/live").await.status, StatusCode::OK);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_was_accepted_before_the_stop_gets_its_answer() {
    let world = World::start().await;
    let replica = world.replica().await;
    let address = replica.address;
    let requests = (0..20).map(|number| {
        let body = serde_json::json!({"first_name": "Ada", "last_name": "L", "email": format!("p{number}@example.com")});
        tokio::spawn(async move {
            reqwest::Client::new().post(format!("http://{address}/api/register")).json(&body).send().await
        })
    });
    let requests: Vec<_> = requests.collect();
    // The first answer shows that the others are in flight, too.
    let mut answers = requests.into_iter();
    let first = answers.next().unwrap().await.unwrap().unwrap();
    assert_eq!(first.status(), StatusCode::ACCEPTED);
    replica.stop().await;
    let mut accepted = 1;
    for answer in answers {
        // A request that came after the listener had closed got no answer, and wrote no record.
        if let Ok(answer) = answer.await.unwrap() {
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
            accepted += 1;
        }
    }
    assert_eq!(world.events(contract::topic::Topic::Created).await.len(), accepted);
}
