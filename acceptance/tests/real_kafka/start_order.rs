//! The parts may start in any order. A service starts alone, and works when the others appear.

use acceptance::{
    api::Api,
    inbox::{VERIFIED, VERIFY},
    ledger::Registration,
    service::Service,
    world::{World, show},
};
use reqwest::StatusCode;
use std::time::{Duration, Instant};

/// A mail must go out within this time after the last part has started.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Broker,
    MailServer,
    UserService,
    NotificationService,
}
use Part::{Broker, MailServer, NotificationService, UserService};

#[tokio::test(flavor = "multi_thread")]
async fn both_services_wait_for_the_broker_which_comes_last() {
    comes_up([UserService, NotificationService, MailServer, Broker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_services_start_alone_and_the_mail_server_comes_last() {
    comes_up([NotificationService, UserService, Broker, MailServer]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_registered_without_a_mail_server_is_mailed_when_it_comes() {
    comes_up([Broker, NotificationService, UserService, MailServer]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_registered_without_a_notification_service_is_mailed_when_it_comes() {
    comes_up([Broker, MailServer, UserService, NotificationService]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_service_may_come_last() {
    comes_up([MailServer, NotificationService, Broker, UserService]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_service_takes_registrations_while_it_is_alone_with_the_broker() {
    comes_up([UserService, Broker, NotificationService, MailServer]).await;
}

/// Starts the parts in this order. When the broker and the user service are there, a person registers, whatever is missing.
/// When all are there, the mail arrives, its code verifies, and the confirmation arrives.
async fn comes_up(order: [Part; 4]) {
    let world = World::new().await;
    let mut user_service = world.user_service("user");
    let mut notification_service = world.notification_service("notification");
    let api = Api::new(user_service.address());
    let mut present = Vec::new();
    let mut registration = None;
    for part in order {
        match part {
            Broker => world.kafka.start().await,
            MailServer => world.inbox.start().await,
            UserService => user_service.start(),
            NotificationService => notification_service.start(),
        }
        present.push(part);
        if !present.contains(&Broker) {
            wait_in_vain(&user_service, &notification_service, &api, part).await;
        } else if registration.is_none() && present.contains(&UserService) {
            let waited = user_service.ready().await;
            show(&format!("user service ready {waited:.1?} after {part:?}"));
            registration = Some(Registration::accepted(&api, "ada@example.com".to_owned()).await);
        }
    }
    let complete = Instant::now();
    let registration = registration.expect("the broker and the user service are among the parts");
    let mail = world.inbox.first(&registration.email, VERIFY, LIMIT).await;
    show(&format!("mail {:.1?} after the last part, {:?}", complete.elapsed(), order[3]));
    assert_eq!(api.verify(&registration.id, mail.code()).await.status, StatusCode::OK);
    world.inbox.first(&registration.email, VERIFIED, LIMIT).await;
    assert_eq!(world.inbox.count(), 2, "each mail once");
    user_service.stop().await;
    notification_service.stop().await;
}

/// Without a broker a service is live, not ready, and refuses requests that it could not keep.
async fn wait_in_vain(user_service: &Service, notification_service: &Service, api: &Api, part: Part) {
    match part {
        UserService => {
            user_service.alive_and_not_ready().await;
            let answer = api.register("too-early@example.com").await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
            assert!(answer.retry_after.is_some(), "{answer:?}");
        }
        NotificationService => notification_service.alive_and_not_ready().await,
        Broker | MailServer => {}
    }
}
