//! Success answers: their shape, and what they say to people.

use super::language;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// The shape of every success, as existing clients of this API read it.
#[derive(Serialize, ToSchema)]
pub(super) struct Success<T> {
    /// Always true.
    status: bool,
    /// For people, in the language of `Content-Language`.
    message: String,
    data: T,
}

/// What an answer says to people.
#[derive(Debug, Clone, Copy)]
pub(super) enum Message {
    /// The answer to every accepted request for a mail. Whether a mail is sent depends on the address; the answer must not.
    MailIfDue,
    Verified,
    LinkConfirms,
}

impl Message {
    const fn key(self) -> &'static str {
        match self {
            Self::MailIfDue => "answer.mail_if_due",
            Self::Verified => "answer.verified",
            Self::LinkConfirms => "answer.link_confirms",
        }
    }
}

/// Answers a request in its language.
pub(super) fn answer(
    request: &HttpRequest,
    status: StatusCode,
    message: Message,
    data: impl Serialize,
) -> HttpResponse {
    let language = language::of(request);
    let message = language.words(message.key());
    let mut response = HttpResponse::build(status).json(Success { status: true, message, data });
    language::mark(response.headers_mut(), &language);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::english;
    use std::collections::BTreeSet;

    #[test]
    fn every_message_is_there_in_english_without_places() {
        let keys = [Message::MailIfDue, Message::Verified, Message::LinkConfirms].map(Message::key);
        let in_english: BTreeSet<_> = english().keys("answer.").map(|key| format!("answer.{key}")).collect();
        assert_eq!(BTreeSet::from(keys.map(str::to_owned)), in_english);
        for key in keys {
            assert!(matches!(english().sentence(key).parts(), [texts::Part::Words(_)]), "{key}");
        }
    }
}
