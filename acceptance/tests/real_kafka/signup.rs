//! The main job: register, read the code, verify, get the confirmation.

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
/// A new broker is slow until its JVM has compiled the code in use.
const WARM_UP: usize = 150;
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

    show_latencies("cold broker", &sign_up_people(&world, &api, "early", WARM_UP).await);
    let signups = sign_up_people(&world, &api, "person", SIGNUPS).await;
    // A wrong setting of a Kafka client costs hundreds of milliseconds, each time.
    for latencies in show_latencies("warm broker", &signups) {
        assert!(latencies.p50() < Duration::from_millis(50), "{latencies}");
        assert!(latencies.p99() < Duration::from_millis(300), "{latencies}");
    }
    for Signup { registration, .. } in &signups {
        assert_eq!(registration.code_mails(&world.inbox).len(), 1, "{}", registration.email);
        assert_eq!(world.inbox.mails(&registration.email, VERIFIED).len(), 1, "{}", registration.email);
    }
    assert_eq!(world.inbox.count(), 2 * (WARM_UP + SIGNUPS), "and nothing else was mailed");
}

async fn sign_up_people(world: &Arc<World>, api: &Api, name: &str, count: usize) -> Vec<Signup> {
    let begin = |number| {
        let (world, api, email) = (Arc::clone(world), api.clone(), format!("{name}{number}@example.com"));
        async move { sign_up(&api, &world.inbox, email).await }
    };
    open_loop(50, |number| number < count, begin).await
}

async fn sign_up(api: &Api, inbox: &Inbox, email: String) -> Signup {
    let registration = Registration::accepted(api, email).await;
    let code = inbox.first(&registration.email, VERIFY, LIMIT).await;
    let verified = api.verify(&registration.id, code.code()).await;
    assert_eq!(verified.status, StatusCode::OK, "{verified:?}");
    let confirmation = inbox.first(&registration.email, VERIFIED, LIMIT).await;
    Signup { registration, code, verified, confirmation }
}

fn show_latencies(when: &str, signups: &[Signup]) -> [Latencies; 5] {
    let of = |time: fn(&Signup) -> Duration| signups.iter().map(time).collect::<Latencies>();
    let latencies = [
        ("register", of(|it| between(it.registration.sent_at, it.registration.answered_at))),
        ("register sent to mail", of(|it| between(it.registration.sent_at, it.code.received_at))),
        ("register answered to mail", of(|it| between(it.registration.answered_at, it.code.received_at))),
        ("verify", of(|it| it.verified.latency())),
        ("verify sent to confirmation", of(|it| between(it.verified.sent_at, it.confirmation.received_at))),
    ];
    latencies.map(|(what, latencies)| {
        show(&format!("{when}, {what}: {latencies}"));
        latencies
    })
}
