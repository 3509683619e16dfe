//! A broker that refuses some settings of the topics.

use acceptance::{api::Api, inbox::VERIFY, ledger::Registration, service::Service, world::World};
use reqwest::StatusCode;
use std::time::Duration;
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_with_what_the_broker_takes_and_each_lack_is_said_once() {
    let mut world = World::new().await;
    world.kafka.refuse_settings();
    world.inbox.start().await;
    world.kafka.start().await;
    // One broker can't hold three replicas. This one has topics of its own.
    let mut waiting =
        world.user_service("waiting").with("KAFKA_REPLICATION", "3").with("KAFKA_TOPIC_PREFIX", "waiting.");
    waiting.start();
    let mut user_service = world.user_service("user");
    user_service.start_and_wait().await;
    let mut mailer = world.notification_service("notification");
    mailer.start_and_wait().await;
    let api = Api::new(user_service.address());
    let registration = Registration::accepted(&api, "ada@example.com".to_owned()).await;
    let mail = world.inbox.first(&registration.email, VERIFY, LIMIT).await;
    assert_eq!(api.verify(&registration.id, mail.code()).await.status, StatusCode::OK);
    waiting.alive_and_not_ready().await;
    // Several tries and checks later.
    sleep(Duration::from_secs(8)).await;

    let created = "topic created without the settings that the brokers refuse";
    assert_eq!(count(&user_service, created), 5, "see {}", user_service.log().display());
    assert_eq!(count(&user_service, "settings=\"segment.ms=3600000,compression.type=uncompressed\""), 5);
    assert_eq!(count(&mailer, created), 0, "the topics are there");
    assert_eq!(count(&mailer, "TopicAlreadyExists"), 0, "see {}", mailer.log().display());
    let better =
        "settings that could be better: user_account_created: segment.ms is 604800000, expected 3600000";
    for service in [&user_service, &mailer] {
        assert_eq!(count(service, better), 1, "see {}", service.log().display());
    }
    assert_eq!(count(&waiting, "InvalidReplicationFactor"), 1, "see {}", waiting.log().display());
    for service in [&mut user_service, &mut mailer, &mut waiting] {
        service.stop().await;
    }
}

fn count(service: &Service, text: &str) -> usize {
    service.log_text().matches(text).count()
}
