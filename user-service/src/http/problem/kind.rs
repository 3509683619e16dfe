//! The kinds of problems. Their types are part of the API and never change.

use actix_web::http::StatusCode;

const TYPE_PREFIX: &str = "urn:problem-type:two-step-signup:";

/// A kind of problem; each has a type, a title and a status of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MalformedBody,
    InvalidFields,
    WrongCode,
    WrongToken,
    NoLongerValid,
    UnknownId,
    NotFound,
    MethodNotAllowed,
    BodyTooLarge,
    HeadTooLarge,
    LengthRequired,
    CrossSite,
    UnsupportedMediaType,
    TooSoon,
    TooManyWrongCodes,
    TooManyRequests,
    RequestTimeout,
    Unavailable,
    Rejected,
    Internal,
}

impl Kind {
    /// Its `title`.
    pub(in crate::http) const fn title(self) -> &'static str {
        self.parts().1
    }

    /// Its `type`.
    pub(in crate::http) fn uri(self) -> String {
        format!("{TYPE_PREFIX}{}", self.parts().0)
    }

    /// The status of its answers.
    pub(super) const fn status(self) -> StatusCode {
        self.parts().2
    }

    const fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::MalformedBody => ("malformed-body", "The body can't be read", StatusCode::BAD_REQUEST),
            Self::InvalidFields => {
                ("invalid-fields", "Some fields are not valid", StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::WrongCode => ("wrong-code", "The code is wrong", StatusCode::UNPROCESSABLE_ENTITY),
            Self::WrongToken => ("wrong-token", "The link is wrong", StatusCode::UNPROCESSABLE_ENTITY),
            Self::NoLongerValid => ("no-longer-valid", "No more codes can be tried", StatusCode::GONE),
            Self::UnknownId => ("unknown-id", "The id is not known", StatusCode::NOT_FOUND),
            Self::NotFound => ("not-found", "There is nothing here", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => {
                ("method-not-allowed", "The method is not allowed here", StatusCode::METHOD_NOT_ALLOWED)
            }
            Self::BodyTooLarge => ("body-too-large", "The body is too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::HeadTooLarge => (
                "head-too-large",
                "The head of the request is too large",
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            ),
            Self::LengthRequired => {
                ("length-required", "The body's length is missing", StatusCode::LENGTH_REQUIRED)
            }
            Self::CrossSite => ("cross-site", "The request came from another site", StatusCode::FORBIDDEN),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                "The content type is not supported",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            Self::TooManyRequests => {
                ("too-many-requests", "Too many requests", StatusCode::TOO_MANY_REQUESTS)
            }
            Self::RequestTimeout => {
                ("request-timeout", "The request came too slowly", StatusCode::REQUEST_TIMEOUT)
            }
            Self::TooSoon => ("too-soon", "Too soon for another mail", StatusCode::TOO_MANY_REQUESTS),
            Self::TooManyWrongCodes => {
                ("too-many-wrong-codes", "Too many wrong codes", StatusCode::TOO_MANY_REQUESTS)
            }
            Self::Unavailable => {
                ("unavailable", "Please try again in a moment", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Rejected => ("rejected", "The request can't be handled", StatusCode::BAD_REQUEST),
            Self::Internal => ("internal", "Something went wrong here", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}
