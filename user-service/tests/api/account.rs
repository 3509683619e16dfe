//! `user-service account`

use crate::{
    PROGRAM,
    world::{
        DEADLINE, World, account_of, environment, registered_elsewhere, stop, token, verified_elsewhere,
        wrong_code,
    },
};
use contract::{
    event::{Event, Mailing},
    topic::Topic,
};
use jiff::Timestamp;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ADDRESS: &str = "ada.lovelace@example.com";
/// Who asks, and why.
const WHO: [&str; 4] = ["--operator", "grace", "--reason", "ticket 7"];
/// `forget` waits for the sum of these two.
const SOON: [(&str, &str); 2] = [("MAX_CLOCK_SKEW", "1ms"), ("PUBLISH_TIMEOUT", "2s")];

/// How the command ended, and what it wrote.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Ended {
    /// The line of JSON, after a check that all went well.
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!((self.code, self.out.lines().count()), (Some(0), 1), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs the command as an operator does.
async fn run(brokers: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = Command::new(PROGRAM);
    command.arg("account").args(arguments).env_clear().envs(environment(brokers, variables));
    command.current_dir("/").stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) }
}

async fn account(world: &World, verb: &str, subject: &str, more: &[&str]) -> Ended {
    run(&world.brokers(), &[], &[&[verb, subject][..], &WHO, more].concat()).await
}

async fn shown(world: &World, subject: &str) -> Value {
    account(world, "show", subject, &["--json"]).await.json()
}

/// A copy of the mail's record, with these headers.
async fn copy(world: &World, topic: Topic, event: &Event, headers: &[(&str, &str)]) {
    let record = event.encode().unwrap();
    let kind = [("ce_type", event.kind().name())];
    world.write_with(topic, &[&kind, headers].concat(), &record.key, Some(&record.payload)).await;
}

fn seconds_from_now(seconds: i64) -> String {
    format!("{:.3}", Timestamp::now() + jiff::SignedDuration::from_secs(seconds))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_account_is_shown_as_the_service_sees_it() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered(ADDRESS).await;
    let issued = world.registration(&id).await;
    let left = replica.verify(&id, &wrong_code(&issued, 0)).await.body["attempts_left"].clone();
    let by_address = shown(&world, "Ada.Lovelace@example.com").await;
    assert_eq!(by_address["account"], issued.id.to_string());
    assert_eq!((&by_address["state"], &by_address["attempts_left"]), (&json!("pending"), &left));
    assert_eq!(by_address["attempts_left_in_window"], 24);
    assert_eq!(by_address["since"], format!("{:.3}", issued.occurred_at));
    assert_eq!(by_address["window"]["number"], issued.window);
    assert_eq!(by_address["window"]["code_expires_at"], format!("{:.3}", issued.expires_at));
    assert_eq!(by_address["mails_in_window"], 1);
    assert!(by_address["mails_left"].as_u64() <= Some(5), "{by_address}");
    let in_a_minute = issued.occurred_at + Duration::from_secs(60);
    assert_eq!(by_address["next_mail_at"], format!("{in_a_minute:.3}"));
    assert_eq!(
        by_address["mails"],
        json!([{
            "type": "user_account_created", "asked_at": format!("{:.3}", issued.occurred_at), "window": issued.window,
            "fate": "no_failure_known", "retried_at": null,
        }])
    );
    assert_eq!(by_address["not_read"], json!([]));
    assert_eq!(shown(&world, &issued.id.to_string()).await, by_address, "by its id it is the same");

    let text = account(&world, "show", ADDRESS, &[]).await;
    assert_eq!(text.code, Some(0), "{text:?}");
    for part in [
        "state     not verified; registered ",
        "1 in this window",
        "4 of 5 left with the newest registration, 24 of 25 left in this window",
        "  code          no failure known\n",
    ] {
        assert!(text.out.contains(part), "{part}: {}", text.out);
    }
    assert!(text.out.lines().count() < 12, "short: {}", text.out);
    stop([replica]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_says_who_did_what_and_why_and_nothing_says_the_address() {
    let world = World::start().await;
    let replica = world.replica().await;
    replica.registered(ADDRESS).await;
    for verb in ["show", "resend", "export"] {
        let ended = account(&world, verb, ADDRESS, &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let lines: Vec<_> = ended.error.lines().filter(|line| line.contains("operator=")).collect();
        let [line] = lines[..] else { panic!("one line: {ended:?}") };
        for part in [
            &*format!("account.command={verb}"),
            &format!("account.id={}", account_of(ADDRESS)),
            "operator=grace",
            "reason=\"ticket 7\"",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!ended.error.contains("lovelace"), "{ended:?}");
        assert_eq!(ended.out.contains(ADDRESS), verb == "export", "{ended:?}");
    }
    // An operator can't leave the line out.
    let silent =
        run(&world.brokers(), &[("RUST_LOG", "error")], &[&["show", ADDRESS][..], &WHO].concat()).await;
    assert_eq!((silent.code, &*silent.out), (Some(1), ""), "{silent:?}");
    assert!(silent.error.contains("RUST_LOG"), "{silent:?}");
    stop([replica]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_end_with_2_and_no_address_is_repeated() {
    let long = "x".repeat(201);
    for (arguments, expected) in [
        (&["show", ADDRESS, "--operator", "grace"][..], "--reason"),
        (&["show", ADDRESS, "--reason", "r"], "--operator"),
        (&["show", ADDRESS, "--operator", "grace", "--reason", "lovelace@example.com called"], "no @"),
        (&["show", ADDRESS, "--operator", "lovelace@example.com", "--reason", "r"], "no @"),
        (&["show", ADDRESS, "--operator", " ", "--reason", "r"], "1 to 200 characters"),
        (&["show", ADDRESS, "--operator", "grace", "--reason", &long], "1 to 200 characters"),
        (&["show", "lovelace@@example.com", "--operator", "o", "--reason", "r"], "must have one @"),
        (&["show", "lovelace", "--operator", "o", "--reason", "r"], "expected an address"),
        (&["show", "--operator", "o", "--reason", "r"], "ADDRESS|ID"),
    ] {
        let ended = run("127.0.0.1:1", &[], arguments).await;
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{arguments:?}: {ended:?}");
        assert!(ended.error.contains(expected), "{expected}: {ended:?}");
        assert!(!ended.error.contains("lovelace"), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_mail_is_told_without_the_servers_words() {
    let world = World::start().await;
    let replica = world.replica().await;
    let registered = |email| registered_elsewhere(email, Duration::from_secs(2));
    let later = seconds_from_now(50);
    let earlier = seconds_from_now(-1);
    let waiting = [("retry_not_before", &*later), ("retry_attempt", "1")];
    let tried = [("retry_not_before", &*earlier), ("retry_attempt", "1")];
    let refused = [
        ("dead_letter_reason", "recipient_refused"),
        ("dead_letter_smtp_status", "550"),
        ("dead_letter_smtp_enhanced_status", "5.1.1"),
        ("dead_letter_last_failure", &earlier),
        ("dead_letter_smtp_text", "no such user"),
    ];
    let hostile = [("dead_letter_reason", "\u{1b}[2J"), ("dead_letter_smtp_enhanced_status", "no such user")];
    let mut mails = Vec::new();
    for (name, copies) in [
        ("waiting@example.com", &[(Topic::MailRetry, &waiting[..])][..]),
        ("tried@example.com", &[(Topic::MailRetry, &tried)]),
        ("refused@example.com", &[(Topic::MailRetry, &tried), (Topic::DeadLetter, &refused)]),
        ("replayed@example.com", &[(Topic::DeadLetter, &refused), (Topic::MailRetry, &tried)]),
        ("hostile@example.com", &[(Topic::DeadLetter, &hostile)]),
    ] {
        let event = Event::Registered(Mailing::FirstCode, registered(name));
        world.write(&event).await;
        for (topic, headers) in copies {
            copy(&world, *topic, &event, headers).await;
        }
        mails.push(shown(&world, name).await["mails"][0].clone());
    }
    let [waiting, tried, refused, replayed, hostile] = &mails[..] else { panic!("five: {mails:?}") };
    assert_eq!((&waiting["fate"], &waiting["next_try_at"]), (&json!("waiting_for_retry"), &json!(later)));
    for mail in [tried, replayed] {
        assert_eq!((&mail["fate"], &mail["retried_at"]), (&json!("no_failure_known"), &json!(earlier)));
    }
    assert_eq!(refused["fate"], "dead_lettered");
    assert_eq!(
        [
            &refused["reason"],
            &refused["smtp_status"],
            &refused["smtp_enhanced_status"],
            &refused["failed_at"]
        ],
        [&json!("recipient_refused"), &json!(550), &json!("5.1.1"), &json!(earlier)]
    );
    assert_eq!((&refused["resolution"], &hostile["smtp_enhanced_status"]), (&Value::Null, &Value::Null));

    let text = account(&world, "show", "refused@example.com", &[]).await.out;
    assert!(text.contains("could not be mailed: recipient_refused, reply 550 5.1.1, "), "{text}");
    let text = account(&world, "show", "waiting@example.com", &[]).await.out;
    assert!(text.contains("waiting for retry at "), "{text}");
    let text = account(&world, "show", "hostile@example.com", &[]).await.out;
    assert!(
        text.contains("\\u001b[2J") && !text.contains("no such user") && !text.contains('\u{1b}'),
        "{text}"
    );

    let key = account_of("refused@example.com").to_string();
    let place = world.place_of_last(Topic::DeadLetter, &key).await;
    let marker = [("dead_letter_resolved", &*place), ("dead_letter_resolution", "discarded")];
    world.write_with(Topic::DeadLetter, &marker, &key, None).await;
    assert_eq!(shown(&world, "refused@example.com").await["mails"][0]["resolution"], "discarded");
    stop([replica]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verified_forgotten_and_unknown_accounts_are_told_apart() {
    let world = World::start().await;
    let replica = world.replica_with(&SOON).await;
    let state = async |address| shown(&world, address).await;
    assert_eq!(state("nobody@example.com").await["state"], "unknown");

    let id = replica.registered(ADDRESS).await;
    let issued = world.registration(&id).await;
    assert_eq!(replica.open_link(&id, &token(&issued)).await.status, StatusCode::OK);
    let verified = state(ADDRESS).await;
    assert_eq!(verified["state"], "verified");
    let kinds: Vec<_> =
        verified["mails"].as_array().unwrap().iter().map(|mail| mail["type"].clone()).collect();
    assert_eq!(kinds, ["user_account_verified", "user_account_created"]);
    assert_eq!(verified["mails_left"], 0, "further places mail nothing");

    let arguments = [&["forget", ADDRESS, "--json"][..], &WHO].concat();
    let forgotten = run(&world.brokers(), &SOON, &arguments).await.json();
    assert_eq!(forgotten, json!({"account": issued.id.to_string(), "result": "forgotten"}));
    replica.reads_all().await;
    assert!(replica.metrics().await.contains("user_service_verified_accounts 0"));
    let after = state(ADDRESS).await;
    assert_eq!((&after["state"], &after["attempts_left"]), (&json!("forgotten"), &Value::Null));
    assert!(after["window"]["number"].as_u64() > Some(issued.window), "its windows begin anew");
    let resent = account(&world, "resend", ADDRESS, &["--json"]).await.json();
    assert_eq!(resent["result"], "no_registration", "what is forgotten does not come back");
    stop([replica]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_nobody_proved_in_time_has_expired() {
    let short =
        [&[("WINDOW", "3s"), ("CODE_TTL", "2s"), ("LINK_TTL", "5s"), ("RESEND_COOLDOWN", "1s")][..], &SOON]
            .concat();
    let world = World::start().await;
    let replica = world.replica_with(&short).await;
    replica.registered(ADDRESS).await;
    let arguments = [&["show", ADDRESS, "--json"][..], &WHO].concat();
    let mut states = Vec::new();
    let began = Instant::now();
    while states.last() != Some(&json!("expired")) {
        assert!(began.elapsed() < DEADLINE, "{states:?}");
        states.push(run(&world.brokers(), &short, &arguments).await.json()["state"].clone());
    }
    assert_eq!(states[0], "pending");
    let resend = [&["resend", ADDRESS, "--json"][..], &WHO].concat();
    let resent = run(&world.brokers(), &short, &resend).await.json();
    assert_eq!(resent["result"], "no_registration");
    stop([replica]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_every_record_of_the_account_and_none_of_others() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered(ADDRESS).await;
    replica.registered("bob@example.com").await;
    let issued = world.registration(&id).await;
    replica.verify(&id, &wrong_code(&issued, 0)).await;
    assert_eq!(replica.open_link(&id, &token(&issued)).await.status, StatusCode::OK);
    let mail = Event::Registered(Mailing::FirstCode, issued.clone());
    copy(&world, Topic::MailRetry, &mail, &[("retry_attempt", "1")]).await;
    let key = issued.id.to_string();
    world
        .write_with(Topic::DeadLetter, &[("dead_letter_reason", "undecodable")], &key, Some(b"{ \xff"))
        .await;

    let ended = account(&world, "export", ADDRESS, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.lines();
    let (last, records) = lines.split_last().unwrap();
    assert_eq!(
        *last,
        json!({"account": key, "records": 5, "complete": true, "not_read": []}),
        "the last line says that nothing is missing"
    );
    let mut topics: Vec<_> = records.iter().map(|line| line["topic"].as_str().unwrap()).collect();
    topics.sort_unstable();
    let mut all = Topic::ALL.map(Topic::name);
    all.sort_unstable();
    assert_eq!(topics, all);
    let of = |topic: Topic| records.iter().find(|line| line["topic"] == topic.name()).unwrap();
    assert_eq!(of(Topic::Verified)["value"]["email"], ADDRESS);
    assert_eq!(of(Topic::Verified)["kept_until"], Value::Null);
    assert_eq!(of(Topic::Created)["value"]["last_name"], "Lovelace");
    let written_at: Timestamp = of(Topic::Created)["written_at"].as_str().unwrap().parse().unwrap();
    let kept_until: Timestamp = of(Topic::Created)["kept_until"].as_str().unwrap().parse().unwrap();
    assert_eq!(kept_until.duration_since(written_at).as_hours(), 7 * 24 + 1);
    assert_eq!(of(Topic::MailRetry)["headers"]["retry_attempt"], "1");
    assert_eq!(of(Topic::DeadLetter)["value"], "{ \u{fffd}", "bytes that are no JSON are text");
    assert!(!ended.out.contains("bob@"), "{}", ended.out);
    stop([replica]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_writes_what_the_api_would_when_it_is_due_and_nothing_before() {
    let world = World::start().await;
    let replica = world.replica().await;
    replica.registered(ADDRESS).await;
    let [mailed] = &world.mails_to(ADDRESS).await[..] else { panic!("one mail") };
    let early = account(&world, "resend", ADDRESS, &["--json"]).await.json();
    let due_at = format!("{:.3}", mailed.occurred_at + Duration::from_secs(60));
    assert_eq!((&early["result"], &early["due_at"]), (&json!("not_due"), &json!(due_at)));
    let text = account(&world, "resend", ADDRESS, &[]).await;
    assert!(text.code == Some(0) && text.out.starts_with("nothing is due: the next mail can be"), "{text:?}");
    assert_eq!(world.registrations().await.len(), 1, "nothing was written");

    // With a shorter cool-down it is due.
    while Timestamp::now().duration_since(mailed.occurred_at) <= jiff::SignedDuration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let arguments = [&["resend", ADDRESS, "--json"][..], &WHO].concat();
    let resent = run(&world.brokers(), &[("RESEND_COOLDOWN", "1s")], &arguments).await.json();
    assert_eq!(resent["result"], "code_resent");
    let [mailed, again] = &world.mails_to(ADDRESS).await[..] else { panic!("two mails") };
    assert_eq!((again.send, again.resends, again.window), (2, 1, mailed.window));
    assert_eq!(again.person(), mailed.person());
    assert_eq!(resent["request_id"], again.request_id.as_str());
    // The replica takes it in: a guess with the new registration has the service's answer.
    replica.reads_all().await;
    let guess = replica.verify(&again.registration.to_string(), &wrong_code(again, 0)).await;
    assert_eq!(guess.body["attempts_left"], 4);
    let unknown = account(&world, "resend", "nobody@example.com", &[]).await;
    assert!(unknown.out.starts_with("nothing to send: no registration is held"), "{unknown:?}");
    stop([replica]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_for_a_verified_account_says_so_and_writes_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let registered = registered_elsewhere(ADDRESS, Duration::from_secs(70));
    world.write(&Event::Registered(Mailing::FirstCode, registered.clone())).await;
    world.write(&verified_elsewhere(&registered, Duration::ZERO)).await;
    let ended = account(&world, "resend", ADDRESS, &[]).await;
    assert!(ended.out.starts_with("nothing is due: verified already; "), "{ended:?}");
    assert_eq!(world.registrations().await.len(), 1);
    stop([replica]).await;
}

/// The places of other tagged spellings count, also where only the id is given.
#[tokio::test(flavor = "multi_thread")]
async fn tagged_spellings_share_their_mails() {
    let world = World::start().await;
    let replica = world.replica().await;
    for email in ["ada+1@example.com", "ada+2@example.com"] {
        world
            .write(&Event::Registered(
                Mailing::FirstCode,
                registered_elsewhere(email, Duration::from_secs(70)),
            ))
            .await;
    }
    let id = account_of("ada+1@example.com").to_string();
    for subject in ["ada+1@example.com", &id] {
        let show = [&["show", subject, "--json"][..], &WHO].concat();
        for (limit, is_over) in [("2", true), ("30", false)] {
            let shown = run(&world.brokers(), &[("MAX_TAGGED_MAILS", limit)], &show).await.json();
            let next_at: Timestamp = shown["next_mail_at"].as_str().unwrap().parse().unwrap();
            assert_eq!(next_at > Timestamp::now(), is_over, "{subject}, {limit}: {shown}");
            assert!(!is_over || shown["mails_left"] == 0, "{subject}, {limit}: {shown}");
        }
    }
    stop([replica]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_topics_of_copies_the_rest_is_shown_and_an_export_is_not_complete() {
    let world = World::start().await;
    let replica = world.replica().await;
    replica.registered(ADDRESS).await;
    stop([replica]).await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", world.brokers()).create().unwrap();
    let topics = [Topic::MailRetry.name(), Topic::DeadLetter.name()];
    for deleted in admin.delete_topics(&topics, &AdminOptions::new()).await.unwrap() {
        deleted.unwrap();
    }
    let shown = shown(&world, ADDRESS).await;
    assert_eq!(shown["state"], "pending");
    let not_read: Vec<_> =
        shown["not_read"].as_array().unwrap().iter().map(|it| it["topic"].as_str().unwrap()).collect();
    assert_eq!(not_read, topics);
    let text = account(&world, "show", ADDRESS, &[]).await.out;
    assert!(text.contains("not read  user_account_mail_retry: it does not exist\n"), "{text}");
    assert!(text.contains("no failure known, but not all was read\n"), "{text}");
    let export = account(&world, "export", ADDRESS, &[]).await;
    assert_eq!(export.code, Some(1), "{export:?}");
    assert_eq!(export.lines().last().unwrap()["complete"], false);
    assert!(export.error.contains("the export is not complete: user_account_mail_retry"), "{export:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_ends_the_command_with_1_and_the_reason() {
    for verb in ["show", "export", "resend"] {
        let began = Instant::now();
        let ended = run("127.0.0.1:1", &[], &[&[verb, ADDRESS][..], &WHO].concat()).await;
        assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{ended:?}");
        let reason =
            ended.error.lines().find(|line| line.contains("ERROR") && line.contains("broker does not"));
        assert!(reason.is_some(), "{verb}: {ended:?}");
        assert!(began.elapsed() < Duration::from_secs(15), "{verb}: {:?}", began.elapsed());
    }
}
