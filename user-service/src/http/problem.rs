//! Error answers: `application/problem+json` (RFC 9457).
//!
//! Each has a stable `type`; `detail` says what was wrong and what to do. The cause
//! of a 5xx is logged once, where it is handled; the answer shows only its class.

mod kind;

use crate::signup::Unavailable;
use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, RETRY_AFTER},
    },
};
pub(crate) use kind::Kind;
use serde::Serialize;
use std::{fmt, time::Duration};
use utoipa::ToSchema;

/// The media type of every error.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field's name in the body.
    #[schema(value_type = String)]
    pub(crate) field: &'static str,
    /// What it must be, as the end of a sentence that begins with the field.
    pub(crate) detail: String,
}

/// An error answer.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    attempts_left: Option<u32>,
    allow: Option<&'static str>,
    retry_after: Option<Duration>,
}

/// What went wrong and what to do, for programs and people (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body<'a> {
    /// Never changes: programs tell problems apart by it.
    #[schema(format = "uri")]
    r#type: String,
    /// One title for all problems of a type.
    #[schema(value_type = String)]
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong this time and what to do.
    #[schema(value_type = String)]
    detail: &'a str,
    /// All wrong fields.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>, required = false)]
    errors: &'a [FieldError],
    /// Codes that can still be tried with this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32, required = false)]
    attempts_left: Option<u32>,
}

impl Problem {
    /// A problem of one kind; `detail` says what was wrong and what to do.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            detail: detail.into(),
            errors: Vec::new(),
            attempts_left: None,
            allow: None,
            retry_after: None,
        }
    }

    /// Lists all wrong fields at once.
    pub(crate) fn invalid_fields(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(Kind::InvalidFields, "correct the fields listed in errors and send the request again")
        }
    }

    /// The code was wrong, or not compared.
    pub(crate) fn wrong_code(attempts_left: u32) -> Self {
        let left = match attempts_left {
            0 => "this was the last code that can be tried with this id".to_owned(),
            1 => "check the code in the newest mail; 1 attempt is left".to_owned(),
            more => format!("check the code in the newest mail; {more} attempts are left"),
        };
        let detail = format!("{left}. The link in the mail works even after too many wrong codes");
        Self { attempts_left: Some(attempts_left), ..Self::new(Kind::WrongCode, detail) }
    }

    /// The id is not known.
    pub(crate) fn unknown_id() -> Self {
        Self::new(Kind::UnknownId, "nobody registered under this id lately; register first")
    }

    /// The token of the link is wrong.
    pub(crate) fn wrong_token() -> Self {
        Self::new(Kind::WrongToken, "open the link of the newest mail, or type its code")
    }

    /// The guesses with this id are used up.
    pub(crate) fn guesses_used_up() -> Self {
        let detail = "too many wrong codes were tried with this id; open the link in the mail, which still works, or register again";
        Self::new(Kind::NoLongerValid, detail)
    }

    /// The client has reached its limit of wrong codes, over all ids.
    pub(crate) fn too_many_wrong_codes(wait: Duration) -> Self {
        let detail = "too many wrong codes came from this address; open the link in the mail, which still works, or wait for the \
                      time in Retry-After";
        Self { retry_after: Some(wait), ..Self::new(Kind::TooManyWrongCodes, detail) }
    }

    /// It is too soon for another mail with this id.
    pub(crate) fn too_soon(wait: Duration) -> Self {
        let detail =
            "look for the mail in all folders; another can be asked for after the time in Retry-After";
        Self { retry_after: Some(wait), ..Self::new(Kind::TooSoon, detail) }
    }

    /// The client has reached its rate limit.
    pub(crate) fn too_many_requests(wait: Duration) -> Self {
        let detail = "there were too many requests from this address; wait for the time in Retry-After";
        Self { retry_after: Some(wait), ..Self::new(Kind::TooManyRequests, detail) }
    }

    /// Too many requests are in flight.
    pub(crate) fn overloaded() -> Self {
        let detail = "too many requests are under way; repeat this one after the time in Retry-After";
        Self { retry_after: Some(Duration::from_secs(1)), ..Self::new(Kind::Unavailable, detail) }
    }

    /// A page of another site made a browser send this.
    pub(crate) fn cross_site() -> Self {
        let detail = "open the signup page itself; a page of another origin must be listed in CORS_ORIGINS";
        Self::new(Kind::CrossSite, detail)
    }

    /// The body has `Transfer-Encoding`, so its end is not certain.
    pub(crate) fn length_required() -> Self {
        Self::new(Kind::LengthRequired, "send the body with Content-Length, not with Transfer-Encoding")
    }

    /// The head of the request is longer than the limit.
    pub(crate) fn head_too_large() -> Self {
        Self::new(Kind::HeadTooLarge, "send fewer or shorter header fields, and a shorter path")
    }

    /// There is no such path.
    pub(crate) fn not_found() -> Self {
        Self::new(Kind::NotFound, "check the path")
    }

    /// A fault of this service; its cause is in the log.
    pub(crate) fn internal() -> Self {
        Self::new(Kind::Internal, "the fault is on our side; try again later")
    }

    /// The path does not have this method.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow}");
        Self { allow: Some(allow), ..Self::new(Kind::MethodNotAllowed, detail) }
    }

    /// Its kind.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The time in `Retry-After`, if the answer has one.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> Body<'_> {
        Body {
            r#type: self.kind.uri(),
            title: self.kind.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            attempts_left: self.attempts_left,
        }
    }

    /// The problem for an error answer of the framework.
    pub(crate) fn from_framework(status: StatusCode) -> Self {
        let problem = match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(Kind::BodyTooLarge, "the request is too large"),
            status if status.is_server_error() => Self::internal(),
            _ => Self::new(Kind::Rejected, "the request is not well-formed"),
        };
        Self { status, ..problem }
    }
}

impl From<Unavailable> for Problem {
    fn from(cause: Unavailable) -> Self {
        log::warn!("error" = cause.to_string().as_str(); "request refused with 503");
        let detail = "repeat the same request after the time in Retry-After";
        Self { retry_after: Some(Duration::from_secs(1)), ..Self::new(Kind::Unavailable, detail) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// A wait in seconds, rounded up so that a client that returns then does not have to wait again.
pub(super) fn seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.content_type(MEDIA_TYPE);
        if let Some(wait) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds(wait).to_string()));
        }
        if let Some(allow) = self.allow {
            response.insert_header((ALLOW, allow));
        }
        response.json(self.body())
    }
}
