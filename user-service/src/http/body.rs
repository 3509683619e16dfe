//! Request bodies: JSON or a form, read once, every wrong field reported.

use super::problem::{FieldError, Kind, Problem};
use actix_web::{
    FromRequest, HttpRequest,
    error::PayloadError,
    http::header::CONTENT_TYPE,
    web::{Bytes, Payload},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, error::Category};
use std::{fmt, time::Duration};

/// Most octets of a body: many times what the longest valid registration needs.
pub(crate) const MAX_OCTETS: usize = 16 * 1024;
/// How long a client may take to send its body.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a body into a structure whose fields are all optional JSON values. One of another media type is not read, and its
/// connection ends.
///
/// # Errors
/// 408, 413, 415 or 400: the body can't be read at all.
pub(crate) async fn read<T: DeserializeOwned>(request: &HttpRequest, payload: Payload) -> Result<T, Problem> {
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        serde_json::from_slice(&receive(request, payload).await?)
            .map_err(|error| Problem::new(Kind::MalformedBody, json_detail(&error)))
    } else if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        serde_urlencoded::from_bytes(&receive(request, payload).await?).map_err(|_| {
            Problem::new(
                Kind::MalformedBody,
                "expected a form in UTF-8 with each field once: name=value&name=value",
            )
        })
    } else {
        Err(Problem::new(
            Kind::UnsupportedMediaType,
            "send Content-Type: application/json or application/x-www-form-urlencoded",
        ))
    }
}

async fn receive(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    let body = Bytes::from_request(request, &mut payload.into_inner());
    let body = tokio::time::timeout(TIMEOUT, body)
        .await
        .map_err(|_| Problem::new(Kind::RequestTimeout, "send the whole request at once"))?;
    body.map_err(|error| match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => {
            Problem::new(Kind::BodyTooLarge, format!("a body may have at most {MAX_OCTETS} bytes"))
        }
        _ => Problem::new(Kind::MalformedBody, "the body ended early or is not encoded as its headers say"),
    })
}

/// What was wrong with the JSON, without a word of it.
fn json_detail(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Data => "expected one JSON object with each field once".to_owned(),
        Category::Eof => "the JSON ends too early".to_owned(),
        _ => format!("the JSON is not valid at line {}, column {}", error.line(), error.column()),
    }
}

/// Converts fields to what they stand for, and collects what is wrong with them.
#[derive(Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// A field that must be there.
    pub(crate) fn required<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        value: Option<Value>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match value {
            None | Some(Value::Null) => self.refuse(field, "is required"),
            Some(value) => self.parse(field, &value, parse),
        }
    }

    /// A field that may be missing, null or empty.
    pub(crate) fn optional<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        value: Option<Value>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(value) => self.parse(field, &value, parse),
        }
    }

    /// Notes what is wrong with a field.
    pub(crate) fn refuse<T>(&mut self, field: &'static str, detail: impl Into<String>) -> Option<T> {
        self.0.push(FieldError { field, detail: detail.into() });
        None
    }

    /// The problem with all wrong fields.
    pub(crate) fn into_problem(self) -> Problem {
        Problem::invalid_fields(self.0)
    }

    /// Whether no field was wrong so far.
    pub(crate) fn are_valid(&self) -> bool {
        self.0.is_empty()
    }

    fn parse<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        value: &Value,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Value::String(text) = value else { return self.refuse(field, "must be a string") };
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => self.refuse(field, error.to_string()),
        }
    }
}
