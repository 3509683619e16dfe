//! Two brokers in two zones: which records a process in the second zone reads there.

use acceptance::{api::Api, inbox::VERIFY, ledger::Registration, proxy::Proxy, world::World};
use contract::topic::Topic;
use reqwest::StatusCode;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn registrations_are_read_in_the_own_zone_and_attempts_from_the_leader() {
    let mut world = World::new().await;
    let near = Proxy::listen().await.expect("a port");
    near.listen_in();
    let (mut second, listener) = world.kafka.second(world.folder(), near.address());
    near.leads_to(listener);
    world.kafka.place_in("zone-1");
    second.place_in("zone-2");
    world.inbox.start().await;
    world.kafka.start().await;
    second.start().await;
    // All leaders are in zone 1. So what comes from zone 2 is read from a follower.
    tokio::join!(
        world.kafka.create_led_by_first(Topic::Created.name()),
        world.kafka.create_led_by_first(Topic::Activity.name()),
        world.kafka.create_led_by_first(Topic::Verified.name()),
    );
    let bare = |service: acceptance::service::Service| {
        service.with("KAFKA_TOPIC_SETTINGS", "ignore").with("KAFKA_REPLICATION", "2")
    };
    let mut far = bare(world.user_service("far"));
    let mut in_zone_2 = bare(world.user_service("near")).with("KAFKA_CLIENT_RACK", "zone-2");
    let mut mailer = bare(world.notification_service("mailer"));
    for service in [&mut far, &mut in_zone_2, &mut mailer] {
        service.start_and_wait().await;
    }
    let (at_far, at_near) = (Api::new(far.address()), Api::new(in_zone_2.address()));

    // One registration may be read before the leader has named the follower. The next ones are read there.
    let began = Instant::now();
    let registration = loop {
        let email = format!("ada{}@example.com", began.elapsed().as_millis());
        let registration = Registration::accepted(&at_far, email).await;
        sleep(Duration::from_millis(500)).await;
        if near.heard(&registration.email) {
            break registration;
        }
        assert!(began.elapsed() < LIMIT, "no registration was read in zone 2");
    };
    let mail = world.inbox.first(&registration.email, VERIFY, LIMIT).await;
    assert!(at_far.verify(&registration.id, "000000").await.is_wrong_code());
    // This waits until the replica has read the attempt and all other records.
    assert_eq!(at_near.verify(&registration.id, mail.code()).await.status, StatusCode::OK);
    assert!(!near.heard("attempt"), "an attempt was read from the follower");
}
