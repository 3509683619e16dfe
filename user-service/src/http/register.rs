//! `POST /api/register`

use super::{
    Context, body,
    described::RegisterProblems,
    fields::Fields,
    language,
    problem::{self, Problem},
    success::{Message, Success, answer},
    to_its_end::to_its_end,
};
use crate::correlation::Correlation;
use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload, ReqData},
};
use contract::{email_address::EmailAddress, locale::Locale, person::Person, person_name::PersonName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{AllOfBuilder, ObjectBuilder, Ref, RefOr, Schema, Type},
};

#[derive(Deserialize, ToSchema)]
#[schema(as = Registration)]
struct Body {
    /// Letters of any script with their marks, spaces and `' ’ -`; at least one letter. A comma is allowed only
    /// before a space, a period only before a space or at the end. Between letters, the punctuation of their
    /// script is allowed, such as `·` `・` `־` `׳` `་`. Nothing invisible, except ZWJ and ZWNJ where Persian or
    /// Indic scripts need them (RFC 5892, appendix A). It is kept in NFC, with plain spaces and hyphens.
    #[schema(
        value_type = String,
        required = true,
        min_length = 1,
        max_length = 100,
        pattern = r"^(?:[\p{M}\p{Zs}〇'’‘`´\-\u2010-\u2013\uFF0D\u200C\u200D·‧・･゠־֊፡᐀᠆׳״་༌՚]|[.,]\p{Zs})*[\p{L}〇](?:[\p{L}\p{M}\p{Zs}〇'’‘`´\-\u2010-\u2013\uFF0D\u200C\u200D·‧・･゠־֊፡᐀᠆׳״་༌՚]|[.,]\p{Zs})*\.?$",
        example = "Ada",
    )]
    first_name: Option<Value>,
    /// The same rules as for the first name.
    #[schema(
        value_type = String,
        required = true,
        min_length = 1,
        max_length = 100,
        pattern = r"^(?:[\p{M}\p{Zs}〇'’‘`´\-\u2010-\u2013\uFF0D\u200C\u200D·‧・･゠־֊፡᐀᠆׳״་༌՚]|[.,]\p{Zs})*[\p{L}〇](?:[\p{L}\p{M}\p{Zs}〇'’‘`´\-\u2010-\u2013\uFF0D\u200C\u200D·‧・･゠־֊፡᐀᠆׳״་༌՚]|[.,]\p{Zs})*\.?$",
        example = "Lovelace",
    )]
    last_name: Option<Value>,
    /// At most 64 octets before the `@` and 254 in all, with the domain in ASCII. The domain has a
    /// dot. A quoted part or an IP address is not allowed. Outside ASCII, letters of any script with
    /// their marks and digits are allowed: no symbols, and nothing invisible. It is kept in NFC.
    #[schema(
        value_type = String,
        required = true,
        format = "idn-email",
        example = "ada@example.com",
    )]
    email: Option<Value>,
    /// The language of the mails and of the answer: a language tag in any case, with `-` or `_`. If it is missing, null or
    /// empty, or there is no such language, `Accept-Language` decides.
    #[schema(
        value_type = String,
        required = false,
        nullable,
        max_length = 35,
        pattern = "^(?:[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*)?$",
        example = "en",
    )]
    locale: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Registered)]
struct Accepted {
    /// The id of this one registration. Its holder can ask for another mail and,
    /// with a code or token from the mailbox, be verified with exactly these data.
    #[schema(format = "uuid")]
    id: String,
    #[schema(value_type = String)]
    first_name: PersonName,
    #[schema(value_type = String)]
    last_name: PersonName,
    /// As the request spelled it.
    email: String,
    /// When the code of the present window stops working (RFC 3339). The mail says how long its own code works.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Seconds until another mail can be asked for with this id.
    resend_after: u64,
}

/// The same fields as a form, in which nothing can be null.
struct Form;

/// Register a person.
///
/// The answer does not depend on the address, and says nothing about
/// it. A repeated request makes another registration, which is as good.
#[utoipa::path(
    post,
    path = "/api/register",
    tag = "signup",
    request_body(content(
        (Body = "application/json", examples(
            ("short" = (value = json!({"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"}))),
            ("with a language" = (value = json!({
                "first_name": "Владимир", "last_name": "O’Neill Jr.", "email": "jörg@bücher.example", "locale": "pt-BR"
            })))
        )),
        (Form = "application/x-www-form-urlencoded",
            example = json!({"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"}))
    )),
    responses(
        (status = 202, description = "The registration is in the log. If the address can get another mail now, one will be sent.", body = Success<Accepted>,
            links(
                ("verify" = (operation_id = "verify", request_body = json!({"id": "$response.body#/data/id", "code": "123456"}))),
                ("resend" = (operation_id = "resend", request_body = json!({"id": "$response.body#/data/id"})))
            ),
            example = json!({
                "status": true,
                "message": "If this address can get another mail now, one is on its way.",
                "data": {
                    "id": "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c",
                    "first_name": "Ada",
                    "last_name": "Lovelace",
                    "email": "ada@example.com",
                    "expires_at": "2026-11-21T13:15:00.000Z",
                    "resend_after": 60
                }
            })),
        RegisterProblems
    )
)]
pub(super) async fn register(
    request: HttpRequest,
    payload: Payload,
    context: Data<Context>,
    correlation: ReqData<Correlation>,
) -> Result<HttpResponse, Problem> {
    let (person, email) = parse(&request, body::read(&request, payload).await?)?;
    let (first_name, last_name) = (person.first_name.clone(), person.last_name.clone());
    let registered =
        to_its_end(&request, context.signup.clone().register(person, correlation.into_inner())).await??;
    let data = Accepted {
        id: registered.id.to_string(),
        first_name,
        last_name,
        email,
        expires_at: format!("{:.3}", registered.expires_at),
        resend_after: problem::seconds(registered.resend_after),
    };
    Ok(answer(&request, StatusCode::ACCEPTED, Message::MailIfDue, data))
}

impl PartialSchema for Form {
    fn schema() -> RefOr<Schema> {
        let locale = ObjectBuilder::new().schema_type(Type::String);
        AllOfBuilder::new()
            .item(Ref::from_schema_name(Body::name()))
            .item(ObjectBuilder::new().schema_type(Type::Object).property("locale", locale))
            .into()
    }
}

impl ToSchema for Form {
    fn name() -> std::borrow::Cow<'static, str> {
        "RegistrationForm".into()
    }
}

/// The person, and the address as the request spelled it.
fn parse(request: &HttpRequest, body: Body) -> Result<(Person, String), Problem> {
    let mut fields = Fields::default();
    let spelled = |text: &str| EmailAddress::parse(text).map(|email| (email, text.to_owned()));
    let first_name = fields.required("first_name", body.first_name, PersonName::parse);
    let last_name = fields.required("last_name", body.last_name, PersonName::parse);
    let email = fields.required("email", body.email, spelled);
    if let Some(locale) = fields.optional("locale", body.locale, Locale::parse) {
        language::prefer(request, locale);
    }
    let (Some(first_name), Some(last_name), Some((email, spelled)), true) =
        (first_name, last_name, email, fields.are_valid())
    else {
        return Err(fields.into_problem());
    };
    let locale = language::of_mails(request);
    Ok((Person { first_name, last_name, email, locale }, spelled))
}
