//! Writes events straight to the topics with the contract's own codec and a trace each: backlogs and histories, faster than by signups.

use crate::progress;
use acceptance::world::ID_SECRET;
use anyhow::Context as _;
use contract::{
    account_id::AccountId,
    code_secrets::{self, KeyId},
    email_address::EmailAddress,
    event::{Attempt, Event, EventId, Mailing, Place, Registered, Verified},
    locale::Locale,
    person,
    person_name::PersonName,
    registration_id::RegistrationId,
    request_id::RequestId,
    trace_context::TraceContext,
};
use jiff::Timestamp;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use runtime::kafka::owned_headers;
use std::{ops::Range, time::Duration};

/// The default length of a window.
const WINDOW: Duration = Duration::from_secs(3600);
/// The default time for which a code is right after its window.
const CODE_TTL: Duration = Duration::from_secs(900);

/// A numbered person who registers at a given time.
pub(crate) struct Person {
    id: AccountId,
    registration: RegistrationId,
    data: person::Person,
    now: Timestamp,
}

impl Person {
    /// An id that no registration has.
    pub(crate) const PLACEHOLDER_ID: &'static str = "00000000-0000-8000-8000-000000000000";

    /// The person with this number.
    pub(crate) fn numbered(number: u64, now: Timestamp) -> anyhow::Result<Self> {
        let email = EmailAddress::parse(&Self::email(number))?;
        Ok(Self {
            id: account(&email)?,
            registration: RegistrationId::random(),
            data: person::Person {
                first_name: PersonName::parse("Augusta Ada")?,
                last_name: PersonName::parse("Lovelace-King")?,
                email,
                locale: Locale::default(),
            },
            // Milliseconds, as in events.
            now: Timestamp::from_millisecond(now.as_millisecond())?,
        })
    }

    /// The person's address.
    pub(crate) fn email(number: u64) -> String {
        format!("augusta.lovelace.{number}@mail.example.com")
    }

    /// The event of a registration that takes the first place of a window.
    pub(crate) fn created(&self) -> anyhow::Result<Event> {
        let mailing = Mailing::FirstCode;
        let (window, data) = (self.window(), self.data.clone());
        let place = Place { window, send: 1, expires_at: code_ends_at(window)?, key: KeyId::parse("k1")? };
        let (id, request_id) = (self.id, RequestId::random());
        let new = Registered::new(mailing, id, self.registration, data, place, request_id, self.now);
        Ok(Event::Registered(mailing, new))
    }

    /// The event of a guess.
    pub(crate) fn attempt(&self) -> Event {
        let (event_id, windows) = (EventId::of_verification(self.id, self.registration), vec![self.window()]);
        let request_id = RequestId::random();
        Event::Attempt(Attempt::new(event_id, self.id, self.registration, windows, request_id, self.now))
    }

    /// The event of a verification.
    pub(crate) fn verified(&self) -> Event {
        let (data, request_id) = (self.data.clone(), RequestId::random());
        Event::Verified(Verified::new(self.id, self.registration, data, request_id, self.now))
    }

    fn window(&self) -> u64 {
        u64::try_from(self.now.as_second()).unwrap_or(0) / WINDOW.as_secs()
    }
}

/// The account of an address, derived as in the user service, which passes over events with another account.
pub(crate) fn account(email: &EmailAddress) -> anyhow::Result<AccountId> {
    Ok(AccountId::of(&code_secrets::parse_secret(ID_SECRET)?, email))
}

/// The window whose code ends at this time.
pub(crate) fn window_of(expires_at: Timestamp) -> anyhow::Result<u64> {
    let begins = expires_at - CODE_TTL - WINDOW;
    Ok(u64::try_from(begins.as_second())? / WINDOW.as_secs())
}

fn code_ends_at(window: u64) -> anyhow::Result<Timestamp> {
    let begins = i64::try_from(window * WINDOW.as_secs())?;
    Ok(Timestamp::from_second(begins)? + WINDOW + CODE_TTL)
}

/// Writes these people's events, and waits for all acks. A record has its event's time, if its topic allows that.
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
            // As the user service does.
            let headers: Vec<_> =
                encoded.headers.into_iter().chain(TraceContext::random().headers()).collect();
            let mut record = BaseRecord::to(encoded.topic.name())
                .key(&encoded.key)
                .payload(&encoded.payload)
                .headers(owned_headers(&headers))
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

/// Creates a topic with the services' settings and six partitions.
///
/// # Errors
/// When the broker does not create it.
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

    #[test]
    fn a_window_is_known_by_the_end_of_its_code() {
        let person = Person::numbered(7, Timestamp::now()).expect("valid");
        let ends_at = code_ends_at(person.window()).expect("a time");
        assert_eq!(window_of(ends_at).ok(), Some(person.window()));
        assert!(ends_at > person.now + CODE_TTL && ends_at <= person.now + WINDOW + CODE_TTL);
    }
}
