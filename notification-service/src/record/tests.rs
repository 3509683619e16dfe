//! Records with any bytes and headers: each is mailed, handed on or put aside, and its copy has the headers of the first
//! record.

use super::*;
use crate::{
    dead_letter,
    email::{self, Letterhead, Mails},
    header::text,
    mailer::Status,
    offsets::Partition,
    outcome::Reason,
    retry,
};
use contract::{
    code_secrets::CodeSecrets,
    event::EventKind,
    retry_headers::{self, NOT_BEFORE},
    topic::Topic,
};
use jiff::Timestamp;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};
use texts::Kept;

/// Tolerance for the writers' clocks.
const TOLERANCE: Duration = Duration::from_secs(125);
/// Header names: those that are read, and others.
const NAMES: [&str; 13] = [
    "ce_type",
    "ce_time",
    "ce_id",
    NOT_BEFORE,
    retry_headers::ATTEMPT,
    retry_headers::SOURCE,
    retry_headers::FIRST_FAILURE,
    retry_headers::GROUP,
    dead_letter::SOURCE,
    dead_letter::REASON,
    dead_letter::RESOLVED,
    "traceparent",
    "",
];
/// Values close to what is expected.
const VALUES: [&str; 12] = [
    "user_account_created",
    "user_account_created.v2",
    "2026-11-21T10:00:00.123Z",
    "-9999-01-01T00:00:00Z",
    "9999-12-30T22:00:00Z",
    "0",
    "4294967295",
    "-1",
    "99999999999999999999",
    "user_account_created/0/7",
    "///",
    "",
];

fn header() -> impl Strategy<Value = Header> {
    let name = prop_oneof![8 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => ".{0,9}"];
    let known = prop::sample::select(&VALUES[..]).prop_map(|value| Some(value.as_bytes().to_vec()));
    let value = prop_oneof![6 => known, 2 => prop::option::of(prop::collection::vec(any::<u8>(), 0..40))];
    (name, value).prop_map(|(name, value)| Header { name, value })
}

fn record() -> impl Strategy<Value = Record> {
    let payload = prop_oneof![
        prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        r#"\{"(event_id|id|version|email)":("[^"]{0,20}"|[0-9]{1,20}|null)\}"#
            .prop_map(|text| Some(text.into_bytes())),
    ];
    let retried = prop::option::of((prop::sample::select(&VALUES[2..5]), any::<u32>(), 0..3_u32));
    let retried = retried.prop_map(|retried| match retried {
        // The largest numbers may overflow.
        Some((time, attempts, from_end)) => {
            let attempts = if from_end == 0 { u32::MAX } else { attempts };
            vec![
                (NOT_BEFORE, time.to_owned()),
                (retry_headers::ATTEMPT, attempts.to_string()),
                (retry_headers::SOURCE, "t/0/7".to_owned()),
            ]
        }
        None => Vec::new(),
    });
    let headers = (retried, prop::collection::vec(header(), 0..12)).prop_map(|(retried, others)| {
        retried.into_iter().map(Header::text).chain(others).collect::<Vec<_>>()
    });
    (payload, headers).prop_map(|(payload, headers)| {
        let partition = Partition { topic: Topic::MailRetry, number: 0 };
        let lent = Lent {
            key: None,
            payload: payload.as_deref(),
            timestamp: None,
            headers: headers.iter().map(|it: &Header| (it.name.as_str(), it.value.as_deref())).collect(),
        };
        Record::new(Position { partition, offset: 7, epoch: 1 }, &lent, Timestamp::now(), TOLERANCE)
    })
}

/// A time near an end of the range, or near now.
fn moment() -> impl Strategy<Value = Timestamp> {
    // In whole milliseconds.
    let (first, last) = (Timestamp::MIN.as_second() * 1_000, Timestamp::MAX.as_second() * 1_000);
    let now = Timestamp::now().as_millisecond();
    prop_oneof![
        first..=last,
        (0..10_000_i64).prop_map(move |before| last - before),
        (0..10_000_i64).prop_map(move |after| first + after),
        (-90_000_000..90_000_000_i64).prop_map(move |away| now + away),
    ]
    .prop_map(|time| Timestamp::from_millisecond(time).unwrap())
}

/// An event's JSON with arbitrary times and numbers.
fn value() -> impl Strategy<Value = serde_json::Value> {
    (moment(), moment(), any::<u64>(), any::<u32>()).prop_map(|(occurred_at, expires_at, window, send)| {
        serde_json::json!({
            "event_id": "5f5a43c7-0a52-8f3e-9d7c-2a1b3c4d5e6f", "occurred_at": format!("{occurred_at:.3}"),
            "version": VERSION, "id": "11111111-1111-8111-9111-111111111111",
            "registration": "8f14e45f-ceea-467f-9c7e-1a2b3c4d5e6f", "resends": send % 40, "first_name": "Ada",
            "last_name": "Lovelace", "email": "ada@example.com", "locale": "de", "window": window,
            "windows": [window], "send": send % 120, "expires_at": format!("{expires_at:.3}"), "key": "k1",
            "request_id": "r",
        })
    })
}

fn letterhead() -> Letterhead {
    static MAILS: LazyLock<Arc<Kept<Mails>>> =
        LazyLock::new(|| Mails::built_in("https://signup.example.com"));
    Letterhead {
        sender: "Signup <no-reply@example.com>".parse::<lettre::message::Mailbox>().unwrap().into(),
        public_url: "https://signup.example.com".to_owned(),
        secrets: CodeSecrets::parse("k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap().into(),
        mails: Arc::clone(&MAILS),
    }
}

fn lent<'a>(payload: &'a [u8], headers: Vec<(&'a str, Option<&'a [u8]>)>, timestamp: i64) -> Lent<'a> {
    Lent { key: Some(b"key"), payload: Some(payload), timestamp: Some(timestamp), headers }
}

fn position(topic: Topic) -> Position {
    Position { partition: Partition { topic, number: 0 }, offset: 7, epoch: 1 }
}

/// A record of this topic and version, written `after` milliseconds after its event.
fn content(topic: Topic, kind: EventKind, version: u32, after: i64) -> Record {
    let now = Timestamp::now();
    let value = serde_json::json!({
        "event_id": "5f5a43c7-0a52-8f3e-9d7c-2a1b3c4d5e6f", "occurred_at": format!("{now:.3}"), "version": version,
        "id": "11111111-1111-8111-9111-111111111111", "registration": "8f14e45f-ceea-467f-9c7e-1a2b3c4d5e6f",
        "resends": 0, "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "locale": "de",
        "window": 493_882, "send": 1, "expires_at": format!("{now:.3}"), "key": "k1", "request_id": "r",
    });
    let headers = vec![("ce_type", Some(kind.name().as_bytes()))];
    let stamp = now.as_millisecond() + after;
    Record::new(position(topic), &lent(value.to_string().as_bytes(), headers, stamp), now, TOLERANCE)
}

#[test]
fn a_record_whose_time_is_far_from_the_brokers_is_not_understood_in_the_topics_that_the_broker_stamps() {
    let is_understood = |topic, kind, after| {
        let content = content(topic, kind, VERSION, after).content;
        let wrong_clock = matches!(content, Content::NotUnderstood(DecodeError::WrongClock));
        assert!(wrong_clock || matches!(content, Content::Event(_)), "{content:?}");
        !wrong_clock
    };
    use EventKind::{AccountExists, CodeResent, Created, Verified};
    for kind in [Created, CodeResent, AccountExists] {
        let after = [125_000, 125_001, -125_000, -125_001];
        assert_eq!(after.map(|after| is_understood(Topic::Created, kind, after)), [true, false, true, false]);
        assert!(is_understood(Topic::MailRetry, kind, 4_000_000), "it waited");
    }
    // A verification may be as old as a backup.
    assert!(is_understood(Topic::Verified, Verified, 4_000_000));
    assert!(!is_understood(Topic::Verified, Verified, -125_001));
}

#[test]
fn a_record_of_a_newer_version_waits_and_one_of_an_earlier_version_does_not() {
    let judged = |version| {
        let record = content(Topic::Created, EventKind::Created, version, 0);
        (record.waits_for_newer(), record.earlier_version())
    };
    assert_eq!([0, 1, 2, 3].map(judged), [(false, Some(0)), (false, Some(1)), (false, None), (true, None)]);
}

#[test]
fn of_a_record_that_is_too_large_only_the_digest_is_held() {
    let now = Timestamp::now();
    let (large, largest) = (vec![b'x'; MAX_VALUE_OCTETS + 1], vec![b'x'; MAX_VALUE_OCTETS]);
    let wide = vec![b'h'; MAX_ENVELOPE_OCTETS + 1];
    let many = vec![("h", None); MAX_ENVELOPE_OCTETS];
    for lent in [
        lent(&large, Vec::new(), 0),
        lent(b"v", vec![("h", Some(&wide))], 0),
        lent(b"v", many, 0),
        Lent { key: Some(&wide), payload: None, timestamp: None, headers: Vec::new() },
    ] {
        let record = Record::new(position(Topic::MailRetry), &lent, now, TOLERANCE);
        assert!(
            matches!(&record.content, Content::TooLarge(it) if it.octets == lent.payload.map_or(0, <[u8]>::len))
        );
        assert!(record.octets() < 2_000 && record.payload.is_none(), "{}", record.octets());
        let letter = dead_letter::headers(&record, "g", Reason::TooLarge, None, now);
        assert_eq!(text(&letter, dead_letter::SOURCE), Some("user_account_mail_retry/0/7"));
        assert_eq!(text(&letter, dead_letter::VALUE_SHA256).map(str::len), Some(64));
    }
    let record = Record::new(position(Topic::Created), &lent(&largest, Vec::new(), 0), now, TOLERANCE);
    assert!(record.octets() > MAX_VALUE_OCTETS && matches!(record.content, Content::NotUnderstood(_)));
}

proptest! {
    #[test]
    fn whatever_a_record_says_it_becomes_an_email_or_none(
        value in value(), kind in prop::sample::select(&EventKind::ALL[..]),
        topic in prop::sample::select(&Topic::ALL[..]), timestamp in any::<i64>(), second in 0..250_000_000_000_i64,
        bounded in any::<bool>(),
    ) {
        // The process clock, which no record sets: from 1970 on.
        let now = Timestamp::from_second(second).unwrap();
        let value = value.to_string();
        let headers = vec![("ce_type", Some(kind.name().as_bytes()))];
        let read_at = Timestamp::now();
        let record = Record::new(position(topic), &lent(value.as_bytes(), headers, timestamp), read_at, TOLERANCE);
        let event = match record.content {
            Content::Event(event) => {
                // Two days: the event may be a day later than its record, and its expiry a day later than the event.
                let latest = read_at.checked_add(jiff::SignedDuration::from_hours(48)).unwrap();
                prop_assert!(email::deadline(&event).is_none_or(|deadline| deadline <= latest));
                Some(Arc::unwrap_or_clone(event))
            }
            _ if bounded => None,
            _ => Event::decode(Some(kind.name().as_bytes()), value.as_bytes()).ok(),
        };
        if let Some(event) = event {
            email::deadline(&event);
            let written = email::write(&event, None, &letterhead(), now);
            prop_assert!(written.is_ok() || email::deadline(&event).is_none(), "{:?}", written.err());
        }
    }

    #[test]
    fn any_record_can_be_handed_on_and_put_aside_with_its_own_headers(record in record(), code in 0..700_u16) {
        let now = Timestamp::now();
        let next = retry::next_try(record.attempt(), now, Timestamp::MAX, 1.0);
        prop_assert!(next.is_some_and(|next| next >= now));
        let source = dead_letter::source(&record);
        let retry = Retry { not_before: now, attempts: record.attempt(), source: source.clone(), first_failure: now };
        let own: Vec<_> = dead_letter::original(&record.headers).collect();

        let handed_on = dead_letter::retry_headers(&record, &retry, "g");
        prop_assert_eq!(dead_letter::original(&handed_on).collect::<Vec<_>>(), own.clone());
        let read = Retry::from_headers(&handed_on, now).expect("this service reads what it writes");
        prop_assert_eq!((read.attempts, &read.source), (retry.attempts, &source));

        let status = Some(Status { code, enhanced: None });
        let put_aside = dead_letter::headers(&record, "g", Reason::Undecodable, status, now);
        prop_assert_eq!(dead_letter::original(&put_aside).collect::<Vec<_>>(), own);
        prop_assert_eq!(text(&put_aside, dead_letter::SOURCE), Some(source.as_str()));
    }
}
