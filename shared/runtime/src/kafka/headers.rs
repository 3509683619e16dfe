//! Record headers between plain names and values, which all else speaks, and librdkafka's form.

use rdkafka::message::{BorrowedHeaders, Header, Headers, OwnedHeaders};

/// Headers in librdkafka's form, in the same order.
#[must_use]
pub fn owned_headers<N: AsRef<str>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> OwnedHeaders {
    pairs.iter().fold(OwnedHeaders::new_with_capacity(pairs.len()), |headers, (name, value)| {
        headers.insert(Header { key: name.as_ref(), value: Some(value.as_ref()) })
    })
}

/// The value of a record's first header of that name.
#[must_use]
pub fn header<'a>(headers: Option<&'a BorrowedHeaders>, name: &str) -> Option<&'a [u8]> {
    headers?.iter().find(|header| header.key == name)?.value
}
