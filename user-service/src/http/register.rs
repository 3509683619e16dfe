//! `POST /api/register`

use super::{
    Context, Success,
    body::{self, Fields},
    problem::Problem,
};
use crate::signup::Person;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::ACCEPT_LANGUAGE,
    web::{Bytes, Data, ReqData},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{email_address::EmailAddress, locale::Locale, person_name::PersonName, request_id::RequestId};

#[derive(Deserialize)]
struct Body {
    first_name: Option<Value>,
    last_name: Option<Value>,
    email: Option<Value>,
    locale: Option<Value>,
}

#[derive(Serialize)]
struct Accepted {
    id: String,
    first_name: String,
    last_name: String,
    email: String,
    expires_at: String,
    resend_after: u64,
}

pub(super) async fn register(
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
    context: Data<Context>,
    request_id: ReqData<RequestId>,
) -> Result<HttpResponse, Problem> {
    let (person, email) = parse(&request, body::read(&request, body)?)?;
    let (first_name, last_name) = (person.first_name.clone(), person.last_name.clone());
    let registering = context.signup.clone().register(person, request_id.into_inner());
    let registered = context.to_its_end(registering).await??;
    Ok(HttpResponse::Accepted().json(Success {
        status: true,
        message: "We have sent a mail with a code to this address.",
        data: Accepted {
            id: registered.id.to_string(),
            first_name: first_name.into(),
            last_name: last_name.into(),
            email,
            expires_at: format!("{:.3}", registered.expires_at),
            resend_after: registered.resend_after.as_secs(),
        },
    }))
}

/// The person, and the address as it was spelled in the request.
fn parse(request: &HttpRequest, body: Body) -> Result<(Person, String), Problem> {
    let mut fields = Fields::default();
    let spelled = |text: &str| EmailAddress::parse(text).map(|email| (email, text.to_owned()));
    let first_name = fields.required("first_name", body.first_name, PersonName::parse);
    let last_name = fields.required("last_name", body.last_name, PersonName::parse);
    let email = fields.required("email", body.email, spelled);
    let locale = fields.optional("locale", body.locale, Locale::parse);
    let (Some(first_name), Some(last_name), Some((email, spelled)), true) =
        (first_name, last_name, email, fields.are_valid())
    else {
        return Err(fields.into_problem());
    };
    let locale = locale.or_else(|| accepted_language(request)).unwrap_or_default();
    Ok((Person { first_name, last_name, email, locale }, spelled))
}

fn accepted_language(request: &HttpRequest) -> Option<Locale> {
    Locale::from_accept_language(request.headers().get(ACCEPT_LANGUAGE)?.to_str().ok()?)
}
