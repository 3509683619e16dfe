//! The main job: register, read the code, verify, be told so.

use acceptance::{
    api::{Answer, Api, between},
    inbox::{Inbox, Mail, VERIFIED, VERIFY},
    latency::Latencies,
    ledger::Registration,
    load::open_loop,
    world::{World, show},
};
use reqwest::StatusCode;
use std::{sync::Arc, time::Duration};

const SIGNUPS: usize = 500;
const LIMIT: Duration = Duration::from_secs(30);

struct Signup {
    registration: Registration,
    code: Mail,
    verified: Answer,
    confirmation: Mail,
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_signups_at_fifty_a_second_are_mailed_verified_and_confirmed_once_each() {
    let world = Arc::new(World::start().await);
    let (_user_service, api) = world.ready_user_service("user").await;
    let _notification_service = world.ready_notification_service("notification").await;

    let signups = open_loop(
        50,
        |number| number < SIGNUPS,
        |number| {
            let (world, api) = (Arc::clone(&world), api.clone());
            async move { sign_up(&api, &world.inbox, format!("person{number}@example.com")).await }
        },
    )
    .await;

    for Signup { registration, .. } in &signups {
        assert_eq!(registration.code_mails(&world.inbox).len(), 1, "{}", registration.email);
        assert_eq!(world.inbox.mails(&registration.email, VERIFIED).len(), 1, "{}", registration.email);
    }
    assert_eq!(world.inbox.count(), 2 * SIGNUPS, "and nothing else was mailed");

    let latencies = |of: fn(&Signup) -> Duration| signups.iter().map(of).collect::<Latencies>();
    let register = latencies(|it| between(it.registration.sent_at, it.registration.answered_at));
    let request_to_mail = latencies(|it| between(it.registration.sent_at, it.code.received_at));
    let answer_to_mail = latencies(|it| between(it.registration.answered_at, it.code.received_at));
    let verify = latencies(|it| it.verified.latency());
    let request_to_confirmation = latencies(|it| between(it.verified.sent_at, it.confirmation.received_at));
    show(&format!("register                 {register}"));
    show(&format!("register sent -> mail    {request_to_mail}"));
    show(&format!("register answered -> mail {answer_to_mail}"));
    show(&format!("verify                   {verify}"));
    show(&format!("verify sent -> confirmed {request_to_confirmation}"));
    // A wrong setting of a Kafka client costs hundreds of milliseconds, each time.
    for latencies in [register, request_to_mail, verify, request_to_confirmation] {
        assert!(latencies.p50() < Duration::from_millis(50), "{latencies}");
        assert!(latencies.p99() < Duration::from_millis(500), "{latencies}");
    }
}

async fn sign_up(api: &Api, inbox: &Inbox, email: String) -> Signup {
    let registration = Registration::accepted(api, email).await;
    let code = inbox.first(&registration.email, VERIFY, LIMIT).await;
    let verified = api.verify(&registration.id, code.code()).await;
    assert_eq!(verified.status, StatusCode::OK, "{verified:?}");
    let confirmation = inbox.first(&registration.email, VERIFIED, LIMIT).await;
    Signup { registration, code, verified, confirmation }
}
