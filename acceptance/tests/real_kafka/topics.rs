//! Topics that an operator or another program has created or changed.

use acceptance::{
    ledger::{all_mailed, register},
    service::Service,
    world::{World, show},
};
use reqwest::StatusCode;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_break_a_promise_make_both_not_ready_until_the_logged_commands_have_mended_them() {
    let world = World::start().await;
    // Like a topic that Kafka creates automatically: with deletion, and with the producers' times.
    world.kafka.create_topic("user_account_verified", 3, &[]).await;
    world.kafka.create_topic("user_account_activity", 6, &["cleanup.policy=compact"]).await;
    world.kafka.create_topic("user_account_created", 6, &["retention.ms=30000"]).await;
    let mut services = [world.user_service("user"), world.notification_service("notification")];
    for service in &mut services {
        service.start();
    }
    for service in &services {
        for problem in [
            "cleanup.policy is delete, expected compact",
            "min.compaction.lag.ms is 0, expected 172800000",
            "delete.retention.ms is 86400000, expected 172800000",
            "retention.ms is 30000, expected 604800000",
        ] {
            not_ready(service, problem).await;
        }
        for topic in ["user_account_verified", "user_account_created"] {
            let problem = format!("{topic}: message.timestamp.type is CreateTime, expected LogAppendTime");
            not_ready(service, &problem).await;
        }
    }
    // Only the user service reads this topic.
    not_ready(&services[0], "user_account_activity: message.timestamp.type is CreateTime").await;
    not_ready(&services[0], "cleanup.policy is compact, expected delete").await;
    let api = acceptance::api::Api::new(services[0].address());
    let answer = api.register("too-early@example.com").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");

    for command in mends(&services[0]) {
        show(&command.join(" "));
        world.kafka.configs(&command.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    for service in &mut services {
        service.ready().await;
    }
    all_mailed(&register(&api, "person", 12).await, &world.inbox, LIMIT).await;
    for service in &mut services {
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_the_operators_alone_with_ignore() {
    let world = World::start().await;
    world.kafka.create_topic("user_account_verified", 3, &[]).await;
    for service in [world.user_service("user"), world.notification_service("notification")] {
        let mut service = service.with("KAFKA_TOPIC_SETTINGS", "ignore");
        service.start_and_wait().await;
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn added_partitions_make_the_user_service_not_ready_until_its_restart_and_mails_go_on() {
    const NOTICED: Duration = Duration::from_secs(10);
    let world = World::start().await;
    let (mut user_service, api) = world.ready_user_service("user").await;
    let mut notification_service = world.ready_notification_service("notification").await;
    let mut registrations = register(&api, "before", 12).await;

    world.kafka.add_partitions("user_account_created", 12).await;
    let added = Instant::now();
    not_ready(&user_service, "user_account_created has 12 partitions and had 6").await;
    show(&format!("noticed {:.1?} after the command", added.elapsed()));
    assert!(added.elapsed() < NOTICED, "{:?}", added.elapsed());
    let log = std::fs::read_to_string(user_service.log()).expect("its log");
    assert!(log.contains("not ready, because user_account_created has 12 partitions"), "{log}");
    let answer = api.register("too-early@example.com").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(notification_service.is_ready().await);

    user_service.stop().await;
    user_service.start_and_wait().await;
    registrations.extend(register(&api, "after", 60).await);
    all_mailed(&registrations, &world.inbox, LIMIT).await;
    for registration in &registrations {
        let mail = &registration.code_mails(&world.inbox)[0];
        assert_eq!(api.verify(&registration.id, mail.code()).await.status, StatusCode::OK);
    }
    user_service.stop().await;
    notification_service.stop().await;
}

/// Waits until the service is not ready for this reason.
async fn not_ready(service: &Service, reason: &str) {
    let began = Instant::now();
    loop {
        let answer = reqwest::get(format!("http://{}/health/ready", service.address())).await;
        // A process that has just started does not listen yet.
        let answer = match answer {
            Ok(answer) => Ok((answer.status(), answer.text().await.expect("text"))),
            Err(error) => Err(error),
        };
        match answer {
            Ok((StatusCode::SERVICE_UNAVAILABLE, body)) if body.contains(reason) => return,
            other => assert!(began.elapsed() < LIMIT, "{other:?}"),
        }
        sleep(POLL).await;
    }
}

/// The arguments of the commands in the log, without the brokers.
fn mends(service: &Service) -> Vec<Vec<String>> {
    let log = std::fs::read_to_string(service.log()).expect("its log");
    let commands = log.lines().filter_map(|line| line.split_once("kafka-configs.sh --bootstrap-server "));
    commands
        .map(|(_, rest)| rest.split('"').next().unwrap_or_default())
        .map(|arguments| arguments.split(' ').skip(1).map(str::to_owned).collect())
        .collect()
}
