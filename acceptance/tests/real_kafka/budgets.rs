//! The log counts guesses: twenty-five for a window's code and five for a registration, through crashes, restarts and the
//! end of a window. The link works all the time.

use acceptance::{
    api::{Answer, Api},
    ledger::Registration,
    log, proofs,
    service::Service,
    world::{World, show},
};
use contract::{
    event::{Event, EventId},
    topic::Topic,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

const EMAIL: &str = "ada@example.com";
const GUESSERS: usize = 16;
const CODE_ATTEMPTS: usize = 5;
const WINDOW_ATTEMPTS: usize = 25;
const LIMIT: Duration = Duration::from_secs(10);
/// After this time without an answer, the other replica is asked.
const PATIENCE: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn of_the_guesses_of_many_registrations_twenty_five_are_compared_in_a_window() {
    const WINDOW: Duration = Duration::from_secs(40);
    let world = World::start().await;
    let replica = |name| {
        let service = world.user_service(name).with("WINDOW", "40s").with("CODE_TTL", "30s");
        service.with("MAX_CLOCK_SKEW", "2s").with("LINK_TTL", "3m").with("RESEND_COOLDOWN", "1s")
    };
    let (mut a, mut b) = (replica("a"), replica("b"));
    tokio::join!(a.start_and_wait(), b.start_and_wait());
    let replicas = [Api::new(a.address()), Api::new(b.address())];

    sleep_until(WINDOW, Duration::from_secs(22)).await;
    let window = proofs::window_at(Timestamp::now(), WINDOW);
    let owner = Registration::accepted(&replicas[0], EMAIL.to_owned()).await;
    let link = Arc::new(Link {
        id: owner.id,
        token: proofs::link_token(EMAIL, window),
        over: AtomicBool::new(false),
    });
    let watched = tokio::spawn(Arc::clone(&link).watch(replicas.clone()));

    // A crash during the guesses: published guesses stay counted.
    let wrong = tokio::spawn(guess_wrong(replicas.clone(), window));
    sleep(Duration::from_millis(200)).await;
    restart(&mut b).await;
    let wrong = wrong.await.expect("guesses");
    let right = guess_right(&replicas, window).await;
    assert_eq!(proofs::window_at(Timestamp::now(), WINDOW), window, "too slow: the window ended");

    sleep_until(WINDOW, Duration::ZERO).await;
    let late = guess_right(&replicas, window).await;
    restart(&mut a).await;
    let wrong_again = guess_wrong(replicas.clone(), window + 1).await;
    let right_again = guess_right(&replicas, window + 1).await;
    link.over.store(true, Ordering::Relaxed);
    let looks = watched.await.expect("the link works");
    let answer = replicas[1].verify_by_link(&link.id, &link.token).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");

    for guesses in [&wrong, &wrong_again] {
        for guesser in guesses {
            let compared = guesser.iter().filter(|answer| answer.is_wrong_code()).count();
            assert_eq!(compared, CODE_ATTEMPTS, "{guesser:?}");
            assert!(
                guesser[CODE_ATTEMPTS..].iter().all(|answer| answer.status == StatusCode::GONE),
                "{guesser:?}"
            );
        }
    }
    // A right code that is compared verifies. So these were not compared, and the log shows each beyond its window's budget.
    let places = Places::read(&world);
    let mut beyond = 0;
    for (guesses, window) in [(&right, window), (&late, window), (&right_again, window + 1)] {
        for (id, answer) in guesses {
            assert!(answer.is_wrong_code(), "{answer:?}");
            let place = places.of(id, window);
            assert!(place > WINDOW_ATTEMPTS, "the right code has place {place}, which is compared");
            beyond += 1;
        }
    }
    show(&format!("{beyond} right codes beyond the budget of their window; {looks} looks at the link"));
    assert!(places.of_registrations.values().all(|guesses| guesses.len() <= CODE_ATTEMPTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn four_windows_later_and_after_a_crash_the_link_works_and_spent_guesses_stay_spent() {
    const WINDOW: Duration = Duration::from_secs(6);
    let world = World::start().await;
    let service = world.user_service("user").with("WINDOW", "6s").with("CODE_TTL", "2s");
    let mut service =
        service.with("MAX_CLOCK_SKEW", "1s").with("LINK_TTL", "2m").with("RESEND_COOLDOWN", "1s");
    service.start_and_wait().await;
    let api = Api::new(service.address());
    sleep_until(WINDOW, Duration::ZERO).await;
    let window = proofs::window_at(Timestamp::now(), WINDOW);
    let registration = Registration::accepted(&api, EMAIL.to_owned()).await;
    for number in 1..=CODE_ATTEMPTS {
        let answer = api.verify(&registration.id, &proofs::wrong_code(EMAIL, window, number)).await;
        assert!(answer.is_wrong_code(), "{answer:?}");
    }
    sleep(3 * WINDOW).await;
    sleep_until(WINDOW, Duration::ZERO).await;
    restart(&mut service).await;

    let now = proofs::window_at(Timestamp::now(), WINDOW);
    assert!(now >= window + 4, "{now}");
    let answer = api.verify(&registration.id, &proofs::code(EMAIL, now)).await;
    assert_eq!(answer.status, StatusCode::GONE, "{answer:?}");
    let token = proofs::link_token(EMAIL, window);
    for answer in
        [api.registration(&registration.id, &token).await, api.verify_by_link(&registration.id, &token).await]
    {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

/// Each guesser registers, and tries more wrong codes than a registration allows, at both replicas.
async fn guess_wrong(replicas: [Api; 2], window: u64) -> Vec<Vec<Answer>> {
    let guessers = (0..GUESSERS).map(|guesser| {
        let replicas = replicas.clone();
        tokio::spawn(async move {
            let id = register(&replicas, guesser).await;
            let mut answers = Vec::new();
            for number in 0..CODE_ATTEMPTS + 2 {
                let code = proofs::wrong_code(EMAIL, window, guesser * 100 + number);
                answers.push(verify(&replicas, guesser + number, &id, &code).await);
            }
            answers
        })
    });
    join_all(guessers).await.into_iter().map(|answers| answers.expect("answers")).collect()
}

/// Each guesser registers, and tries the right code of a window.
async fn guess_right(replicas: &[Api; 2], window: u64) -> Vec<(String, Answer)> {
    let guesses = (0..GUESSERS).map(|guesser| async move {
        let id = register(replicas, guesser).await;
        let answer = verify(replicas, guesser, &id, &proofs::code(EMAIL, window)).await;
        (id, answer)
    });
    join_all(guesses).await
}

async fn register(replicas: &[Api; 2], first: usize) -> String {
    let body = json!({"first_name": "Ada", "last_name": "Lovelace", "email": EMAIL});
    let answer = insist(replicas, first, "/api/register", body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    answer.id().to_owned()
}

async fn verify(replicas: &[Api; 2], first: usize, id: &str, code: &str) -> Answer {
    insist(replicas, first, "/api/verify", json!({"id": id, "code": code})).await
}

/// Asks one replica after the other until one answers.
async fn insist(replicas: &[Api; 2], first: usize, path: &str, body: serde_json::Value) -> Answer {
    let asked = async {
        for api in replicas.iter().cycle().skip(first % 2) {
            match api.try_post(path, &body, "guess", PATIENCE).await {
                Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE => return answer,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
        unreachable!("the replicas are asked without end")
    };
    tokio::time::timeout(LIMIT, asked).await.expect("an answer in time")
}

async fn restart(service: &mut Service) {
    service.kill();
    service.start_and_wait().await;
}

/// Sleeps until this much of a window is left; for zero, until the next window begins.
async fn sleep_until(window: Duration, left: Duration) {
    let milliseconds = |time: Duration| i64::try_from(time.as_millis()).expect("a short time");
    let now = Timestamp::now().as_millisecond();
    let wait = (-milliseconds(left) - now).rem_euclid(milliseconds(window));
    sleep(Duration::from_millis(wait.unsigned_abs())).await;
}

/// The link in the owner's mail.
struct Link {
    id: String,
    token: String,
    over: AtomicBool,
}

impl Link {
    /// Opens the link again and again at both replicas, and returns how often. A replica that restarts may not answer.
    async fn watch(self: Arc<Self>, replicas: [Api; 2]) -> usize {
        let mut looks = 0;
        let body = json!({"id": self.id, "token": self.token});
        while !self.over.load(Ordering::Relaxed) {
            for api in &replicas {
                match api.try_post("/api/registration", &body, "owner", PATIENCE).await {
                    Ok(answer) if answer.status == StatusCode::OK => looks += 1,
                    Ok(answer) => assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}"),
                    Err(_) => {}
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        looks
    }
}

/// The places of guesses, computed from the order of the log.
struct Places {
    of_registrations: HashMap<String, Vec<EventId>>,
    of_windows: HashMap<u64, Vec<EventId>>,
}

impl Places {
    fn read(world: &World) -> Self {
        let mut places = Self { of_registrations: HashMap::new(), of_windows: HashMap::new() };
        for record in log::read(&world.kafka.bootstrap(), Topic::Activity) {
            let Some(Event::Attempt(attempt)) = record.event else { continue };
            let guess = attempt.event_id;
            let registration = places.of_registrations.entry(attempt.registration.to_string()).or_default();
            if !registration.contains(&guess) {
                if registration.len() == CODE_ATTEMPTS {
                    continue;
                }
                registration.push(guess);
            }
            for window in attempt.windows {
                let guesses = places.of_windows.entry(window).or_default();
                if !guesses.contains(&guess) {
                    guesses.push(guess);
                }
            }
        }
        places
    }

    /// The place in a window, from 1, of a registration's only guess.
    fn of(&self, registration: &str, window: u64) -> usize {
        let guess = self.of_registrations[registration][0];
        1 + self.of_windows[&window].iter().position(|it| *it == guess).expect("a place in this window")
    }
}
