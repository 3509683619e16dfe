//! Replicas that can't read the log for a while: their answers are never wrong.

use crate::world::{DEADLINE, Replica, World, code, stop, token, wrong_code};
use contract::topic::Topic;
use futures_util::future::join_all;
use reqwest::StatusCode;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// The key of Kafka's Fetch request.
const FETCH: u16 = 1;
const HOST: &[u8] = b"127.0.0.1";

/// A connection to the broker that can hold back replies to fetches of one topic.
struct Way {
    port: u16,
    held: Arc<Held>,
    _serving: JoinSet<()>,
}

struct Held {
    topic: Topic,
    is_held: AtomicBool,
}

impl Way {
    async fn to(brokers: &str, topic: Topic) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Arc::new(Held { topic, is_held: AtomicBool::new(false) });
        let ports: [u16; 2] = [brokers.rsplit(':').next().unwrap().parse().unwrap(), port];
        let mut serving = JoinSet::new();
        let (broker, shared) = (brokers.to_owned(), Arc::clone(&held));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let Ok(broker) = TcpStream::connect(&broker).await else { continue };
                let ((from_client, to_client), (from_broker, to_broker)) =
                    (client.into_split(), broker.into_split());
                let asked = Arc::new(Mutex::new(VecDeque::new()));
                connections.spawn(pass_requests(
                    from_client,
                    to_broker,
                    Arc::clone(&shared),
                    Arc::clone(&asked),
                ));
                connections.spawn(pass_replies(from_broker, to_client, Arc::clone(&shared), asked, ports));
            }
        });
        Self { port, held, _serving: serving }
    }

    fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn hold(&self, is_held: bool) {
        self.held.is_held.store(is_held, Ordering::Release);
    }
}

/// Notes for each request whether its reply may be held back: replies come in the order of requests.
async fn pass_requests(
    mut client: OwnedReadHalf,
    mut broker: OwnedWriteHalf,
    held: Arc<Held>,
    asked: Arc<Mutex<VecDeque<bool>>>,
) {
    while let Some(frame) = frame(&mut client).await {
        let is_fetch = frame[4..6] == FETCH.to_be_bytes() && contains(&frame, held.topic.name().as_bytes());
        asked.lock().unwrap().push_back(is_fetch);
        if broker.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn pass_replies(
    mut broker: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    held: Arc<Held>,
    asked: Arc<Mutex<VecDeque<bool>>>,
    [real, own]: [u16; 2],
) {
    while let Some(mut frame) = frame(&mut broker).await {
        let is_fetch = asked.lock().unwrap().pop_front().unwrap();
        while is_fetch && held.is_held.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Replaces the broker's advertised address with this one.
        let address = |port: u16| [HOST, &u32::from(port).to_be_bytes()].concat();
        while let Some(at) = frame.windows(HOST.len() + 4).position(|window| window == address(real)) {
            frame[at..at + HOST.len() + 4].copy_from_slice(&address(own));
        }
        if client.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// The next frame of Kafka's protocol, with its length; `None` at the end.
async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).await.ok()?;
    let length = u32::from_be_bytes(frame[..].try_into().unwrap());
    frame.resize(4 + usize::try_from(length).unwrap(), 0);
    from.read_exact(&mut frame[4..]).await.ok()?;
    Some(frame)
}

fn contains(octets: &[u8], wanted: &[u8]) -> bool {
    octets.windows(wanted.len()).any(|window| window == wanted)
}

const QUICK: (&str, &str) = ("PUBLISH_TIMEOUT", "2s");

async fn ready(replica: Replica) -> Replica {
    replica.ready().await;
    replica
}
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_not_read_a_verification_makes_no_second_one() {
    let world = World::start().await;
    let way = Way::to(&world.brokers(), Topic::Verified).await;
    let a = world.replica().await;
    let b = ready(Replica::start(&way.brokers(), &[QUICK])).await;
    let id = a.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    assert_eq!(
        b.verify(&id, &wrong_code(&issued, 0)).await.problem(),
        "wrong-code",
        "B knows the registration"
    );
    way.hold(true);
    assert_eq!(a.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    let (token, code) = (token(&issued), code(&issued));
    let (by_link, by_code) = tokio::join!(b.open_link(&id, &token), b.verify(&id, &code));
    for answer in [by_link, by_code] {
        assert_eq!((answer.status, answer.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    }
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        way.hold(false);
    };
    let (by_link, by_code, ()) = tokio::join!(b.open_link(&id, &token), b.verify(&id, &code), late);
    assert_eq!((by_link.status, by_code.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(world.events(Topic::Verified).await.len(), 1);
    stop([a, b]).await;
}

/// The attempts are in the log and were answered with 503.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_that_were_not_read_back_in_time_have_one_place_together() {
    let world = World::start().await;
    let way = Way::to(&world.brokers(), Topic::Activity).await;
    let replica = ready(Replica::start(&way.brokers(), &[QUICK])).await;
    let id = replica.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    let wrong = wrong_code(&issued, 0);
    way.hold(true);
    for answer in join_all((0..5).map(|_| replica.verify(&id, &wrong))).await {
        assert_eq!((answer.status, answer.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    }
    way.hold(false);
    assert_eq!(world.events(Topic::Activity).await.len(), 5);
    for _ in 0..2 {
        assert_eq!(replica.verify(&id, &wrong).await.body["attempts_left"], 4);
    }
    assert_eq!(replica.verify(&id, &code(&issued)).await.status, StatusCode::OK);
    replica.stop().await;
}

/// A registration that one replica accepted is never unknown to another, even if that could not read it.
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_was_not_read_is_not_unknown() {
    let world = World::start().await;
    let way = Way::to(&world.brokers(), Topic::Created).await;
    let a = world.replica().await;
    let b = ready(Replica::start(&way.brokers(), &[QUICK])).await;
    way.hold(true);
    let id = a.registered("ada@example.com").await;
    let issued = world.registration(&id).await;
    let body = serde_json::json!({"id": id, "token": token(&issued)});
    let (code, body) = (code(&issued), || body.clone());
    let (one, two, three) =
        tokio::join!(b.verify(&id, &code), b.resend(&id), b.post("/api/registration", body()));
    for answer in [one, two, three] {
        assert_eq!((answer.status, answer.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    }
    // Nor does the replica take a place of a schedule that it has not read.
    let began = std::time::Instant::now();
    while b.register("ada@example.com").await.status != StatusCode::SERVICE_UNAVAILABLE {
        assert!(began.elapsed() < DEADLINE, "a view of two seconds ago is too old");
    }
    way.hold(false);
    assert_eq!(b.resend(&id).await.problem(), "too-soon");
    assert_eq!(b.verify(&id, &code).await.status, StatusCode::OK);
    stop([a, b]).await;
}
