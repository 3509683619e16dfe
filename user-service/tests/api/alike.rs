//! A stranger can't tell one address from another by anything that he sees.
//!
//! He registers, asks for mails, and tries wrong codes and tokens, in any order and with up to
//! eight ids. He does so with addresses in different states, and must get the same answers.

use crate::world::{Answer, Replica, World, account_of, code, registered_elsewhere, verified_elsewhere};
use contract::{
    event::{Attempt, Event, EventId, Mailing, Registered},
    registration_id::RegistrationId,
    request_id::RequestId,
    topic::Topic,
};
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const SEQUENCES: u64 = 50;
const SEED: u64 = 20_261_127;
const WRONG_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The state of an address in the log.
#[derive(Debug, Clone, Copy)]
enum Class {
    New,
    Pending,
    TriedByItsOwner,
    VerifiedLongAgo,
    VerifiedJustNow,
    Forgotten,
}

const CLASSES: [Class; 6] = [
    Class::New,
    Class::Pending,
    Class::TriedByItsOwner,
    Class::VerifiedLongAgo,
    Class::VerifiedJustNow,
    Class::Forgotten,
];

/// A call of the stranger; a number picks one of his ids.
#[derive(Debug, Clone, Copy)]
enum Call {
    Register,
    Resend(u64),
    TryCode(u64, u32),
    TryToken(u64),
    Show(u64),
}

/// SplitMix64: a seed always gives the same numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn calls(sequence: u64) -> Vec<Call> {
    let mut numbers = Numbers(SEED + sequence);
    let length = 5 + numbers.below(11);
    let call = |numbers: &mut Numbers| match numbers.below(10) {
        0 | 1 => Call::Register,
        2 => Call::Resend(numbers.below(8)),
        3 => Call::TryToken(numbers.below(8)),
        4 => Call::Show(numbers.below(8)),
        // Mostly with one id, so that its guesses are used up.
        5 => Call::TryCode(numbers.below(8), u32::try_from(numbers.below(4)).unwrap()),
        _ => Call::TryCode(0, u32::try_from(numbers.below(30)).unwrap()),
    };
    (0..length).map(|_| call(&mut numbers)).collect()
}

/// All addresses have one length, so the echo of an address has, too.
fn address(sequence: u64, class: Class) -> String {
    format!("person{sequence:03}{}@example.com", class as u8)
}

/// The stranger's oldest id. Another mail can be asked for with it at once.
fn strangers(email: &str) -> Registered {
    Registered { send: 0, ..registered_elsewhere(email, Duration::from_secs(100)) }
}

/// Writes the records that put an address into its class, and returns the stranger's id.
async fn prepare(world: &World, sequence: u64, class: Class) -> String {
    let email = address(sequence, class);
    let ago = Duration::from_secs;
    let own = registered_elsewhere(&email, ago(90));
    let mail = Event::Registered(Mailing::FirstCode, own.clone());
    match class {
        Class::New => {}
        Class::Pending => world.write(&mail).await,
        Class::TriedByItsOwner => {
            world.write(&mail).await;
            for number in 0..Numbers(sequence).below(26) {
                let registration = if number < 5 { own.registration } else { RegistrationId::random() };
                let mac = std::array::from_fn(|at| RegistrationId::random().as_bytes()[at % 16]);
                let (event_id, windows) = (EventId::from_mac(&mac), vec![own.window]);
                let (request_id, made_at) = (RequestId::random(), own.occurred_at);
                let attempt = Attempt::new(event_id, own.id, registration, windows, request_id, made_at);
                world.write(&Event::Attempt(attempt)).await;
            }
        }
        Class::VerifiedLongAgo => world.write(&verified_elsewhere(&own, ago(5 * 3600))).await,
        Class::VerifiedJustNow => {
            world.write(&mail).await;
            world.write(&verified_elsewhere(&own, ago(1))).await;
        }
        Class::Forgotten => {
            world.write(&mail).await;
            world.write(&verified_elsewhere(&own, ago(60))).await;
            world.write_record(Topic::Verified, "", &account_of(&email).to_string(), None).await;
        }
    }
    let strangers = strangers(&email);
    world.write(&Event::Registered(Mailing::Nothing, strangers.clone())).await;
    strangers.registration.to_string()
}

/// A code that is wrong in all windows around this one.
fn wrong_code(registered: &Registered, number: u32) -> String {
    let windows = registered.window - 2..registered.window + 4;
    let right: Vec<_> = windows.map(|window| code(&Registered { window, ..registered.clone() })).collect();
    (number * 1_000..).map(|code| format!("{code:06}")).find(|code| !right.contains(code)).unwrap()
}

/// Makes the stranger's calls, and returns what he sees.
async fn seen(replica: &Replica, sequence: u64, class: Class, first_id: &str) -> Vec<String> {
    let email = address(sequence, class);
    let client = format!("10.{}.{}.{}", class as u8, sequence / 250, sequence % 250);
    let strangers = strangers(&email);
    let mut ids = vec![first_id.to_owned()];
    let mut seen = Vec::new();
    for call in calls(sequence) {
        let id = |number: u64| ids[usize::try_from(number).unwrap() % ids.len()].clone();
        let (path, body) = match call {
            Call::Register => (
                "/api/register",
                json!({"first_name": "Eve", "last_name": "Evil", "email": email, "locale": "fr"}),
            ),
            Call::Resend(number) => ("/api/resend", json!({"id": id(number)})),
            Call::TryCode(number, guess) => {
                ("/api/verify", json!({"id": id(number), "code": wrong_code(&strangers, guess)}))
            }
            Call::TryToken(number) => ("/api/verify", json!({"id": id(number), "token": WRONG_TOKEN})),
            Call::Show(number) => ("/api/registration", json!({"id": id(number), "token": WRONG_TOKEN})),
        };
        let request = replica.request(Method::POST, path).header("x-forwarded-for", &client).json(&body);
        let answer = Answer::of(request.send().await.unwrap()).await;
        seen.push(format!("{call:?}: {}", masked(&answer, &email)));
        if let Value::String(id) = &answer.body["data"]["id"]
            && ids.len() < 8
        {
            ids.push(id.clone());
        }
    }
    seen
}

/// The answer with its times, its ids and the address masked: these differ between any two answers.
fn masked(answer: &Answer, email: &str) -> String {
    let mut body = answer.body.clone();
    if body["data"]["id"].is_string() {
        body["data"]["id"] = json!("an id");
    }
    let headers = answer.headers.iter().map(|(name, value)| match name.as_str() {
        name @ ("date" | "x-request-id" | "retry-after") => format!("{name}: …"),
        name => format!("{name}: {value:?}"),
    });
    // The order of headers does not matter.
    let headers: BTreeSet<_> = headers.collect();
    let shown = format!("{} {headers:?} {body}", answer.status).replace(email, "an address");
    // The words say the same seconds as the header, and a second may have passed between two answers.
    match answer.headers.get("retry-after").and_then(|seconds| seconds.to_str().ok()) {
        Some(seconds) => shown.replace(&format!(" {seconds} seconds"), " … seconds"),
        None => shown,
    }
}

/// Makes all sequences of calls with all classes of addresses. Within a sequence all classes must see the same.
async fn compare(replica: &Replica, ids: &[(u64, Class, String)]) -> Vec<String> {
    let all: Vec<_> = stream::iter(ids)
        .map(|(sequence, class, id)| async move {
            (*sequence, *class, seen(replica, *sequence, *class, id).await)
        })
        .buffered(24)
        .collect()
        .await;
    for of_sequence in all.chunk_by(|(one, ..), (other, ..)| one == other) {
        assert_eq!(of_sequence.len(), CLASSES.len());
        let (sequence, first, expected) = &of_sequence[0];
        for (_, class, seen) in &of_sequence[1..] {
            assert_eq!(seen, expected, "sequence {sequence}: {class:?} is told from {first:?}");
        }
    }
    all.into_iter().flat_map(|(.., seen)| seen).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sequence_of_answers_tells_one_address_from_another() {
    let world = World::start().await;
    let settings = [("WRONG_CODES", "7/1h"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let replica = world.replica_with(&settings).await;
    let addresses = (0..SEQUENCES).flat_map(|sequence| CLASSES.map(|class| (sequence, class)));
    let ids: Vec<_> = stream::iter(addresses)
        .map(|(sequence, class)| {
            let world = &world;
            async move { (sequence, class, prepare(world, sequence, class).await) }
        })
        .buffered(64)
        .collect()
        .await;
    replica.reads_all().await;
    let seen = compare(&replica, &ids).await;
    let count = |text: &str| seen.iter().filter(|seen| seen.contains(text)).count();
    for answer in
        [": 202", "wrong-code", "no-longer-valid", "wrong-token", "too-soon", "too-many-wrong-codes"]
    {
        assert!(count(answer) > CLASSES.len(), "{answer} is among what was seen");
    }
    assert_eq!(count(": 5") + count(": 404"), 0);

    // The same with a replica that is full.
    let metrics = replica.metrics().await;
    let held = metrics.lines().find_map(|line| line.strip_prefix("user_service_registrations ")).unwrap();
    replica.stop().await;
    let [wrong_codes, proxies] = settings;
    let full = world.replica_with(&[wrong_codes, proxies, ("MAX_PENDING", held)]).await;
    let seen = compare(&full, &ids[..CLASSES.len() * 12]).await;
    assert_eq!(seen.iter().filter(|seen| seen.contains(": 202")).count(), 0, "nothing is taken in");
    assert!(seen.iter().any(|seen| seen.contains("wrong-code")));
    full.stop().await;
}
