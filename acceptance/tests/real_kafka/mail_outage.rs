//! Signup speed does not depend on the mail server.

use acceptance::{
    ledger::{Registration, all_mailed, register_latencies},
    load::open_loop,
    world::{World, show},
};
use sandbox::smtp::{Action, Script};
use std::time::Duration;

const PHASE: usize = 400;
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn registering_is_as_quick_while_the_mail_server_hangs_as_while_it_works() {
    let world = World::start().await;
    let (_user_service, api) = world.ready_user_service("user").await;
    let _notification_service = world.ready_notification_service("notification").await;
    let (mut working, mut hanging) = (Vec::new(), Vec::new());
    // In turns, so that other load on the machine affects both. The first round is a warm-up and does not count.
    for round in 0..=ROUNDS {
        for hangs in [false, true] {
            if hangs {
                world.inbox.set_script(Script::new(|_| Action::Hang));
            }
            let registrations = open_loop(
                100,
                |number| number < PHASE,
                |number| {
                    let api = api.clone();
                    let email = format!("person{number}-{hangs}-{round}@example.com");
                    async move { Registration::accepted(&api, email).await }
                },
            )
            .await;
            world.inbox.set_script(Script::accept_all());
            all_mailed(&registrations, &world.inbox, LIMIT).await;
            if round > 0 {
                let phases = if hangs { &mut hanging } else { &mut working };
                phases.extend(registrations);
            }
        }
    }
    let (working, hanging) = (register_latencies(&working), register_latencies(&hanging));
    show(&format!("mail server works: {working}"));
    show(&format!("mail server hangs: {hanging}"));
    assert!(hanging.p50() < 2 * working.p50() + Duration::from_millis(2), "slower while it hangs");
    assert!(hanging.p99() < 2 * working.p99() + Duration::from_millis(100), "slower while it hangs");
}
