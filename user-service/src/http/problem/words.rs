//! A problem in words, in any language.

use super::{Problem, seconds};
use actix_web::ResponseError;
use serde::Serialize;
use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
    time::Duration,
};
use texts::{Faults, Folder, Language, Settings, Texts};
use utoipa::ToSchema;

/// From this many seconds on a wait is said in minutes.
const MINUTES_FROM: u64 = 90;

/// English as it is built in.
static ENGLISH: LazyLock<Arc<Language>> = LazyLock::new(|| {
    let settings = Settings { mail_has_link: true };
    Arc::clone(Texts::read(&Folder::default(), settings, &mut Faults::default()).english())
});

/// What went wrong and what to do, for programs and people (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(in crate::http) struct Body {
    /// Never changes: programs tell problems apart by it.
    #[schema(format = "uri")]
    r#type: String,
    /// One title for all problems of a type, in the language of `Content-Language`.
    title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong this time and what to do, in the language of `Content-Language`.
    detail: String,
    /// All wrong fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<WrongField>,
    /// Codes that can still be tried with this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u32, required = false)]
    attempts_left: Option<u32>,
}

/// One wrong field.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldError)]
struct WrongField {
    /// The field's name in the body.
    #[schema(value_type = String)]
    field: &'static str,
    /// What to enter instead: a sentence to show beside the field.
    detail: String,
}

/// English, for answers to nobody in particular.
pub(crate) fn english() -> &'static Arc<Language> {
    &ENGLISH
}

impl Problem {
    /// The body of the answer.
    pub(in crate::http) fn body(&self, language: &Language) -> Body {
        let errors = match self {
            Self::InvalidFields(errors) => &errors[..],
            _ => &[],
        };
        let in_words = errors.iter().map(|error| WrongField {
            field: error.field,
            detail: language.words(&format!("problem.field.{}", error.fault.key())),
        });
        Body {
            r#type: self.kind().uri(),
            title: self.kind().title(language),
            status: self.status_code().as_u16(),
            detail: self.detail(language),
            errors: in_words.collect(),
            attempts_left: match self {
                Self::WrongCode { attempts_left } => Some(*attempts_left),
                _ => None,
            },
        }
    }

    /// What was wrong and what to do.
    pub(super) fn detail(&self, language: &Language) -> String {
        let key = format!("problem.detail.{}", self.key());
        let values = self.values(language);
        let values: Vec<_> = values.iter().map(|(place, value)| (*place, &**value)).collect();
        match self {
            Self::WrongCode { attempts_left } => {
                language.counted(&key, (*attempts_left).into()).fill(&values)
            }
            _ => language.sentence(&key).fill(&values),
        }
    }

    /// The key of its sentence, below `problem.detail`.
    const fn key(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::BodyEndedEarly => "body_ended_early",
            Self::FormShape => "form_shape",
            Self::JsonShape => "json_shape",
            Self::JsonEndedEarly => "json_ended_early",
            Self::JsonInvalid { .. } => "json_invalid",
            Self::InvalidFields(_) => "invalid_fields",
            Self::WrongCode { attempts_left: 0 } => "last_wrong_code",
            Self::WrongCode { .. } => "wrong_code",
            Self::WrongToken => "wrong_token",
            Self::GuessesUsedUp => "guesses_used_up",
            Self::TooManyWrongCodes(_) => "too_many_wrong_codes",
            Self::UnknownId => "unknown_id",
            Self::TooSoon(_) => "too_soon",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::RequestTooLarge => "request_too_large",
            Self::HeadTooLarge => "head_too_large",
            Self::LengthRequired => "length_required",
            Self::CrossSite => "cross_site",
            Self::ContentType => "content_type",
            Self::Charset => "charset",
            Self::ContentEncoding => "content_encoding",
            Self::RequestTimeout => "request_timeout",
            Self::Malformed(_) => "request_malformed",
            Self::ConnectionEnded => "connection_ended",
        }
    }

    /// What stands at the places of its sentence.
    fn values(&self, language: &Language) -> Vec<(&'static str, Cow<'static, str>)> {
        let number = |number: u64| Cow::Owned(number.to_string());
        match self {
            Self::WrongCode { attempts_left: 0 } => Vec::new(),
            Self::WrongCode { attempts_left } => vec![("count", number((*attempts_left).into()))],
            Self::BodyTooLarge(octets) => vec![("count", number(*octets as u64))],
            Self::JsonInvalid { line, column } => {
                vec![("line", number(*line as u64)), ("column", number(*column as u64))]
            }
            Self::MethodNotAllowed(methods) => vec![("methods", Cow::Borrowed(*methods))],
            problem => match problem.retry_after() {
                Some(wait) => vec![("wait", Cow::Owned(said(wait, language)))],
                None => Vec::new(),
            },
        }
    }
}

/// A wait in words, as it stands at `{wait}`.
fn said(wait: Duration, language: &Language) -> String {
    let seconds = seconds(wait);
    let (key, count) = if seconds < MINUTES_FROM {
        ("wait.seconds", seconds)
    } else {
        ("wait.minutes", seconds.div_ceil(60))
    };
    language.counted(key, count).fill(&[("count", &count.to_string())])
}

#[cfg(test)]
mod tests;
