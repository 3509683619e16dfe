//! Error answers: `application/problem+json` (RFC 9457).
//!
//! Each has a stable `type`; `detail` says what was wrong and what to do. A problem has no words: they are written in the
//! language of the request when the answer leaves (`language`), in English where there is no request. The cause of a
//! 5xx is logged once, where it is handled; the answer shows only its class.

mod fault;
mod kind;
mod words;

use crate::signup::Unavailable;
use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, RETRY_AFTER},
    },
};
pub(crate) use fault::{FieldError, FieldFault};
pub(crate) use kind::Kind;
use std::{fmt, time::Duration};
pub(super) use words::Body;
pub(crate) use words::english;

/// The media type of every error.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// How long to wait for a service that can't answer now.
const SOON: Duration = Duration::from_secs(1);

/// An error answer. Each variant has a sentence of its own: what was wrong, and what to do.
#[derive(Debug, Clone)]
pub(crate) enum Problem {
    NotUtf8,
    BodyEndedEarly,
    FormShape,
    JsonShape,
    JsonEndedEarly,
    /// Both count from 1.
    JsonInvalid {
        line: usize,
        column: usize,
    },
    /// All wrong fields at once.
    InvalidFields(Vec<FieldError>),
    /// The code was wrong, or not compared.
    WrongCode {
        attempts_left: u32,
    },
    WrongToken,
    /// The guesses with this id are used up.
    GuessesUsedUp,
    /// The client has reached its limit of wrong codes, over all ids.
    TooManyWrongCodes(Duration),
    UnknownId,
    /// It is too soon for another mail with this id.
    TooSoon(Duration),
    /// The client has reached its rate limit.
    TooManyRequests(Duration),
    /// The log can't be written or read now.
    Unavailable,
    /// Too many requests are in flight.
    Overloaded,
    /// A fault of this service; its cause is in the log.
    Internal,
    NotFound,
    /// The methods of the path, as in `Allow`.
    MethodNotAllowed(&'static str),
    /// The largest body, in octets.
    BodyTooLarge(usize),
    RequestTooLarge,
    HeadTooLarge,
    /// The body has `Transfer-Encoding`, so its end is not certain.
    LengthRequired,
    /// A page of another site made a browser send this.
    CrossSite,
    ContentType,
    Charset,
    ContentEncoding,
    RequestTimeout,
    /// Refused by the framework, with its status.
    Malformed(StatusCode),
    ConnectionEnded,
}

impl Problem {
    /// The problem for an error answer of the framework.
    pub(crate) fn from_framework(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Self::RequestTooLarge,
            status if status.is_server_error() => Self::Internal,
            status => Self::Malformed(status),
        }
    }

    /// Its kind.
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::NotUtf8
            | Self::BodyEndedEarly
            | Self::FormShape
            | Self::JsonShape
            | Self::JsonEndedEarly
            | Self::JsonInvalid { .. } => Kind::MalformedBody,
            Self::InvalidFields(_) => Kind::InvalidFields,
            Self::WrongCode { .. } => Kind::WrongCode,
            Self::WrongToken => Kind::WrongToken,
            Self::GuessesUsedUp => Kind::NoLongerValid,
            Self::TooManyWrongCodes(_) => Kind::TooManyWrongCodes,
            Self::UnknownId => Kind::UnknownId,
            Self::TooSoon(_) => Kind::TooSoon,
            Self::TooManyRequests(_) => Kind::TooManyRequests,
            Self::Unavailable | Self::Overloaded => Kind::Unavailable,
            Self::Internal => Kind::Internal,
            Self::NotFound => Kind::NotFound,
            Self::MethodNotAllowed(_) => Kind::MethodNotAllowed,
            Self::BodyTooLarge(_) | Self::RequestTooLarge => Kind::BodyTooLarge,
            Self::HeadTooLarge => Kind::HeadTooLarge,
            Self::LengthRequired => Kind::LengthRequired,
            Self::CrossSite => Kind::CrossSite,
            Self::ContentType | Self::Charset | Self::ContentEncoding => Kind::UnsupportedMediaType,
            Self::RequestTimeout => Kind::RequestTimeout,
            Self::Malformed(_) | Self::ConnectionEnded => Kind::Rejected,
        }
    }

    /// The time in `Retry-After`, if the answer has one.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyWrongCodes(wait) | Self::TooSoon(wait) | Self::TooManyRequests(wait) => Some(*wait),
            Self::Unavailable | Self::Overloaded => Some(SOON),
            _ => None,
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(cause: Unavailable) -> Self {
        log::warn!("error" = cause.to_string().as_str(); "request refused with 503");
        Self::Unavailable
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail(english()))
    }
}

/// A wait in seconds, rounded up so that a client that returns then does not have to wait again.
pub(super) fn seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed(status) => *status,
            problem => problem.kind().status(),
        }
    }

    /// In English, with the problem beside it for whoever knows the language of the request.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type(MEDIA_TYPE);
        if let Some(wait) = self.retry_after() {
            response.insert_header((RETRY_AFTER, seconds(wait).to_string()));
        }
        if let Self::MethodNotAllowed(allow) = self {
            response.insert_header((ALLOW, *allow));
        }
        let mut response = response.json(self.body(english()));
        response.extensions_mut().insert(self.clone());
        response
    }
}
