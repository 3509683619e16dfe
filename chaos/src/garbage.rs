//! Records that nobody should have written, in every topic: what a broken producer, or one that means harm, can leave there.
//!
//! The services may refuse, count and pass over them, or make dead letters of them. They must not end, stop, mail them, or believe
//! them. Each record is marked, so that the ledger leaves it and its dead letter out of every count; what they do to the *others*
//! is what the ledger finds. So what nobody may believe names a registration of the round: a guess that is believed is one less,
//! a place one mail less, a verification a second one.

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
/// What garbage that is an event names as its request.
pub(crate) const REQUEST: &str = "garbage";
/// The domain of its addresses. The notification service can't know that an event is forged, so it may mail to them.
pub(crate) const DOMAIN: &str = "garbage.example";

/// Records of one burst, for each topic that it goes to.
const BURST: usize = 20;
/// As large as a topic of copies takes: a dead letter of it would be larger than its topic takes.
const OVERSIZED: usize = 2_097_000;
/// As large as the other topics take.
const LARGE: usize = 1_000_000;
const TYPES: [&str; 6] = [
    "user_account_created",
    "code_resent",
    "registration_repeated",
    "account_exists",
    "attempt",
    "user_account_verified",
];

/// Whom a record is about.
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
    /// Of the record; `None` for now.
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

/// Writes what the broker takes; while it is away, nothing.
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
        // A topic that does not take it (too large, say) has done its part.
        let _ = producer.send(record);
    }
    let _ = producer.flush(Duration::from_secs(4));
    Ok(())
}

/// `subject`: whom those are about that nobody may believe.
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
            // A verification of long ago is believed: it may have been restored from a backup.
            let mut event = if ce_type == TYPES[5] { event() } else { forged() };
            for field in ["occurred_at", "expires_at"] {
                if random.random_ratio(2, 3) {
                    event[field] = json!(time);
                }
            }
            // At least one of them is out of range.
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
        // The window after the next two, and the one before the last; the notification service checks none.
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
        // Of a process whose clock is a minute wrong.
        Garbage::WrongClock => {
            let minute = SignedDuration::from_mins(if random.random_ratio(1, 2) { 1 } else { -1 });
            let mut event = forged();
            event["occurred_at"] = json!(rounded(Timestamp::now() + minute).to_string());
            // What comes late may be a verification that was restored from a backup.
            let kinds = [(Topic::Created, TYPES[0]), (Topic::Created, TYPES[2]), (Topic::Activity, TYPES[4])];
            let (topic, name) = kinds[random.random_range(0..kinds.len())];
            vec![Litter { ce_type: Some(name), ..about(topic, event.to_string().into_bytes()) }]
        }
        // A real account, and the address of somebody else, who gets a mail with digits that open nothing.
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
        // A newer version is waited for; the time for that is over for a record of three days ago, by its own time stamp or, where
        // that is the broker's, by its event's.
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
        // No topic but the one of verified accounts gives a null value a meaning.
        Garbage::Null => [Topic::Created, Topic::Activity, Topic::Verified, Topic::MailRetry]
            .map(|topic| Litter { value: None, ..Litter::new(topic, Vec::new()) })
            .into(),
    }
}

/// Right in every field, whatever its type: what is wrong with it comes on top.
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

    /// Nobody who takes part in the round. The account is not that of the address: the user services pass it over.
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
