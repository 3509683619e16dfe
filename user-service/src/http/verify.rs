//! `POST /api/verify`

use super::{
    Context, Limits, body,
    described::{VerifyProblems, one_of_fields},
    fields::Fields,
    problem::{FieldFault, Problem},
    success::{Message, Success, answer},
    to_its_end::to_its_end,
};
use crate::{
    correlation::Correlation,
    signup::{Proof, Verdict},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload, ReqData},
};
use contract::{
    registration_id::RegistrationId,
    verification_code::{LinkToken, VerificationCode},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::convert::Infallible;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{AllOfBuilder, RefOr, Schema},
};

#[derive(Deserialize, ToSchema)]
struct Body {
    /// The id from the answer to the registration, or to a request for another mail.
    #[schema(value_type = String, format = "uuid", required = false)]
    id: Option<Value>,
    /// The name of `id` in older clients.
    #[schema(value_type = String, format = "uuid", required = false, deprecated)]
    uid: Option<Value>,
    /// The six digits from the mail, in any pasted form: digits of any script, with spaces, dashes and
    /// invisible characters between them, and words and punctuation around them (`Code: 123-456.`).
    /// There may be no other digits, and no Latin or other cased letter may touch the digits.
    #[schema(
        value_type = String,
        required = false,
        pattern = r"^(?:\P{Nd}*[^\p{Nd}\p{Lu}\p{Ll}])?\p{Nd}(?:[\s\u0085\p{Pd}\u2212\p{Default_Ignorable_Code_Point}]*\p{Nd}){5}(?:[^\p{Nd}\p{Lu}\p{Ll}]\P{Nd}*)?$",
        example = "123456",
    )]
    code: Option<Value>,
    /// The token of the mail's link: 128 bits in base64url.
    #[schema(
        value_type = String,
        required = false,
        pattern = "^[A-Za-z0-9_-]{21}[AQgw]$",
        example = "jGoS1gFwNSAYdJhbO6nyuQ",
    )]
    token: Option<Value>,
}

/// An id, and either a code or a link's token from a mail.
struct Verification;

#[derive(Serialize, ToSchema)]
struct Verified {
    /// The account's own id. All registrations of this address share it, and only the answer to a right proof shows it.
    #[schema(format = "uuid")]
    id: String,
}

/// Verify with the code or the link's token.
///
/// The account is verified with exactly the data of this registration. Each code that is tried costs a guess,
/// but the same code never costs two. The link's token costs none and works even after too many wrong codes. If
/// the account has been verified since this registration was made, the answer is the same, and nothing changes.
#[utoipa::path(
    post,
    path = "/api/verify",
    tag = "signup",
    request_body(content(
        (Verification = "application/json", examples(
            ("code" = (value = json!({"id": "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c", "code": "123456"}))),
            ("token" = (value = json!({"id": "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c", "token": "jGoS1gFwNSAYdJhbO6nyuQ"})))
        )),
        (Verification = "application/x-www-form-urlencoded", examples(
            ("code" = (value = json!({"id": "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c", "code": "123456"})))
        ))
    )),
    responses(
        (status = 200, description = "The account is verified, and that is in the log.", body = Success<Verified>,
            example = json!({
                "status": true,
                "message": "The account is verified.",
                "data": {"id": "c19a848c-0495-87ae-9e10-8be694335a56"}
            })),
        VerifyProblems
    )
)]
pub(super) async fn verify(
    request: HttpRequest,
    payload: Payload,
    context: Data<Context>,
    limits: Data<Limits>,
    correlation: ReqData<Correlation>,
) -> Result<HttpResponse, Problem> {
    let (id, proof) = parse(body::read(&request, payload).await?)?;
    let client = limits.client(&request);
    let verifying = context.signup.clone().verify(id, proof, client, correlation.into_inner());
    match to_its_end(&request, verifying).await?? {
        Verdict::Verified(account) => {
            let data = Verified { id: account.to_string() };
            Ok(answer(&request, StatusCode::OK, Message::Verified, data))
        }
        Verdict::WrongCode { attempts_left } => Err(Problem::WrongCode { attempts_left }),
        Verdict::WrongToken => Err(Problem::WrongToken),
        Verdict::GuessesUsedUp => Err(Problem::GuessesUsedUp),
        Verdict::TooManyWrongCodes(wait) => Err(Problem::TooManyWrongCodes(wait)),
        Verdict::Unknown => Err(Problem::UnknownId),
    }
}

impl PartialSchema for Verification {
    fn schema() -> RefOr<Schema> {
        let either = AllOfBuilder::new()
            .item(Body::schema())
            .item(one_of_fields(["id", "uid"]))
            .item(one_of_fields(["code", "token"]));
        either.description(Some("An id, and either a code or a link's token from a mail.")).into()
    }
}

impl ToSchema for Verification {}

fn parse(body: Body) -> Result<(RegistrationId, Proof), Problem> {
    let mut fields = Fields::default();
    let id = parse_id(&mut fields, body.id, body.uid);
    let proof = match (body.code, body.token) {
        (Some(code), None) => fields.required("code", Some(code), VerificationCode::parse).map(Proof::Code),
        (None, Some(token)) => fields.required("token", Some(token), LinkToken::parse).map(Proof::Token),
        (None, None) => fields.refuse("code", FieldFault::NeitherCodeNorToken),
        (Some(_), Some(_)) => fields.refuse("token", FieldFault::NotWithCode),
    };
    match (id, proof) {
        (Some(id), Some(proof)) => Ok((id, proof)),
        _ => Err(fields.into_problem()),
    }
}

/// Parses the id of a registration from `id` or, for older clients,
/// from `uid`. A malformed id becomes one that no registration has.
pub(super) fn parse_id(fields: &mut Fields, id: Option<Value>, uid: Option<Value>) -> Option<RegistrationId> {
    if id.is_some() && uid.is_some() {
        return fields.refuse("uid", FieldFault::NotWithId);
    }
    let parse = |text: &str| Ok::<_, Infallible>(text.parse().unwrap_or(RegistrationId::NONE));
    fields.required("id", id.or(uid), parse)
}
