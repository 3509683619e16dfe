//! Request bodies: JSON or a form, received once and within bounds; `fields` parses what they hold.

use super::{connection::body_was_read, limits::Limits, problem::Problem};
use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE},
    web::{Bytes, Data, Payload},
};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// The largest body, in octets: many times what the longest valid registration needs.
pub(crate) const MAX_OCTETS: usize = 16 * 1024;

/// Reads a body into a structure whose fields are all optional JSON values.
///
/// The body must be UTF-8, and so must the octets that a form has percent-encoded. A byte order mark
/// is skipped. A body of another media type or character set is not read, and its connection ends.
///
/// # Errors
/// 408, 413, 415 or 400: the body can't be read at all. 429: the client
/// sends too many bodies at a time. 503: too many requests are in flight.
pub(crate) async fn read<T: DeserializeOwned>(request: &HttpRequest, payload: Payload) -> Result<T, Problem> {
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let is_json = media_type.eq_ignore_ascii_case("application/json");
    if !is_json && !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::ContentType);
    }
    if parts.any(names_another_charset) {
        return Err(Problem::Charset);
    }
    let body = receive(request, payload).await?;
    let text = str::from_utf8(&body).map_err(|_| Problem::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_json {
        return serde_json::from_str(text).map_err(|error| json_problem(&error));
    }
    // `serde_urlencoded` would replace invalid UTF-8 with U+FFFD.
    percent_decode_str(text).decode_utf8().map_err(|_| Problem::NotUtf8)?;
    serde_urlencoded::from_str(text).map_err(|_| Problem::FormShape)
}

/// Whether a parameter of the content type names a character set other than UTF-8.
fn names_another_charset(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let charset = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("charset")
        && !["utf-8", "utf8"].iter().any(|same| charset.eq_ignore_ascii_case(same))
}

async fn receive(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    if request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding.as_bytes() != b"identity") {
        return Err(Problem::ContentEncoding);
    }
    let limits = request.app_data::<Data<Limits>>().ok_or(Problem::Internal)?;
    let place = limits.begin_body(request)?;
    let body = Bytes::from_request(request, &mut payload.into_inner());
    let body = tokio::time::timeout(limits.body_timeout, body).await.map_err(|_| Problem::RequestTimeout)?;
    let body = body.map_err(|error| match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => Problem::BodyTooLarge(MAX_OCTETS),
        _ => Problem::BodyEndedEarly,
    })?;
    drop(place);
    body_was_read(request);
    // The request keeps its place until it has been answered.
    request.extensions_mut().insert(limits.begin_work()?);
    Ok(body)
}

/// What is wrong with the JSON, without quoting any of it.
fn json_problem(error: &serde_json::Error) -> Problem {
    match error.classify() {
        Category::Data => Problem::JsonShape,
        Category::Eof => Problem::JsonEndedEarly,
        _ => Problem::JsonInvalid { line: error.line(), column: error.column() },
    }
}
