//! A registration has five guesses, at whichever replica they are made and whatever happens to the replicas.

use acceptance::{
    api::{Answer, Api},
    inbox::VERIFY,
    ledger::Registration,
    world::{World, show},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use reqwest::StatusCode;
use std::time::Duration;

const GUESSES: usize = 200;
const ATTEMPTS: usize = 5;
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn registered_at_one_replica_verified_at_the_other() {
    let world = World::start().await;
    let (_a, at_a) = world.ready_user_service("a").await;
    let (_b, at_b) = world.ready_user_service("b").await;
    let _notification_service = world.ready_notification_service("notification").await;
    for number in 0..20 {
        let registration = Registration::accepted(&at_a, format!("person{number}@example.com")).await;
        let mail = world.inbox.first(&registration.email, VERIFY, LIMIT).await;
        let answer = at_b.verify(&registration.id, mail.code()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_guesses_at_once_at_two_replicas_exactly_five_are_compared() {
    let world = World::start().await;
    let (_a, at_a) = world.ready_user_service("a").await;
    let (_b, at_b) = world.ready_user_service("b").await;
    let _notification_service = world.ready_notification_service("notification").await;
    for round in 0..5 {
        let target = Target::register(&world, &at_a, round).await;
        let answers: Vec<_> = target.guess(&[at_a.clone(), at_b.clone()]).collect().await;
        let tally = Tally::of(&answers);
        show(&format!("{tally:?}"));
        assert_eq!(tally, Tally { wrong: ATTEMPTS, gone: GUESSES - ATTEMPTS, unavailable: 0 });
        // Each answer has the number that was left at its time.
        let left = answers.iter().filter_map(|answer| answer.body["attempts_left"].as_u64());
        assert!(left.clone().all(|left| left <= 4) && left.min() == Some(0), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_five_guesses_are_compared_when_a_replica_freezes_and_a_restart_gives_none_back() {
    let world = World::start().await;
    let (mut a, at_a) = world.ready_user_service("a").await;
    let (mut b, at_b) = world.ready_user_service("b").await;
    let _notification_service = world.ready_notification_service("notification").await;
    let mut targets = Vec::new();
    // The last freeze is longer than PUBLISH_TIMEOUT, so the frozen replica's requests have timed out.
    for (round, freeze) in [0, 1, 2, 7].map(Duration::from_secs).into_iter().enumerate() {
        let target = Target::register(&world, &at_a, round).await;
        let mut answering = target.guess(&[at_a.clone(), at_b.clone()]);
        // At the first answer all requests are in flight, and the replica to be frozen has begun with its share.
        let mut answers: Vec<_> = answering.next().await.into_iter().collect();
        b.freeze();
        let frozen = tokio::time::sleep(freeze);
        tokio::pin!(frozen);
        loop {
            tokio::select! {
                () = &mut frozen => break,
                Some(answer) = answering.next() => answers.push(answer),
            }
        }
        let before = answers.len();
        b.thaw();
        answers.extend(answering.collect::<Vec<_>>().await);
        let tally = Tally::of(&answers);
        show(&format!("frozen for {freeze:?}, {before} answers before the thaw: {tally:?}"));
        assert!(tally.wrong <= ATTEMPTS, "{tally:?}");
        targets.push(target);
    }
    a.stop().await;
    b.kill();
    for service in [&mut a, &mut b] {
        service.start_and_wait().await;
    }
    for (target, api) in targets.iter().zip([&at_a, &at_b].into_iter().cycle()) {
        // A code that was tried before may have a place, and would get that place's answer. These two are new.
        for code in [&target.wrong_code(GUESSES), &target.right_code] {
            assert_eq!(api.verify(&target.id, code).await.status, StatusCode::GONE);
        }
        let answer = api.verify_by_link(&target.id, &target.link_token).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

/// A person whose code is being guessed.
struct Target {
    id: String,
    right_code: String,
    link_token: String,
}

/// The answers to guesses, by kind.
#[derive(Debug, PartialEq, Eq)]
struct Tally {
    wrong: usize,
    gone: usize,
    unavailable: usize,
}

impl Target {
    async fn register(world: &World, api: &Api, number: usize) -> Self {
        let registration = Registration::accepted(api, format!("target{number}@example.com")).await;
        let mail = world.inbox.first(&registration.email, VERIFY, LIMIT).await;
        let (right_code, link_token) = (mail.code().to_owned(), mail.link_token().to_owned());
        Self { id: registration.id, right_code, link_token }
    }

    fn wrong_code(&self, number: usize) -> String {
        let right: usize = self.right_code.parse().expect("six digits");
        format!("{:06}", (right + 1 + number) % 1_000_000)
    }

    /// Sends all guesses at once, alternating between the replicas. Yields the answers as they come.
    fn guess(&self, replicas: &[Api]) -> impl futures_util::Stream<Item = Answer> + Unpin + use<> {
        let guesses = (0..GUESSES).zip(replicas.iter().cycle()).map(|(number, api)| {
            let (api, id, code) = (api.clone(), self.id.clone(), self.wrong_code(number));
            tokio::spawn(async move { api.verify(&id, &code).await })
        });
        guesses.collect::<FuturesUnordered<_>>().map(|answer| answer.expect("an answer"))
    }
}

impl Tally {
    /// Counts the answers, and expects no other kind.
    fn of(answers: &[Answer]) -> Self {
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        let wrong = answers.iter().filter(|answer| answer.is_wrong_code()).count();
        let tally = Self {
            wrong,
            gone: count(StatusCode::GONE),
            unavailable: count(StatusCode::SERVICE_UNAVAILABLE),
        };
        assert_eq!(tally.wrong + tally.gone + tally.unavailable, GUESSES, "{answers:?}");
        tally
    }
}
