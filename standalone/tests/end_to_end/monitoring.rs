//! The dashboard and the alerts use only metrics that the services have. A renamed metric would silence them.

use crate::person::Person;
use contract::topic::Topic;
use reqwest::StatusCode;
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

/// Long enough for the Kafka client's first statistics, which contain the lag.
const DEADLINE: Duration = Duration::from_secs(30);

fn file(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).expect(&path)
}

/// The names of this project's metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("user_service_") || word.starts_with("notification_")).collect()
}

/// The values of this label in the queries of a text: from `label="value"`, and each of `label=~"a|b"`.
fn values(text: &str, label: &str) -> BTreeSet<String> {
    let text = text.replace("\\\"", "\"");
    let mut values = BTreeSet::new();
    for operator in ["=", "!=", "=~"] {
        let asked = format!("{label}{operator}\"");
        for (at, _) in text.match_indices(&asked) {
            let (before, after) = (&text[..at], &text[at + asked.len()..]);
            if before.ends_with(|c: char| c.is_ascii_alphanumeric()) {
                continue;
            }
            let alternatives = after.split('"').next().into_iter().flat_map(|value| value.split('|'));
            values.extend(alternatives.filter(|value| !value.contains('*')).map(str::to_owned));
        }
    }
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_dashboard_and_alerts_name_is_shown_and_every_one_shown_is_on_the_dashboard() {
    let folder = tempfile::tempdir().unwrap();
    let person = Person::starts(folder.path()).await;
    let body = json!({"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"});
    let (_, answer) = person.posts("/api/register", body).await;
    let id = &answer["data"]["id"];
    // Each endpoint answers once: its metrics appear with the first answer.
    person.posts("/api/verify", json!({"id": id, "code": "000000"})).await;
    let (status, _) = person.posts("/api/resend", json!({"id": id})).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);

    let dashboard = file("deploy/monitoring/dashboard.json");
    let asked =
        [&dashboard, &file("deploy/monitoring/alerts.yml"), &file("deploy/monitoring/alerts_test.yml")]
            .map(String::as_str)
            .join("\n");
    let names_asked = names(&asked);
    let values_asked: BTreeSet<_> = ["endpoint", "outcome", "reason", "state"]
        .into_iter()
        .flat_map(|label| values(&asked, label).into_iter().map(move |value| format!("{label}=\"{value}\"")))
        .collect();
    assert!(names_asked.len() > 20 && values_asked.len() > 10, "{names_asked:?} {values_asked:?}");
    let topics = values(&asked, "topic");
    assert!(!topics.is_empty() && topics.iter().all(|name| Topic::from_name(name).is_some()), "{topics:?}");
    let started = Instant::now();
    let shown = loop {
        let shown = person.metrics().await;
        let samples: String =
            shown.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        let absent: Vec<_> = names_asked.difference(&names(&samples)).copied().collect();
        let unknown: Vec<_> = values_asked.iter().filter(|value| !samples.contains(value.as_str())).collect();
        if absent.is_empty() && unknown.is_empty() {
            break samples;
        }
        assert!(started.elapsed() < DEADLINE, "no service shows {absent:?} {unknown:?}:\n{shown}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let on_the_dashboard = names(&dashboard);
    for name in names(&shown) {
        // Quantiles need only the buckets.
        let part = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count"));
        let name = part.map_or_else(|| name.to_owned(), |family| format!("{family}_bucket"));
        assert!(on_the_dashboard.contains(name.as_str()), "{name} is on no panel");
    }
    person.stops().await;
}

#[test]
fn every_alert_leads_to_its_section_in_the_operations_manual() {
    let (alerts, manual) = (file("deploy/monitoring/alerts.yml"), file("docs/operations.md"));
    let mut blocks = alerts.split("- alert: ");
    blocks.next();
    let mut count = 0;
    for block in blocks {
        count += 1;
        let name = block.lines().next().expect("a name").trim();
        let runbook = format!("runbook: docs/operations.md#{}\n", name.to_lowercase());
        assert!(block.contains(&runbook), "{name} has no line {:?}", runbook.trim());
        assert!(manual.contains(&format!("\n### {name}\n")), "docs/operations.md has no section ### {name}");
    }
    assert!(count > 10, "{count} alerts");
}
