//! Events written straight to the topics with the contract's own codec: backlogs and histories, faster than by signups.

use crate::progress;
use acceptance::world::ID_SECRET;
use anyhow::Context as _;
use jiff::Timestamp;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use shared::{
    account_id::AccountId,
    code_secrets::{self, KeyId},
    email_address::EmailAddress,
    event::{Attempt, CodeIssued, Event, EventId, EventKind, VERSION, Verified},
    locale::Locale,
    person_name::PersonName,
    request_id::RequestId,
};
use std::{ops::Range, time::Duration};

/// Length of a window, as by default.
const WINDOW: Duration = Duration::from_secs(3600);
/// Life of a code, as by default.
pub(crate) const CODE_TTL: Duration = Duration::from_secs(900);

/// The person of a number, as one who registers at a moment.
pub(crate) struct Person {
    id: AccountId,
    email: EmailAddress,
    now: Timestamp,
    first_name: PersonName,
    last_name: PersonName,
}

impl Person {
    /// An id that nobody has.
    pub(crate) const PLACEHOLDER_ID: &'static str = "00000000-0000-8000-8000-000000000000";

    /// The person of this number.
    pub(crate) fn numbered(number: u64, now: Timestamp) -> anyhow::Result<Self> {
        let email = EmailAddress::parse(&Self::email(number))?;
        Ok(Self {
            // As the user service derives it: it passes over what names another account's address.
            id: AccountId::of(&code_secrets::parse_secret(ID_SECRET)?, &email),
            email,
            // As fine as events say it.
            now: Timestamp::from_millisecond(now.as_millisecond())?,
            first_name: PersonName::parse("Augusta Ada")?,
            last_name: PersonName::parse("Lovelace-King")?,
        })
    }

    /// Their address.
    pub(crate) fn email(number: u64) -> String {
        format!("augusta.lovelace.{number}@mail.example.com")
    }

    /// The first mail of a window is asked for.
    pub(crate) fn created(&self) -> anyhow::Result<Event> {
        let window = self.window();
        Ok(Event::Created(CodeIssued {
            event_id: EventId::derive(EventKind::Created, self.id, window, 0, 1),
            occurred_at: self.now,
            version: VERSION,
            id: self.id,
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            email: self.email.clone(),
            locale: Locale::default(),
            window,
            window_started_at: self.now,
            generation: 0,
            send: 1,
            expires_at: self.now + CODE_TTL,
            key: KeyId::parse("k1")?,
            request_id: RequestId::random(),
        }))
    }

    /// A code is tried.
    pub(crate) fn attempt(&self) -> Event {
        Event::Attempt(Attempt {
            event_id: EventId::random(),
            occurred_at: self.now,
            version: VERSION,
            id: self.id,
            window: self.window(),
            generation: 0,
            request_id: RequestId::random(),
        })
    }

    /// The right code came in.
    pub(crate) fn verified(&self) -> anyhow::Result<Event> {
        Ok(Event::Verified(Verified {
            event_id: EventId::derive(EventKind::Verified, self.id, self.window(), 0, 0),
            occurred_at: self.now,
            version: VERSION,
            id: self.id,
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            email: self.email.clone(),
            locale: Locale::default(),
            request_id: RequestId::random(),
        }))
    }

    fn window(&self) -> u64 {
        window_at(self.now)
    }
}

/// The number of the window that begins at this moment.
pub(crate) fn window_at(moment: Timestamp) -> u64 {
    u64::try_from(moment.as_second()).unwrap_or(0) / WINDOW.as_secs()
}

/// Writes the events of these people, and waits for all acks. A record has its event's time.
///
/// # Errors
/// When the broker does not acknowledge them.
pub(crate) async fn write(
    brokers: &str,
    people: Range<u64>,
    label: &str,
    event: impl Fn(u64) -> anyhow::Result<Event> + Send + 'static,
) -> anyhow::Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "20")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.messages", "100000")
        .create()?;
    let bar = progress::bar(label, people.end - people.start);
    let writing = tokio::task::spawn_blocking(move || {
        for number in people {
            let event = event(number)?;
            let encoded = event.encode()?;
            let mut record = BaseRecord::to(encoded.topic.name())
                .key(&encoded.key)
                .payload(&encoded.payload)
                .headers(encoded.headers)
                .timestamp(event.occurred_at().as_millisecond());
            while let Err((error, refused)) = producer.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                anyhow::ensure!(error == full, "an event can't be written: {error}");
                record = refused;
                std::thread::sleep(Duration::from_millis(5));
            }
            bar.inc(1);
        }
        producer.flush(Duration::from_secs(120)).context("not all events were acknowledged")
    });
    writing.await?
}

/// Creates a topic as the services create theirs, with six partitions.
///
/// # Errors
/// When the broker does not.
pub(crate) async fn create_topic(brokers: &str, name: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let topic = NewTopic::new(name, 6, TopicReplication::Fixed(1)).set("segment.ms", "3600000");
    for created in admin.create_topics([&topic], &AdminOptions::new()).await? {
        created.map_err(|(name, code)| anyhow::anyhow!("topic {name}: {code}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn people_have_ids_of_their_own_and_events_that_can_be_read_back() {
        let now = Timestamp::now();
        let mut keys = HashSet::new();
        for number in 0..10_000 {
            let event = Person::numbered(number, now).and_then(|person| person.created()).expect("valid");
            let encoded = event.encode().expect("JSON");
            assert!(keys.insert(encoded.key.clone()), "{number} has the id of another");
            assert_eq!(Event::decode(Some(b"user_account_created"), &encoded.payload), Ok(event));
        }
    }
}
