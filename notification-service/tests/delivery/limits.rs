use crate::world::{Service, World, created};
use contract::topic::Topic;
use sandbox::smtp::{Action, Script, Stage};
use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

const WORK: Duration = Duration::from_millis(200);
/// The time that 60 mails take at three at a time.
const IDEAL: Duration = Duration::from_secs(4);

/// Publishes 60 mails, and checks that the gate stays open until they have arrived.
async fn sixty_mails(world: &World, service: &Service) -> Duration {
    let started = Instant::now();
    world.publish(&(0..60).map(created).collect::<Vec<_>>()).await;
    while world.smtp.count() < 60 {
        let health = service.ready().await;
        assert_eq!(health["gate"]["open"], true, "after {} mails: {health}", world.smtp.count());
        assert!(started.elapsed() < Duration::from_secs(30), "{} mails", world.smtp.count());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = started.elapsed();
    assert_eq!(world.wait_for_mails(60).await.len(), 60);
    world.wait_for_committed(Topic::Created, 60).await;
    assert_eq!(world.committed(Topic::MailRetry).await, 0);
    assert!(world.dead_letters().await.is_empty());
    took
}

/// The value of a metric; `name` includes its labels.
fn value(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name}\n{metrics}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_full_is_followed_by_a_fresh_one_at_once() {
    let limits = [
        (Stage::Data, 452, "4.4.5 Maximum number of messages per session exceeded."),
        (Stage::Mail, 452, "4.5.3 Too many recipients: Too many messages sent"),
        (Stage::Rcpt, 421, "4.7.0 too many messages, closing connection"),
        (Stage::EndOfData, 451, "4.3.2 enough of you"),
    ];
    for (stage, code, text) in limits {
        let world = World::new(1).await;
        let mails = Mutex::new(HashMap::<usize, usize>::new());
        world.smtp.set_script(Script::new(move |step| {
            let mut mails = mails.lock().unwrap();
            let mails = mails.entry(step.session).or_default();
            if step.stage == stage && *mails >= 3 {
                return Action::reply(code, text);
            }
            *mails += usize::from(step.stage == Stage::EndOfData);
            Action::Accept
        }));
        let service = world.start(&[("SMTP_CONNECTIONS", "1")]).await;
        let started = Instant::now();
        world.publish(&(0..18).map(created).collect::<Vec<_>>()).await;
        assert_eq!(world.wait_for_mails(18).await.len(), 18);
        assert!(started.elapsed() < Duration::from_secs(5), "{stage:?}: {:?}", started.elapsed());
        world.wait_for_committed(Topic::Created, 18).await;
        // The first session met the limit. The others ended before it.
        assert_eq!(world.smtp.sessions().opened, 6, "{stage:?}");
        let metrics = service.metrics().await;
        assert_eq!(
            value(&metrics, "notification_smtp_refusals_total{about=\"mails\",server=\"1\"}"),
            1,
            "{stage:?}"
        );
        service.stop().await;
        assert_eq!(world.committed(Topic::MailRetry).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_three_connections_gets_three() {
    for refusal in [Action::reply(421, "4.7.0 Too many concurrent SMTP connections"), Action::Disconnect] {
        let world = World::new(2).await;
        world.smtp.set_script(Script::new(move |step| match step.stage {
            Stage::Connect if step.open > 3 => refusal.clone(),
            Stage::EndOfData => Action::Delay(WORK),
            _ => Action::Accept,
        }));
        let service = world.start(&[("SMTP_CONNECTIONS", "16")]).await;
        let took = sixty_mails(&world, &service).await;
        assert!(took < 2 * IDEAL, "{took:?}");
        let sessions = world.smtp.sessions();
        assert!(sessions.opened <= 40, "{sessions:?}");
        assert!(value(&service.metrics().await, "notification_smtp_sessions_allowed{server=\"1\"}") <= 3);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_three_mails_at_a_time_gets_three() {
    let world = World::new(2).await;
    let busy = Mutex::new(Vec::<Instant>::new());
    world.smtp.set_script(Script::new(move |step| {
        if step.stage != Stage::EndOfData {
            return Action::Accept;
        }
        let (mut busy, now) = (busy.lock().unwrap(), Instant::now());
        busy.retain(|until| *until > now);
        if busy.len() >= 3 {
            return Action::reply(432, "4.3.2 Concurrent connections limit exceeded.");
        }
        busy.push(now + WORK);
        Action::Delay(WORK)
    }));
    let service = world.start(&[("SMTP_CONNECTIONS", "16")]).await;
    let took = sixty_mails(&world, &service).await;
    assert!(took < 2 * IDEAL, "{took:?}");
    let metrics = service.metrics().await;
    assert!(value(&metrics, "notification_smtp_sessions_allowed{server=\"1\"}") <= 4, "{metrics}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_busy_for_everybody_closes_the_gate_and_gets_all_sessions_afterwards() {
    let world = World::new(2).await;
    world.smtp.set_script(Script::at(Stage::Connect, Action::reply(421, "4.3.2 try again later")));
    let service = world.start(&[("SMTP_CONNECTIONS", "8")]).await;
    world.publish(&(0..30).map(created).collect::<Vec<_>>()).await;
    let health = service.wait_until(|body| body["gate"]["open"] == false).await;
    assert_eq!(health["gate"]["closed_by"], "greeting: reply 421 4.3.2");
    assert_eq!(value(&service.metrics().await, "notification_smtp_sessions_allowed{server=\"1\"}"), 8);
    world.smtp.set_script(Script::accept_all());
    world.wait_for_mails(30).await;
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
}
