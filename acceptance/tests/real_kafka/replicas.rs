//! Notification services that join and leave share the work, and nobody gets a duplicate or a late mail because of it.

use acceptance::{
    api::between,
    latency::Latencies,
    ledger::{Registering, Registration, all_mailed, register},
    service::Service,
    world::{World, show},
};
use futures_util::future::join_all;
use sandbox::smtp::{Action, Script, Stage};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// More than enough for the client's prefetch.
const PAUSED: Duration = Duration::from_secs(3);
const RETRIES: &str = "user_account_mail_retry";
/// The interval of the client's statistics, and a margin.
const STATISTICS: Duration = Duration::from_secs(6);
const LAG: &str = "notification_lag_records{";
const DELIVERED: &str = "notification_records_ended_total{outcome=\"delivered\"}";

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_join_one_after_another_share_the_codes() {
    const REPLICAS: usize = 3;
    const EARLY: usize = 60;
    const PEOPLE: usize = 240;
    /// The partitions of new registrations.
    const PARTITIONS: usize = 6;
    /// After this time a stopping service no longer waits for its client to close.
    const STOPPED: Duration = Duration::from_secs(5);
    let world = World::start().await;
    let (_user_service, api) = world.ready_user_service("user").await;
    let mut replicas = vec![world.ready_notification_service("notification-0").await];
    // These mails show that the first replica has read all partitions.
    all_mailed(&register(&api, "early", EARLY).await, &world.inbox, LIMIT).await;
    for number in 1..REPLICAS {
        replicas.push(world.ready_notification_service(&format!("notification-{number}")).await);
    }
    let registrations = register(&api, "person", PEOPLE).await;
    all_mailed(&registrations, &world.inbox, LIMIT).await;
    let mut shares = timeout(LIMIT, delivered(&replicas, EARLY + PEOPLE)).await.expect("all counted in time");
    shares[0] -= EARLY;
    show(&format!("{PEOPLE} codes, mailed by each of {REPLICAS} replicas that joined in turn: {shares:?}"));
    assert_eq!(shares.iter().sum::<usize>(), PEOPLE, "each code once");
    // Random ids spread over the partitions.
    assert!(shares.iter().all(|share| *share > PEOPLE / REPLICAS / 2), "{shares:?}");

    sleep(STATISTICS).await;
    let reported = join_all(replicas.iter().map(async |replica| metric(replica, LAG).await.len())).await;
    assert_eq!(reported, [PARTITIONS / REPLICAS; REPLICAS], "the lag of its own partitions and no others");

    let began = Instant::now();
    join_all(replicas.iter_mut().map(Service::stop)).await;
    show(&format!("all stopped at once in {:.1?}", began.elapsed()));
    assert!(began.elapsed() < STOPPED, "they waited for each other");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_gracefully_cost_no_duplicate_and_seconds_at_most() {
    const PER_SECOND: u32 = 30;
    /// How long the server takes for one mail in forty. A rebalance waits until such a mail has ended.
    const SLOW: Duration = Duration::from_secs(7);
    const EVERY: usize = 40;
    /// The time of two members that stop one after the other, and of the mail itself.
    const LATEST: Duration = Duration::from_secs(30);
    let world = World::start().await;
    let (_user_service, api) = world.ready_user_service("user").await;
    let ends = take_time_for_slow(&world, Action::Delay(SLOW));
    let mut replicas = ["a", "b", "c"].map(|name| world.notification_service(name));
    replicas[0].start_and_wait().await;

    let load = Registering::begin(PER_SECOND, move |number| {
        let api = api.clone();
        let name = if number % EVERY == 0 { "slow" } else { "person" };
        async move { Registration::accepted(&api, format!("{name}{number}@example.com")).await }
    });
    for joins in [1, 2] {
        sleep(SLOW).await;
        replicas[joins].start_and_wait().await;
    }
    for leaves in [0, 1] {
        sleep(SLOW).await;
        replicas[leaves].stop().await;
    }
    sleep(SLOW).await;
    let registrations = load.end().await;
    all_mailed(&registrations, &world.inbox, LIMIT).await;
    replicas[2].stop().await;

    assert_eq!(handed_over_twice(&ends), [""; 0]);
    let waited: Latencies = registrations
        .iter()
        .map(|it| between(it.answered_at, it.code_mails(&world.inbox)[0].received_at))
        .collect();
    show(&format!(
        "{} registrations, answer to mail while members came and went: {waited}",
        registrations.len()
    ));
    assert!(waited.max() < LATEST, "{waited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_outlasts_a_rebalance_may_have_one_duplicate_and_those_behind_it_have_none() {
    let world = World::start().await;
    let (_user_service, api) = world.ready_user_service("user").await;
    let ends = take_time_for_slow(&world, Action::Hang);
    let mut replicas = ["a", "b"].map(|name| world.notification_service(name));
    replicas[0].start_and_wait().await;
    let mut registrations = register(&api, "slow", 12).await;
    registrations.extend(register(&api, "person", 120).await);
    assert!(world.inbox.wait_for_count(120, LIMIT).await);
    replicas[1].start_and_wait().await;
    until("somebody mails it again", || !handed_over_twice(&ends).is_empty()).await;
    sleep(PAUSED).await;
    world.inbox.set_script(Script::accept_all());
    all_mailed(&registrations, &world.inbox, LIMIT).await;
    join_all(replicas.iter_mut().map(Service::stop)).await;
    let twice = handed_over_twice(&ends);
    assert!(twice.iter().all(|recipient| recipient.starts_with("slow")), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_joins_again_before_its_partitions_were_given_up_goes_on() {
    const GIVEN_UP: &str = "partitions are given up";
    /// The interval of the client's metadata refresh, and a margin.
    const LOOKS: Duration = Duration::from_secs(11);
    let world = World::start().await;
    let (_user_service, api) = world.ready_user_service("user").await;
    let _ends = take_time_for_slow(&world, Action::Hang);
    let mut replica = world.notification_service("notification");
    replica.start_and_wait().await;
    let mut registrations = register(&api, "slow", 1).await;
    registrations.extend(register(&api, "person", 20).await);
    assert!(world.inbox.wait_for_count(20, LIMIT).await);

    world.kafka.add_partitions(RETRIES, 7).await;
    until("it learns of the new partition", || {
        std::fs::read_to_string(replica.log()).expect("its log").contains(GIVEN_UP)
    })
    .await;
    // The mail in flight delays the rebalance until the client sees another new partition.
    world.kafka.add_partitions(RETRIES, 8).await;
    sleep(LOOKS).await;
    world.inbox.set_script(Script::accept_all());
    registrations.extend(register(&api, "later", 120).await);
    all_mailed(&registrations, &world.inbox, LIMIT).await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_is_too_long_to_be_taken_at_once_is_mailed_although_members_come_and_go() {
    /// Partitions are paused at eight thousand waiting records.
    const PEOPLE: usize = 12_000;
    let world = World::start().await;
    let (_user_service, api) = world.ready_user_service("user").await;
    let registrations = register(&api, "person", PEOPLE).await;
    world.inbox.set_script(Script::new(|_| Action::Hang));
    let mut replicas =
        ["a", "b"].map(|name| world.notification_service(name).with("SMTP_REPLY_TIMEOUT", "1s"));
    replicas[0].start_and_wait().await;
    sleep(PAUSED).await;
    replicas[1].start_and_wait().await;
    sleep(PAUSED).await;
    replicas[1].stop().await;
    world.inbox.set_script(Script::accept_all());
    assert!(world.inbox.wait_for_count(PEOPLE, LIMIT).await, "{} of {PEOPLE}", world.inbox.count());
    all_mailed(&registrations, &world.inbox, LIMIT).await;
    replicas[0].stop().await;
    assert_eq!(world.inbox.count(), PEOPLE, "each code once");
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "not in time: {what}");
        sleep(POLL).await;
    }
}

/// How often the final dot of a mail to each address was sent.
type Ends = Arc<Mutex<HashMap<String, usize>>>;

/// Makes the mail server take this action after the final dot of mails to `slow…`.
fn take_time_for_slow(world: &World, action: Action) -> Ends {
    let ends = Ends::default();
    let ended = Arc::clone(&ends);
    world.inbox.set_script(Script::new(move |step| {
        let (Stage::EndOfData, [recipient]) = (step.stage, step.recipients) else { return Action::Accept };
        *ended.lock().expect("not poisoned").entry(recipient.clone()).or_default() += 1;
        if recipient.starts_with("slow") { action.clone() } else { Action::Accept }
    }));
    ends
}

fn handed_over_twice(ends: &Ends) -> Vec<String> {
    let ends = ends.lock().expect("not poisoned");
    ends.iter().filter(|(_, times)| **times > 1).map(|(recipient, _)| recipient.clone()).collect()
}

/// The number of mails from each replica, once they are `in_all` together.
async fn delivered(replicas: &[Service], in_all: usize) -> Vec<usize> {
    loop {
        let delivered = async |replica| metric(replica, DELIVERED).await[0];
        let shares = join_all(replicas.iter().map(delivered)).await;
        if shares.iter().sum::<usize>() >= in_all {
            return shares;
        }
        sleep(POLL).await;
    }
}

/// The values of a metric's lines with this beginning.
async fn metric(service: &Service, begin: &str) -> Vec<usize> {
    let metrics = reqwest::get(format!("http://{}/metrics", service.address())).await;
    let metrics = metrics.expect("an answer").text().await.expect("text");
    let lines = metrics.lines().filter(|line| line.starts_with(begin));
    lines
        .map(|line| line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number"))
        .collect()
}
