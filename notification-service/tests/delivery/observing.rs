use crate::world::{DEADLINE, World, address, asked, created, created_until};
use contract::event::Mailing;
use jiff::{SignedDuration, Timestamp};
use sandbox::smtp::{Action, Script, Stage};
use std::time::{Duration, Instant};

/// The sum of a metric over all labels.
fn sum(metrics: &str, name: &str) -> u64 {
    let samples = metrics
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_any_time_what_was_taken_is_what_ended_and_what_is_in_flight() {
    let world = World::new(2).await;
    world.smtp.set_script(Script::new(|step| match step.stage {
        Stage::Rcpt if step.argument == address(1) => Action::reply(550, "unknown"),
        Stage::Rcpt if step.argument == address(2) => Action::reply(451, "later"),
        Stage::EndOfData => Action::Delay(Duration::from_millis(20)),
        _ => Action::Accept,
    }));
    let service = world.start(&[("SMTP_CONNECTIONS", "2")]).await;
    let mut events: Vec<_> = (0..100).map(created).collect();
    events.push(created_until(101, Timestamp::now() - SignedDuration::from_secs(1)));
    events.extend([created(3), asked(Mailing::Nothing, 1), asked(Mailing::Nothing, 5)]);
    world.publish(&events).await;
    let mut scrapes = 0;
    let metrics = loop {
        let metrics = service.metrics().await;
        let taken = sum(&metrics, "notification_records_taken_total");
        let ended = sum(&metrics, "notification_records_ended_total");
        assert_eq!(taken, ended + sum(&metrics, "notification_records_in_flight"), "{metrics}");
        scrapes += 1;
        if sum(&metrics, "notification_records_ended_total{outcome=\"delivered\"}") == 98 {
            break metrics;
        }
        assert!(scrapes < 10_000, "{metrics}");
    };
    assert!(scrapes > 3, "the system was seen at work");
    for (line, expected) in [
        ("notification_dead_letters_total{reason=\"recipient_refused\"}", 1),
        ("notification_records_ended_total{outcome=\"dead_lettered\"}", 1),
        ("notification_records_ended_total{outcome=\"expired\"}", 1),
        ("notification_records_ended_total{outcome=\"ignored\"}", 2),
        ("notification_records_ended_total{outcome=\"duplicate\"}", 1),
        ("notification_event_to_accepted_seconds_count", 98),
        ("notification_gate_open", 1),
        ("notification_joined", 1),
    ] {
        let found =
            metrics.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_else(|| panic!("{line}\n{metrics}"));
        assert_eq!(found.trim(), expected.to_string(), "{line}");
    }
    assert!(!metrics.contains('@') && metrics.ends_with("# EOF\n"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_mail_server_is_away_the_age_of_what_waits_longest_grows() {
    let world = World::new(2).await;
    world.smtp.stop().await;
    let service = world.start(&[]).await;
    world.publish(&(1..=3).map(created).collect::<Vec<_>>()).await;
    let age_becomes = async |fits: &dyn Fn(f64) -> bool| {
        let started = Instant::now();
        loop {
            let metrics = service.metrics().await;
            let name = "notification_oldest_unfinished_record_age_seconds ";
            let age = metrics.lines().find_map(|line| line.strip_prefix(name)).expect("the age");
            if fits(age.parse().expect("a number")) {
                break;
            }
            assert!(started.elapsed() < DEADLINE, "{metrics}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    age_becomes(&|age| age > 0.5).await;
    assert_eq!(sum(&service.metrics().await, "notification_gate_open"), 0);
    world.smtp.restart().await.unwrap();
    world.wait_for_mails(3).await;
    age_becomes(&|age| age == 0.0).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_is_answered_as_get_is_and_metrics_in_the_format_that_was_asked_for() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let client = reqwest::Client::new();
    for path in ["/health/live", "/metrics"] {
        let url = format!("http://{}{path}", service.address);
        let (get, head) = (client.get(&url).send().await.unwrap(), client.head(&url).send().await.unwrap());
        assert_eq!(
            (head.status(), head.headers().get("content-type")),
            (get.status(), get.headers().get("content-type"))
        );
        assert_eq!(client.post(&url).send().await.unwrap().status().as_u16(), 404);
    }
    let url = format!("http://{}/metrics", service.address);
    let older = client.get(&url).header("accept", "text/plain;version=0.0.4").send().await.unwrap();
    assert_eq!(older.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = older.text().await.unwrap();
    assert!(text.contains("# TYPE notification_joined gauge\n") && !text.contains("# EOF"), "{text}");
    service.stop().await;
}
