//! Records as anybody may have written them: whatever their bytes and headers are, they become something that is mailed,
//! handed on or put aside, and a copy has the headers of the first.

use super::*;
use crate::{
    dead_letter,
    offsets::Partition,
    outcome::Reason,
    retry::{self, NOT_BEFORE},
};
use jiff::Timestamp;
use proptest::prelude::*;
use shared::topic::Topic;

/// Names that are read, and others.
const NAMES: [&str; 12] = [
    "ce_type",
    "ce_time",
    "ce_id",
    NOT_BEFORE,
    retry::ATTEMPT,
    retry::SOURCE,
    retry::FIRST_FAILURE,
    dead_letter::SOURCE,
    dead_letter::REASON,
    dead_letter::RESOLVED,
    "traceparent",
    "",
];
/// Values that come close to what is expected.
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
        // The greatest numbers are the ones that may overflow.
        Some((time, attempts, from_end)) => {
            let attempts = if from_end == 0 { u32::MAX } else { attempts };
            vec![
                (NOT_BEFORE, time.to_owned()),
                (retry::ATTEMPT, attempts.to_string()),
                (retry::SOURCE, "t/0/7".to_owned()),
            ]
        }
        None => Vec::new(),
    });
    let headers = (retried, prop::collection::vec(header(), 0..12)).prop_map(|(retried, others)| {
        retried.into_iter().map(Header::text).chain(others).collect::<Vec<_>>()
    });
    (payload, headers).prop_map(|(payload, headers)| {
        let partition = Partition { topic: Topic::MailRetry, number: 0 };
        Record::new(Position { partition, offset: 7, epoch: 1 }, None, payload, headers)
    })
}

proptest! {
    #[test]
    fn any_record_can_be_handed_on_and_put_aside_with_its_own_headers(record in record(), status in 0..700_u16) {
        let now = Timestamp::now();
        let next = retry::next_try(record.attempt(), now, Timestamp::MAX, 1.0);
        prop_assert!(next.is_some_and(|next| next >= now));
        let source = dead_letter::source(&record);
        let retry = Retry { not_before: now, attempts: record.attempt(), source: source.clone(), first_failure: now };
        let own: Vec<_> = dead_letter::original(&record.headers).collect();

        let handed_on = dead_letter::retry_headers(&record, &retry);
        prop_assert_eq!(dead_letter::original(&handed_on).collect::<Vec<_>>(), own.clone());
        let read = Retry::from_headers(&handed_on).expect("this service reads what it writes");
        prop_assert_eq!((read.attempts, &read.source), (retry.attempts, &source));

        let put_aside = dead_letter::headers(&record, Reason::Undecodable, status, now);
        prop_assert_eq!(dead_letter::original(&put_aside).collect::<Vec<_>>(), own);
        prop_assert_eq!(text(&put_aside, dead_letter::SOURCE), Some(source.as_str()));
    }
}
