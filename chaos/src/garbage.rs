//! Forged and broken records in every topic, as a faulty or hostile producer could write them.
//!
//! The services may refuse, count and pass over them, or make dead letters of them. They must not end, stop, mail them, or
//! believe them. A header marks each record, so that the ledger leaves it and its dead letter out of every count. The ledger
//! finds their effect on the *other* records. To make that effect visible, records that must not be believed name a
//! registration of the round. A believed guess would leave it one guess less, a believed place one mail less, a believed
//! verification a second one.

use crate::{
    chronicle::Chronicle,
    client::Clients,
    rules,
    schedule::{Fault, Garbage, Lane, Planned},
};
use acceptance::world::{ID_SECRET, World};
use contract::{
    account_id::AccountId, code_secrets::parse_secret, email_address::EmailAddress, topic::Topic,
};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use runtime::kafka::owned_headers;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

/// The header that marks garbage.
pub(crate) const MARK: &str = "chaos_garbage";
/// The request id of garbage that is an event.
pub(crate) const REQUEST: &str = "garbage";
/// The domain of the forged addresses. The notification service can't recognise a forged event, so it may mail to them.
pub(crate) const DOMAIN: &str = "garbage.example";

/// The records of one burst in each topic.
const BURST: usize = 20;
/// The largest record that the retry and dead-letter topics take. A dead letter of it would be too large.
const OVERSIZED: usize = 2_097_000;
/// The largest record that the other topics take.
const LARGE: usize = 1_000_000;
const TYPES: [&str; 6] = [
    "user_account_created",
    "code_resent",
    "registration_repeated",
    "account_exists",
    "attempt",
    "user_account_verified",
];

/// The person in a record.
#[derive(Debug, Clone)]
struct Subject {
    account: String,
    registration: String,
    email: String,
}

/// One record to write.
struct Litter {
    topic: Topic,
    key: String,
    ce_type: Option<&'static str>,
    value: Option<Vec<u8>>,
    /// The record's time; `None` for the present.
    time: Option<Timestamp>,
    headers: Vec<(&'static str, String)>,
}

/// Writes bursts of garbage by the schedule.
pub(crate) async fn litter(
    world: Arc<World>,
    lane: Lane,
    began: Instant,
    mut random: Xoshiro256PlusPlus,
    clients: Arc<Clients>,
    chronicle: Arc<Chronicle>,
) -> anyhow::Result<()> {
    for Planned { at, fault, .. } in lane {
        sleep_until(began + at).await;
        let Fault::Garbage(kind) = fault else { continue };
        chronicle.note(&format!("garbage: {kind:?}"));
        let newest = clients.newest_registration();
        let subject = newest.and_then(|(email, id)| Subject::of(email, id));
        let burst: Vec<Litter> =
            (0..BURST).flat_map(|_| records(kind, subject.as_ref(), &mut random)).collect();
        let brokers = world.kafka.bootstrap();
        spawn_blocking(move || write(&brokers, burst)).await??;
    }
    Ok(())
}

/// Writes what the broker accepts. While it is away, nothing is written.
fn write(brokers: &str, burst: Vec<Litter>) -> anyhow::Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("message.max.bytes", "3000000")
        .set("message.timeout.ms", "3000")
        .set("partitioner", "murmur2_random")
        .create()?;
    for litter in burst {
        let mut headers = vec![(MARK, "1")];
        headers.extend(litter.headers.iter().map(|(name, value)| (*name, value.as_str())));
        headers.extend(litter.ce_type.map(|ce_type| ("ce_type", ce_type)));
        let mut record =
            BaseRecord::to(litter.topic.name()).key(&litter.key).headers(owned_headers(&headers));
        if let Some(value) = &litter.value {
            record = record.payload(value);
        }
        if let Some(time) = litter.time {
            record = record.timestamp(time.as_millisecond());
        }
        // The topic may refuse it, for example for its size. That is fine.
        let _ = producer.send(record);
    }
    let _ = producer.flush(Duration::from_secs(4));
    Ok(())
}

/// The records of a burst. `subject`: the person in the records that must not be believed.
fn records(kind: Garbage, subject: Option<&Subject>, random: &mut Xoshiro256PlusPlus) -> Vec<Litter> {
    let read = [Topic::Created, Topic::Activity, Topic::Verified, Topic::MailRetry];
    let nobody = Subject::nobody();
    let subject = subject.unwrap_or(&nobody);
    let about = |topic, value| Litter { key: subject.account.clone(), ..Litter::new(topic, value) };
    let anywhere = |ce_type, value: Vec<u8>| {
        read.map(|topic| Litter { ce_type: Some(ce_type), ..about(topic, value.clone()) }).into()
    };
    let event = || event(&nobody);
    let forged = || self::event(subject);
    let ce_type = TYPES[random.random_range(0..TYPES.len())];
    match kind {
        Garbage::FarTimes => {
            let times = ["9999-12-30T22:00:00Z", "-009999-01-02T01:59:59Z", "1970-01-01T00:00:00Z"];
            let time = times[random.random_range(0..times.len())];
            // An old verification is believed: it may come from a backup. So it must not name the subject.
            let mut event = if ce_type == TYPES[5] { event() } else { forged() };
            for field in ["occurred_at", "expires_at"] {
                if random.random_ratio(2, 3) {
                    event[field] = json!(time);
                }
            }
            // At least one time is out of range.
            event["occurred_at"] = json!(time);
            anywhere(ce_type, event.to_string().into_bytes())
        }
        Garbage::FarNumbers => {
            let mut event = forged();
            let numbers = [json!(u64::MAX), json!(i64::MIN), json!(-1), json!(1e308), json!(101)];
            for field in ["send", "resends"] {
                event[field] = numbers[random.random_range(0..numbers.len())].clone();
            }
            let window = rules::window_at(Timestamp::now());
            let windows = [json!([]), json!([window, window + 2]), json!([u64::MAX]), json!(vec![window; 3])];
            event["windows"] = windows[random.random_range(0..windows.len())].clone();
            // A verification has none of these numbers.
            let ce_type = if ce_type == TYPES[5] { TYPES[4] } else { ce_type };
            anywhere(ce_type, event.to_string().into_bytes())
        }
        Garbage::WrongTopic => {
            let event = forged().to_string().into_bytes();
            let wrong = [
                (Topic::Created, "user_account_verified"),
                (Topic::Created, "attempt"),
                (Topic::Activity, "user_account_verified"),
                (Topic::Verified, "user_account_created"),
                (Topic::Verified, "attempt"),
                (Topic::MailRetry, "attempt"),
            ];
            wrong.map(|(topic, name)| Litter { ce_type: Some(name), ..about(topic, event.clone()) }).into()
        }
        // The window after the next two, or the one before the last. The notification service checks neither.
        Garbage::FarWindows => {
            let window = rules::window_at(Timestamp::now());
            let far = [window + 3, window.saturating_sub(2)][random.random_range(0..2)];
            let mut event = forged();
            event["windows"] = json!([far]);
            vec![Litter {
                ce_type: Some("attempt"),
                ..about(Topic::Activity, event.to_string().into_bytes())
            }]
        }
        // Written by a process whose clock is wrong by a minute.
        Garbage::WrongClock => {
            let minute = SignedDuration::from_mins(if random.random_ratio(1, 2) { 1 } else { -1 });
            let mut event = forged();
            event["occurred_at"] = json!(rounded(Timestamp::now() + minute).to_string());
            // No verification: a late one may come from a backup.
            let kinds = [(Topic::Created, TYPES[0]), (Topic::Created, TYPES[2]), (Topic::Activity, TYPES[4])];
            let (topic, name) = kinds[random.random_range(0..kinds.len())];
            vec![Litter { ce_type: Some(name), ..about(topic, event.to_string().into_bytes()) }]
        }
        // A real account with another person's address. That person gets a mail whose digits verify nothing.
        Garbage::OtherAddress => {
            let mut event = forged();
            event["email"] = json!(nobody.email);
            [Topic::Created, Topic::Verified, Topic::MailRetry]
                .map(|topic| {
                    let name = if topic == Topic::Verified { TYPES[5] } else { TYPES[0] };
                    Litter { ce_type: Some(name), ..about(topic, event.to_string().into_bytes()) }
                })
                .into()
        }
        Garbage::OldVersion => {
            let mut event = forged();
            event["version"] = json!(1);
            anywhere(ce_type, event.to_string().into_bytes())
        }
        Garbage::Large => {
            let mut event = event();
            event["unknown"] = json!("x".repeat(LARGE));
            anywhere("user_account_created", event.to_string().into_bytes())
        }
        Garbage::Oversized => {
            let mut event = event();
            event["unknown"] = json!("x".repeat(OVERSIZED - event.to_string().len() - 300));
            vec![Litter {
                ce_type: Some("user_account_created"),
                ..Litter::new(Topic::MailRetry, event.to_string().into_bytes())
            }]
        }
        Garbage::Unreadable => {
            let values = [
                Vec::new(),
                (0..200).map(|_| random.random()).collect(),
                vec![b'['; 60_000],
                b"{\"event_id\":\"\xff\xfe\"}".to_vec(),
                b"null".to_vec(),
            ];
            anywhere(ce_type, values[random.random_range(0..values.len())].clone())
        }
        // A record of a newer version waits for a day. For a record of three days ago that day is over: by its own time
        // stamp or, if the broker sets that, by its event's time.
        Garbage::Unknown => {
            let then = Timestamp::now() - SignedDuration::from_hours(72);
            [Topic::Created, Topic::Activity, Topic::MailRetry]
                .map(|topic| {
                    let far = "9999-12-30T22:00:00Z".to_owned();
                    let said = if topic == Topic::MailRetry { far } else { then.to_string() };
                    Litter {
                        ce_type: Some("of_a_version_to_come"),
                        time: Some(then),
                        headers: vec![("ce_time", said)],
                        ..Litter::new(topic, event().to_string().into_bytes())
                    }
                })
                .into()
        }
        Garbage::OtherGroup => {
            let now = Timestamp::now();
            vec![Litter {
                ce_type: Some("user_account_created"),
                headers: vec![
                    ("retry_group", "another-group".to_owned()),
                    ("retry_not_before", now.to_string()),
                    ("retry_attempt", "1".to_owned()),
                    ("retry_source", "user_account_created/0/0".to_owned()),
                    ("retry_first_failure", now.to_string()),
                ],
                ..Litter::new(Topic::MailRetry, event().to_string().into_bytes())
            }]
        }
        // A null value means something only in the topic of verified accounts.
        Garbage::Null => [Topic::Created, Topic::Activity, Topic::Verified, Topic::MailRetry]
            .map(|topic| Litter { value: None, ..Litter::new(topic, Vec::new()) })
            .into(),
    }
}

/// An event with every field right, whatever its type. The caller breaks it.
fn event(subject: &Subject) -> Value {
    let now = rounded(Timestamp::now());
    let window = rules::window_at(now);
    json!({
        "event_id": Uuid::new_v4().to_string(), "occurred_at": now.to_string(), "version": 2, "id": subject.account,
        "registration": subject.registration, "resends": 0,
        "first_name": "Ada", "last_name": "Lovelace", "email": subject.email, "locale": "en",
        "window": window, "windows": [window], "send": 1,
        "expires_at": rules::code_ends_at(window).to_string(), "key": "k1", "request_id": REQUEST,
    })
}

fn rounded(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

impl Subject {
    fn of(email: String, registration: String) -> Option<Self> {
        let secret = parse_secret(ID_SECRET).ok()?;
        let account = AccountId::of(&secret, &EmailAddress::parse(&email).ok()?).to_string();
        Some(Self { account, registration, email })
    }

    /// Nobody in the round. The account's id does not match the address, so user services pass it over.
    fn nobody() -> Self {
        let [account, registration] = [(); 2].map(|()| Uuid::new_v4().to_string());
        Self { account, registration, email: format!("nobody@{DOMAIN}") }
    }
}

impl Litter {
    fn new(topic: Topic, value: Vec<u8>) -> Self {
        let key = Uuid::new_v4().to_string();
        Self { topic, key, ce_type: None, value: Some(value), time: None, headers: Vec::new() }
    }
}
