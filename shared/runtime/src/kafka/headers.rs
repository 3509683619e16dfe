//! Record headers between plain names and values, which all else speaks, and librdkafka's form.

use crate::caught::caught;
use rdkafka::message::{BorrowedHeaders, Header, Headers, OwnedHeaders};

/// Headers in librdkafka's form, in the same order.
#[must_use]
pub fn owned_headers<N: AsRef<str>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> OwnedHeaders {
    pairs.iter().fold(OwnedHeaders::new_with_capacity(pairs.len()), |headers, (name, value)| {
        headers.insert(Header { key: name.as_ref(), value: Some(value.as_ref()) })
    })
}

/// The names and values of a record's headers, in order; none at all if one name is not UTF-8.
///
/// rdkafka panics at such a name, and whoever may write to a topic can write one: librdkafka passes on what it reads.
#[must_use]
pub fn headers(headers: Option<&BorrowedHeaders>) -> Vec<(&str, Option<&[u8]>)> {
    let Some(headers) = headers else { return Vec::new() };
    caught(|| headers.iter().map(|header| (header.key, header.value)).collect()).unwrap_or_default()
}

/// The value of a record's first header of that name; `None` also if a name before it is not UTF-8.
#[must_use]
pub fn header<'a>(headers: Option<&'a BorrowedHeaders>, name: &str) -> Option<&'a [u8]> {
    let headers = headers?;
    caught(|| headers.iter().find(|header| header.key == name)?.value).unwrap_or_default()
}
