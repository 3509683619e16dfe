//! Several mail servers: the first one fails in many ways, and the second takes its mail.

use crate::world::{DEADLINE, Service, World, address, created, distinct_ids};
use contract::topic::Topic;
use futures_util::future::join_all;
use sandbox::smtp::{Action, ReceivedMail, Script, SmtpServer, Stage};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

const MAILS: u8 = 20;
/// Short where a silent server is waited for. The reply time-out stays long: it is the silence that counts.
const SILENCE: [(&str, &str); 3] =
    [("SMTP_TIMEOUT", "700ms"), ("SMTP_FINAL_TIMEOUT", "2s"), ("SMTP_CONNECTIONS", "4")];

/// A world with a second server.
struct Two {
    world: World,
    second: SmtpServer,
}

impl Two {
    async fn new() -> Self {
        Self { world: World::new(2).await, second: SmtpServer::start(0).await.unwrap() }
    }

    async fn start(&self, changes: &[(&str, &str)]) -> Service {
        let (host, port) = (self.second.address().ip().to_string(), self.second.address().port().to_string());
        let second = [("SMTP_2_HOST", host.as_str()), ("SMTP_2_PORT", port.as_str())];
        self.world.start(&[&second[..], &SILENCE, changes].concat()).await
    }

    /// Publishes events, waits until each is mailed by one of the two, and returns all mails of the first and the second.
    async fn all_mailed(&self, fault: &str) -> [Vec<ReceivedMail>; 2] {
        self.world.publish(&(0..MAILS).map(created).collect::<Vec<_>>()).await;
        let began = Instant::now();
        loop {
            let mails = [self.world.smtp.mails(), self.second.mails()];
            if distinct_ids(&mails.concat()) == usize::from(MAILS) {
                return mails;
            }
            assert!(
                began.elapsed() < DEADLINE,
                "{fault}: {} by the first, {} by the second",
                mails[0].len(),
                mails[1].len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_not_away_because_its_rate_makes_mails_wait() {
    let two = Two::new().await;
    two.world.publish(&(0..2).map(created).collect::<Vec<_>>()).await;
    // 1.5 s from mail to mail: longer than the longest sleep between two looks at the servers.
    let service = two.start(&[("SMTP_TIMEOUT", "200ms"), ("SMTP_MAX_RATE", "40/min")]).await;
    let mails = two.world.wait_for_mails(2).await;
    service.stop().await;
    assert_eq!((distinct_ids(&mails), two.second.mails().len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_needs_another_session_does_not_wait_for_the_rate_again() {
    let two = Two::new().await;
    let begun = AtomicUsize::new(0);
    // The second mail begins in the session of the first one, which the server ends. Another wait of 3 s for the rate would be
    // longer than the server may be silent, which is looked at every second.
    two.world.smtp.set_script(Script::new(move |step| {
        let is_second = step.stage == Stage::Mail && begun.fetch_add(1, Ordering::SeqCst) == 1;
        if is_second { Action::reply(421, "4.4.2 idle for too long") } else { Action::Accept }
    }));
    two.world.publish(&(0..2).map(created).collect::<Vec<_>>()).await;
    let service = two.start(&[("SMTP_MAX_RATE", "20/min")]).await;
    two.world.wait_for_committed(Topic::Created, 2).await;
    service.stop().await;
    assert_eq!((two.world.smtp.mails().len(), two.second.mails().len()), (2, 0));
}

/// The first server fails in this way from the start. `None`: it is not there. Returns how many mails it accepted.
async fn the_second_takes_over(fault: Option<(Stage, Action)>) -> usize {
    let two = Two::new().await;
    match &fault {
        Some((stage, action)) => two.world.smtp.set_script(Script::at(*stage, action.clone())),
        None => two.world.smtp.stop().await,
    }
    let service = two.start(&[]).await;
    let [by_first, by_second] = two.all_mailed(&format!("{fault:?}")).await;
    assert_eq!(distinct_ids(&by_second), usize::from(MAILS), "{fault:?}: the second has all of them");
    let health = service.ready().await;
    assert_eq!((&health["http_status"], &health["gate"]["open"]), (&200.into(), &true.into()), "{health}");
    let [first, second] = [&health["mail_servers"][0], &health["mail_servers"][1]];
    assert_eq!((&first["server"], &first["open"]), (&"1".into(), &false.into()), "{fault:?}: {health}");
    assert!(first["closed_by"].is_string(), "{fault:?}: {health}");
    assert_eq!((&second["server"], &second["open"]), (&"2".into(), &true.into()), "{fault:?}: {health}");
    let metrics = service.metrics().await;
    for line in [
        "notification_gate_open 1",
        "notification_smtp_server_open{server=\"1\"} 0",
        "notification_smtp_server_open{server=\"2\"} 1",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{fault:?}: {line}\n{metrics}");
    }
    two.world.wait_for_committed(Topic::Created, MAILS.into()).await;
    service.stop().await;
    assert!(two.world.dead_letters().await.is_empty(), "{fault:?}");
    by_first.len() + by_second.len() - usize::from(MAILS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_server_takes_over_however_the_first_one_fails_and_no_mail_is_sent_twice() {
    let faults = [
        None,
        Some((Stage::Connect, Action::Hang)),
        Some((Stage::Connect, Action::reply(421, "too busy"))),
        Some((Stage::Connect, Action::Disconnect)),
        Some((Stage::Ehlo, Action::Delay(Duration::from_secs(20)))),
        Some((Stage::Mail, Action::reply(451, "4.3.0 try later"))),
        Some((Stage::Mail, Action::reply(530, "5.7.0 Authentication required"))),
        Some((Stage::Rcpt, Action::reply(450, "not now"))),
        Some((Stage::Rcpt, Action::Hang)),
        Some((Stage::Rcpt, Action::reply(554, "5.7.1 Relay access denied"))),
        Some((Stage::Data, Action::Disconnect)),
        Some((Stage::EndOfData, Action::Disconnect)),
        Some((Stage::EndOfData, Action::Hang)),
    ];
    let twice = join_all(faults.map(the_second_takes_over)).await;
    assert!(twice.iter().all(|mails| *mails == 0), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_the_first_server_may_have_accepted_is_sent_by_the_second_as_well() {
    let twice = the_second_takes_over(Some((Stage::EndOfData, Action::AcceptThenDisconnect))).await;
    // Four sessions, and probes: a mail each.
    assert!((1..=4 + 4).contains(&twice), "{twice}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_whom_the_first_server_refuses_for_good_is_a_dead_letter() {
    let two = Two::new().await;
    two.world.smtp.set_script(Script::recipient(&address(3), Action::reply(550, "5.1.1 unknown")));
    let service = two.start(&[]).await;
    two.world.publish(&(0..MAILS).map(created).collect::<Vec<_>>()).await;
    two.world.wait_for_dead_letters(1).await;
    two.world.wait_for_mails(usize::from(MAILS) - 1).await;
    two.world.wait_for_committed(Topic::Created, MAILS.into()).await;
    assert_eq!(two.second.count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_both_are_away_the_gate_is_closed_and_the_one_that_is_back_first_mails() {
    for back in [0, 1] {
        let two = Two::new().await;
        two.world.smtp.stop().await;
        two.second.stop().await;
        let service = two.start(&[]).await;
        two.world.publish(&(0..MAILS).map(created).collect::<Vec<_>>()).await;
        let health = service.wait_until(|body| body["gate"]["open"] == false).await;
        assert_eq!(health["http_status"], 200);
        let reason = health["gate"]["closed_by"].as_str().unwrap();
        assert!(reason.starts_with("1: connect: ") && reason.contains("; 2: connect: "), "{reason}");
        assert_eq!(two.world.committed(Topic::Created).await, 0);
        let server = [&two.world.smtp, &two.second][back];
        server.restart().await.unwrap();
        assert!(server.wait_for_count(MAILS.into(), DEADLINE).await, "{} mails", server.count());
        two.world.wait_for_committed(Topic::Created, MAILS.into()).await;
        service.stop().await;
        assert!(two.world.dead_letters().await.is_empty());
    }
}
