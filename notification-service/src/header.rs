//! The headers of a record, owned.

/// One header. Its value may be absent, and need not be text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: Option<Vec<u8>>,
}

impl Header {
    pub(crate) fn text((name, value): (&str, String)) -> Self {
        Self { name: name.to_owned(), value: Some(value.into_bytes()) }
    }
}

/// The value of the first header of that name.
pub(crate) fn value<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name == name)?.value.as_deref()
}

/// The value of the first header of that name, as text.
pub(crate) fn text<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    std::str::from_utf8(value(headers, name)?).ok()
}
