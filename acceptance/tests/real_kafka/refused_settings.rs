//! A broker that refuses some settings of the topics.

use crate::access::{get_in, sign_up, world_with};
use acceptance::{kafka::Kafka, service::Service};
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_with_what_the_broker_takes_and_each_lack_is_said_once() {
    let (world, ()) = world_with(Kafka::refuse_settings).await;
    // One broker can't hold three replicas. This one has topics of its own.
    let mut waiting =
        world.user_service("waiting").with("KAFKA_REPLICATION", "3").with("KAFKA_TOPIC_PREFIX", "waiting.");
    waiting.start();
    let mut user_service = world.user_service("user");
    let mut mailer = world.notification_service("notification");
    get_in([&mut user_service, &mut mailer]).await;
    sign_up(&world, &user_service).await;
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
