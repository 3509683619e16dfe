//! Who signs up: events as user services write them, and some records that nobody mails.
//!
//! The user service's own deciding code has no part in it yet: an event is made up here and encoded by the real codec.

use crate::{
    broker::Outgoing,
    mail_server::Treatment,
    random::Random,
    schedule::{SKEW, milliseconds},
    setup::GROUP,
};
use contract::{
    account_id::AccountId,
    code_secrets::KeyId,
    email_address::EmailAddress,
    event::{Event, EventKind, Mailing, Place, Registered, Verified},
    locale::Locale,
    person::Person,
    person_name::PersonName,
    request_id::RequestId,
    topic::Topic,
};
use jiff::{SignedDuration, Timestamp};
use notification_service::simulated::Header;
use rand::RngExt;
use std::time::Duration;

/// Draws sign-ups.
#[derive(Debug)]
pub(crate) struct People {
    random: Random,
    /// So many have signed up.
    count: u64,
}

/// What somebody causes.
#[derive(Debug)]
pub(crate) struct SignUp {
    pub(crate) record: Outgoing,
    /// What the record says, if it is an event.
    pub(crate) event: Option<Event>,
    pub(crate) treatment: Treatment,
    /// Between the decision and the record.
    pub(crate) publish: Duration,
    /// The record is written once more, so much later: the first ack was lost.
    pub(crate) again: Option<Duration>,
}

impl People {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, count: 0 }
    }

    /// How long until the next one; `pause` on average.
    pub(crate) fn pause(&mut self, pause: Duration) -> Duration {
        // Bursts and lulls.
        if self.random.random_bool(0.3) {
            Duration::ZERO
        } else {
            pause.mul_f64(self.random.random_range(0.0..3.0))
        }
    }

    /// The next one; `now`: the true time.
    pub(crate) fn next(&mut self, now: Timestamp) -> SignUp {
        self.count += 1;
        let skew = SignedDuration::from_millis(self.random.random_range(-SKEW..=SKEW));
        // Events have milliseconds.
        let occurred_at = Timestamp::from_millisecond((now + skew).as_millisecond()).unwrap_or(now);
        let (record, event) = self.record(occurred_at);
        let treatment = match self.random.random_range(0..100) {
            0..84 => Treatment::Served,
            84..88 => Treatment::Greylisted(self.random.random_range(1..10)),
            88..90 => Treatment::Full,
            90..94 => Treatment::Unknown,
            94..98 => Treatment::Unclear,
            _ => Treatment::Disliked,
        };
        let publish = milliseconds(&mut self.random, 1..4_000);
        let again = self.random.random_bool(0.02).then(|| milliseconds(&mut self.random, 1..5_000));
        SignUp { record, event, treatment, publish, again }
    }

    fn record(&mut self, occurred_at: Timestamp) -> (Outgoing, Option<Event>) {
        let draw = self.random.random_range(0..100);
        if draw < 2 {
            let record = Outgoing {
                topic: Topic::Verified,
                key: Some(self.account().to_string().into_bytes()),
                payload: None,
                headers: Vec::new(),
                created_at: occurred_at,
            };
            return (record, None);
        }
        let event = match draw {
            ..15 => Event::Verified(self.verified(occurred_at)),
            15..25 => Event::Registered(Mailing::Nothing, self.registered(Mailing::Nothing, occurred_at)),
            25..32 => Event::Registered(Mailing::Notice, self.registered(Mailing::Notice, occurred_at)),
            _ => Event::Registered(Mailing::FirstCode, self.registered(Mailing::FirstCode, occurred_at)),
        };
        let mut record = encode(&event, occurred_at);
        match draw {
            // Not an event: its value is cut off.
            97 => record.payload.iter_mut().for_each(|payload| payload.truncate(40)),
            // Another group's retry.
            98 => {
                record.topic = Topic::MailRetry;
                record.headers.push(text("retry_group", &format!("not-{GROUP}")));
            }
            _ => return (record, Some(event)),
        }
        (record, None)
    }

    fn account(&self) -> AccountId {
        AccountId::from_derived(
            u128::from(self.count).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834).to_be_bytes(),
        )
    }

    #[expect(clippy::expect_used, reason = "constants that are valid")]
    fn registered(&mut self, mailing: Mailing, occurred_at: Timestamp) -> Registered {
        let life = SignedDuration::from_secs(self.random.random_range(120..75 * 60));
        let registration = format!("8f14e45f-ceea-467f-9c7e-{:012x}", self.count).parse().expect("a UUID");
        let person = Person {
            first_name: PersonName::parse("Ada").expect("a name"),
            last_name: PersonName::parse("Lovelace").expect("a name"),
            email: EmailAddress::parse(&format!("p{}@example.com", self.count)).expect("an address"),
            locale: Locale::parse("en").expect("a language"),
        };
        let key = KeyId::parse("k1").expect("a key");
        let place = Place { window: 493_882, send: 1, expires_at: occurred_at + life, key };
        let request = RequestId::parse(&format!("r-{}", self.count)).expect("an id");
        Registered::new(mailing, self.account(), registration, person, place, request, occurred_at)
    }

    fn verified(&mut self, occurred_at: Timestamp) -> Verified {
        let asked = self.registered(Mailing::FirstCode, occurred_at);
        Verified::new(asked.id, asked.registration, asked.person(), asked.request_id.clone(), occurred_at)
    }
}

/// The event as the user service's producer gets it.
#[expect(clippy::expect_used, reason = "every field has a JSON form")]
fn encode(event: &Event, created_at: Timestamp) -> Outgoing {
    let encoded = event.encode().expect("JSON");
    Outgoing {
        topic: encoded.topic,
        key: Some(encoded.key.into_bytes()),
        payload: Some(encoded.payload),
        headers: encoded.headers.iter().map(|(name, value)| text(name, value)).collect(),
        created_at,
    }
}

fn text(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: Some(value.as_bytes().to_vec()) }
}

/// Whether an event asks for a mail.
pub(crate) fn asks_for_a_mail(event: &Event) -> bool {
    !matches!(event.kind(), EventKind::RegistrationRepeated | EventKind::Attempt)
}
