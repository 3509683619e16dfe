//! The kinds of problems. Their types are part of the API and never change.

use actix_web::http::StatusCode;
use texts::Language;

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
    /// Its `title`, in a language.
    pub(in crate::http) fn title(self, language: &Language) -> String {
        language.words(&self.title_key())
    }

    /// Its `type`.
    pub(in crate::http) fn uri(self) -> String {
        format!("{TYPE_PREFIX}{}", self.parts().0)
    }

    /// The status of its answers.
    pub(super) const fn status(self) -> StatusCode {
        self.parts().1
    }

    /// The key of its title's sentence.
    pub(super) fn title_key(self) -> String {
        format!("problem.title.{}", self.parts().0.replace('-', "_"))
    }

    const fn parts(self) -> (&'static str, StatusCode) {
        match self {
            Self::MalformedBody => ("malformed-body", StatusCode::BAD_REQUEST),
            Self::InvalidFields => ("invalid-fields", StatusCode::UNPROCESSABLE_ENTITY),
            Self::WrongCode => ("wrong-code", StatusCode::UNPROCESSABLE_ENTITY),
            Self::WrongToken => ("wrong-token", StatusCode::UNPROCESSABLE_ENTITY),
            Self::NoLongerValid => ("no-longer-valid", StatusCode::GONE),
            Self::UnknownId => ("unknown-id", StatusCode::NOT_FOUND),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::BodyTooLarge => ("body-too-large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::HeadTooLarge => ("head-too-large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Self::LengthRequired => ("length-required", StatusCode::LENGTH_REQUIRED),
            Self::CrossSite => ("cross-site", StatusCode::FORBIDDEN),
            Self::UnsupportedMediaType => ("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::TooManyRequests => ("too-many-requests", StatusCode::TOO_MANY_REQUESTS),
            Self::RequestTimeout => ("request-timeout", StatusCode::REQUEST_TIMEOUT),
            Self::TooSoon => ("too-soon", StatusCode::TOO_MANY_REQUESTS),
            Self::TooManyWrongCodes => ("too-many-wrong-codes", StatusCode::TOO_MANY_REQUESTS),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::Rejected => ("rejected", StatusCode::BAD_REQUEST),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}
