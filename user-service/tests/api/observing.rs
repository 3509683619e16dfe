//! Operators can see how the service does, and see nobody's data.

use crate::world::{World, code, wrong_code};
use reqwest::StatusCode;

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_on_the_admin_address_alone_and_name_nobody() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada.lovelace@example.com").await;
    let issued = world.registration(&id).await;
    replica.verify(&id, &wrong_code(&issued, 0)).await;
    replica.registered("ada.lovelace@example.com").await;
    replica.verify(&id, &code(&issued)).await;
    replica.get(&format!("/somewhere/{id}")).await;
    assert_eq!(replica.get("/metrics").await.status, StatusCode::NOT_FOUND);
    // A replica's own registrations are in its view at once. Reading them back takes a moment.
    let started = std::time::Instant::now();
    let text = loop {
        let text = replica.metrics().await;
        if text.contains("user_service_log_lag_records 0") || started.elapsed().as_secs() > 10 {
            break text;
        }
    };
    for line in [
        "user_service_http_requests_total{endpoint=\"/api/register\",status=\"202\"} 2",
        "user_service_http_requests_total{endpoint=\"/api/verify\",status=\"422\"} 1",
        "user_service_http_requests_total{endpoint=\"/api/verify\",status=\"200\"} 1",
        "user_service_http_requests_total{endpoint=\"none\",status=\"404\"}",
        "user_service_http_request_duration_seconds_count{endpoint=\"/api/register\"} 2",
        "user_service_guesses_total 2",
        "user_service_wrong_codes_total 1",
        "user_service_first_mails_total 1",
        "user_service_mails_withheld_total{reason=\"schedule\"} 1",
        "user_service_mails_withheld_total{reason=\"tagged\"} 0",
        "user_service_verified_after_first_mail_seconds_count 1",
        "user_service_records_not_understood_total{reason=\"wrong_clock\"} 0",
        "user_service_registrations 2",
        "user_service_verified_accounts 1",
        "user_service_ready 1",
        "user_service_registrations_limit 1000000",
        "user_service_caught_up 1",
        "user_service_log_lag_records 0",
        "user_service_publish_failures_total 0",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    for secret in [id.as_str(), &issued.id.to_string(), "lovelace", &code(&issued)] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_text_format_is_for_clients_that_ask_for_it() {
    let world = World::start().await;
    let replica = world.replica().await;
    let ask = async |accept: &str| {
        let request = reqwest::Client::new().get(format!("http://{}/metrics", replica.admin_address));
        let response = request.header("accept", accept).send().await.unwrap();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (media_type, response.text().await.unwrap())
    };
    let (media_type, text) = ask("text/plain;version=0.0.4").await;
    assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(
        text.contains("# TYPE user_service_publish_failures_total counter\n") && !text.contains("# EOF"),
        "{text}"
    );
    let (media_type, text) = ask("application/openmetrics-text;version=1.0.0, text/plain;q=0.5").await;
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(
        text.contains("# TYPE user_service_publish_failures counter\n") && text.ends_with("# EOF\n"),
        "{text}"
    );
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_shows_how_far_it_has_come() {
    let world = World::start().await;
    let first = world.replica().await;
    for number in 0..5 {
        first.registered(&format!("person{number}@example.com")).await;
    }
    first.stop().await;
    let second = world.replica().await;
    let text = second.metrics().await;
    for line in [
        "user_service_replay_records_read 5",
        "user_service_replay_records_expected 5",
        "user_service_registrations 5",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    second.stop().await;
}
