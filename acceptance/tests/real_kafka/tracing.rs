//! One trace from the browser's request to the mail server's final reply, as a collector gets it; and what no span says.

use acceptance::{
    api::{Answer, Api},
    collector::{Collector, Taken, drawn},
    inbox::{VERIFIED, VERIFY},
    service::Service,
    world::{World, show},
};
use reqwest::StatusCode;
use sandbox::smtp::{Action, Script};
use serde_json::json;
use std::{
    collections::BTreeSet,
    net::TcpListener,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(30);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER: &str = "1bf7651916cd43dd8448eb211c80319c";

/// Both services, ready and exporting, and the API. `run` tells those of one test apart.
async fn exporting(world: &World, run: &str, endpoint: &str) -> (Service, Service, Api) {
    let mut user = exporting_to(endpoint, world.user_service(&format!("user{run}")));
    let mut mailer = exporting_to(endpoint, world.notification_service(&format!("notification{run}")));
    user.start_and_wait().await;
    mailer.start_and_wait().await;
    let api = Api::new(user.address());
    (user, mailer, api)
}

/// A service that exports at once, so that a test need not wait for the usual five seconds.
fn exporting_to(endpoint: &str, service: Service) -> Service {
    service.with("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).with("OTEL_BSP_SCHEDULE_DELAY", "100")
}

/// A request as a page sends it that has begun a trace.
async fn post(api: &Api, path: &str, body: &serde_json::Value, trace: &str) -> Answer {
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "page=of-a-stranger")];
    api.post_with(path, body, &headers).await
}

fn names(spans: &[Taken]) -> Vec<(&str, &str)> {
    spans.iter().map(|taken| (taken.service(), taken.span.name.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_leads_from_the_browsers_request_to_the_mail_servers_final_reply() {
    let (world, collector) = (World::start().await, Collector::start().await);
    let (mut user, mut mailer, api) = exporting(&world, "", &collector.endpoint()).await;

    // Data that nobody could confuse with the services' own words.
    let (email, first, last) = ("zz.unusual+tag@example.com", "Žebulonia", "Quetzalcoatl");
    let person = json!({"first_name": first, "last_name": last, "email": email});
    let registered = post(&api, "/api/register?code=987654&q=secret", &person, TRACE).await;
    assert_eq!(registered.status, StatusCode::ACCEPTED, "{registered:?}");
    let registration = registered.id().to_owned();
    let mail = world.inbox.first(email, VERIFY, LIMIT).await;
    assert_eq!(mail.trace_id, TRACE);
    let code = mail.code().to_owned();

    let spans = collector.trace(TRACE, 4, LIMIT).await;
    show(&format!("a registration\n{}", drawn(&spans)));
    let topic = "user_account_created";
    let (send, process) = (format!("send {topic}"), format!("process {topic}"));
    assert_eq!(
        names(&spans),
        [
            ("user-service", "POST /api/register"),
            ("user-service", send.as_str()),
            ("notification-service", process.as_str()),
            ("notification-service", "SMTP"),
        ]
    );
    // Each step follows from the one before, and the one that crosses the log is linked, too.
    assert_eq!(spans[0].parent(), "b7ad6b7169203331");
    for pair in spans.windows(2) {
        assert_eq!(pair[1].parent(), pair[0].span_id(), "{}", drawn(&spans));
    }
    let links: Vec<_> = spans.iter().map(|taken| taken.span.links.len()).collect();
    assert_eq!(links, [0, 0, 1, 0]);
    assert_eq!(spans[2].span.links[0].span_id, spans[1].span.span_id);
    let server = spans[0].attributes();
    assert_eq!(
        (&server["http.response.status_code"][..], &server["http.route"][..]),
        ("202", "/api/register")
    );
    assert_eq!(spans[3].attributes()["smtp.reply.code"], "250");
    for taken in &spans {
        assert_eq!(taken.resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(taken.resource["service.instance.id"].len(), 36);
    }

    // A wrong code, the right one, and a mail that is refused for good.
    let wrong = format!("{:06}", (code.parse::<u32>().expect("digits") + 1) % 1_000_000);
    let tried = post(&api, "/api/verify", &json!({"id": registration, "code": wrong}), OTHER).await;
    assert!(tried.is_wrong_code(), "{tried:?}");
    let verified = post(&api, "/api/verify", &json!({"id": registration, "code": code}), OTHER).await;
    assert_eq!(verified.status, StatusCode::OK, "{verified:?}");
    let account = verified.id().to_owned();
    assert_eq!(world.inbox.first(email, VERIFIED, LIMIT).await.trace_id, OTHER);
    // Two requests with an attempt each, a verification, its mail.
    show(&format!("two codes\n{}", drawn(&collector.trace(OTHER, 7, LIMIT).await)));

    let refused = "refused-at-home@example.com";
    world.inbox.set_script(Script::recipient(refused, Action::reply(550, "5.1.1 no refused-at-home here")));
    let person = json!({"first_name": first, "last_name": last, "email": refused});
    let dead = "2cf7651916cd43dd8448eb211c80319c";
    assert_eq!(post(&api, "/api/register", &person, dead).await.status, StatusCode::ACCEPTED);
    let spans = collector.trace(dead, 5, LIMIT).await;
    show(&format!("a refused mail\n{}", drawn(&spans)));
    let smtp = spans.iter().find(|taken| taken.span.name == "SMTP").expect("a transaction").attributes();
    assert_eq!((&smtp["smtp.reply.code"][..], &smtp["error.type"][..]), ("550", "refused"));
    assert_eq!(smtp["smtp.reply.enhanced_code"], "5.1.1");
    assert!(
        spans.iter().any(|taken| taken.span.name == "send user_account_dead_letter"),
        "{}",
        drawn(&spans)
    );

    // A method and a path that a client invents, and a request that is refused.
    let invented = reqwest::Method::from_bytes(b"STRANGER").expect("a method");
    let client = reqwest::Client::new();
    let strange = format!("http://{}/api/987654?q=secret", user.address());
    client.request(invented, strange).header("user-agent", "Zebulonia").send().await.expect("an answer");
    user.stop().await;
    mailer.stop().await;

    let all = collector.all();
    assert!(all.iter().any(|taken| taken.span.name == "_OTHER"), "what waited was exported at the end");
    let secrets = [
        email,
        "unusual",
        "tag@",
        first,
        "ebulonia",
        last,
        &code,
        &wrong,
        &registration,
        &account,
        refused,
        "refused-at-home",
        "987654",
        "secret",
        "STRANGER",
        "q=",
        "no refused",
        "Mozilla",
    ];
    for taken in &all {
        let text = taken.text();
        for secret in secrets.iter().copied().chain([mail.link_token()]) {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    let keys: BTreeSet<_> = all.iter().flat_map(|taken| taken.attributes().into_keys()).collect();
    let expected = [
        "dead_letter.reason",
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "messaging.consumer.group.name",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.system",
        "network.protocol.name",
        "server.address",
        "server.port",
        "smtp.reply.code",
        "smtp.reply.enhanced_code",
    ];
    assert_eq!(keys.iter().map(String::as_str).collect::<Vec<_>>(), expected, "docs/traces.md lists them");

    // The log has the trace's id, and nothing of the state that a stranger may have written.
    for service in [&user, &mailer] {
        let log = service.log_text();
        assert!(log.contains(&format!("trace.id={TRACE}")), "{log}");
        assert!(!log.contains("of-a-stranger"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_silent_or_away_delays_no_answer_no_mail_and_no_end() {
    let world = World::start().await;
    // It takes connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let away = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let endpoints =
        [format!("http://{}", silent.local_addr().expect("its address")), format!("http://{away}")];
    for (number, endpoint) in endpoints.iter().enumerate() {
        let (mut user, mut mailer, api) = exporting(&world, &number.to_string(), endpoint).await;
        for person in 0..20 {
            let email = format!("person{person}-of-{number}@example.com");
            let answer = api.register(&email).await;
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
            assert!(answer.latency() < Duration::from_secs(3), "{:?}", answer.latency());
            world.inbox.first(&email, VERIFY, LIMIT).await;
        }
        let began = Instant::now();
        user.stop().await;
        mailer.stop().await;
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
        let log = format!("{}{}", user.log_text(), mailer.log_text());
        assert!(log.contains("spans were not exported"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_not_sampled_goes_on_and_is_not_exported() {
    let (world, collector) = (World::start().await, Collector::start().await);
    let (mut user, mut mailer, api) = exporting(&world, "", &collector.endpoint()).await;
    let person = json!({"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"});
    let parent = format!("00-{TRACE}-b7ad6b7169203331-00");
    let answer = api.post_with("/api/register", &person, &[("traceparent", parent.as_str())]).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(world.inbox.first("ada@example.com", VERIFY, LIMIT).await.trace_id, TRACE);
    // A trace of this service's own is exported. So what is before it would be there.
    let answer = api.register("grace@example.com").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let trace = world.inbox.first("grace@example.com", VERIFY, LIMIT).await.trace_id;
    assert_eq!(collector.trace(&trace, 4, LIMIT).await[0].parent(), "", "it is the first step");
    user.stop().await;
    mailer.stop().await;
    assert!(collector.all().iter().all(|taken| taken.trace_id() == trace));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_the_retry_topic_refuses_has_a_failed_span_and_the_dead_letter_one_of_its_own() {
    let (world, collector) = (World::start().await, Collector::start().await);
    world.kafka.create_topic("user_account_mail_retry", 1, &["max.message.bytes=100"]).await;
    let services = [world.user_service("user"), world.notification_service("notification")];
    let mut services =
        services.map(|it| exporting_to(&collector.endpoint(), it).with("KAFKA_TOPIC_SETTINGS", "ignore"));
    for service in &mut services {
        service.start_and_wait().await;
    }
    let email = "later@example.com";
    world.inbox.set_script(Script::recipient(email, Action::reply(450, "4.2.0 later")));
    let person = json!({"first_name": "Ada", "last_name": "Lovelace", "email": email});
    let answer = post(&Api::new(services[0].address()), "/api/register", &person, TRACE).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");

    let spans = collector.trace(TRACE, 6, LIMIT).await;
    show(&drawn(&spans));
    let copy = |topic| {
        let name = format!("send {topic}");
        spans.iter().find(|taken| taken.span.name == name).expect("a copy").attributes()
    };
    let (retry, letter) = (copy("user_account_mail_retry"), copy("user_account_dead_letter"));
    assert_eq!(retry["messaging.destination.name"], "user_account_mail_retry");
    assert_eq!(retry["error.type"], "not_taken");
    assert_eq!(letter["messaging.destination.name"], "user_account_dead_letter");
    assert_eq!((letter.get("error.type"), &letter["dead_letter.reason"][..]), (None, "too_large"));
    for service in &mut services {
        service.stop().await;
    }
}
