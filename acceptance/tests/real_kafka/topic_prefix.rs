//! Two teams on one broker, each with rights to the names behind its own prefix alone.

use crate::access::{get_in, world_with};
use acceptance::{
    api::Api,
    inbox::{VERIFIED, VERIFY},
    kafka::{Kafka, sasl_ssl::SaslSsl},
    ledger::Registration,
    proofs,
    service::Service,
    world::World,
};
use reqwest::StatusCode;
use sandbox::smtp::{Action, Script, Stage};
use std::time::{Duration, Instant};

const TEAMS: [&str; 2] = ["team-a", "team-b"];
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn two_teams_with_rights_to_their_own_prefix_alone_work_side_by_side() {
    let (world, access) = world_with(|kafka| {
        let access = kafka.require_tls_and_login();
        kafka.check_rights();
        access
    })
    .await;
    tokio::join!(allow(&world.kafka, TEAMS[0]), allow(&world.kafka, TEAMS[1]));
    let mut teams = Vec::new();
    for team in TEAMS {
        let mut user_service = of(team, &access, world.user_service(&format!("user-{team}")));
        let mut mailer = of(team, &access, world.notification_service(&format!("notification-{team}")));
        get_in([&mut user_service, &mut mailer]).await;
        teams.push((user_service, mailer));
    }

    stays_out(&world, &access).await;

    // The same person at both: neither team mails for the other, or takes the account for verified.
    let email = "ada@example.com";
    for (before, (user_service, _)) in teams.iter().enumerate() {
        let api = Api::new(user_service.address());
        let registration = Registration::accepted(&api, email.to_owned()).await;
        arrives(&world, email, VERIFY, before + 1).await;
        let code = world.inbox.mails(email, VERIFY).pop().expect("it has arrived");
        assert_eq!(api.verify(&registration.id, code.code()).await.status, StatusCode::OK);
        arrives(&world, email, VERIFIED, before + 1).await;
        assert_eq!(world.inbox.count(), 2 * (before + 1), "somebody else has mailed, too");
    }

    // What operators run reads and writes the team's own topics.
    let (user_service, mailer) = &teams[0];
    user_service.command(&["forget", &proofs::account_id(email).to_string()]).await;
    let email = "bob@example.com";
    world.inbox.set_script(Script::at(Stage::Rcpt, Action::reply(550, "nobody here")));
    Registration::accepted(&Api::new(user_service.address()), email.to_owned()).await;
    let began = Instant::now();
    while !mailer.command(&["dead-letters", "list"]).await.contains("recipient_refused") {
        assert!(began.elapsed() < LIMIT, "no dead letter");
    }
    assert!(teams[1].1.command(&["dead-letters", "list"]).await.contains("0 unresolved"));
    world.inbox.set_script(Script::accept_all());
    mailer.command(&["dead-letters", "replay", "--all"]).await;
    arrives(&world, email, VERIFY, 1).await;
    for (mut user_service, mut mailer) in teams {
        user_service.stop().await;
        mailer.stop().await;
    }
}

/// Team A with the prefix of team B: it is not ready, and its log says why.
async fn stays_out(world: &World, access: &SaslSsl) {
    for service in [world.user_service("user-astray"), world.notification_service("notification-astray")] {
        let mut service = of("team-a", access, service).with("KAFKA_TOPIC_PREFIX", "team-b.");
        service.start();
        service.alive_and_not_ready().await;
        service.logs("uthorization failed").await;
        service.alive_and_not_ready().await;
        service.stop().await;
    }
}

fn of(team: &str, access: &SaslSsl, service: Service) -> Service {
    // `forget` waits for these times.
    let service = service.with("PUBLISH_TIMEOUT", "2s").with("MAX_CLOCK_SKEW", "1s");
    access.with_plain(service, team).with("KAFKA_TOPIC_PREFIX", &format!("{team}."))
}

async fn arrives(world: &World, email: &str, subject: &str, count: usize) {
    let arrived = world.inbox.wait_until(LIMIT, || world.inbox.mails(email, subject).len() == count);
    assert!(arrived.await, "no {subject:?} for {email} in time: {:?}", world.folder());
}

/// The rights of docs/operations.md ("Several installations on one Kafka").
async fn allow(kafka: &Kafka, team: &str) {
    let prefix = format!("{team}.");
    let to_topics = ["Create", "Read", "Write", "Describe", "DescribeConfigs"];
    for (operations, kind) in [(&to_topics[..], "--topic"), (&["Read", "Describe"], "--group")] {
        let mut rights = vec!["--resource-pattern-type", "prefixed", kind, &prefix];
        rights.extend(operations.iter().flat_map(|operation| ["--operation", operation]));
        kafka.allow(team, &rights).await;
    }
}
