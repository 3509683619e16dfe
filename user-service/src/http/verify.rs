//! `POST /api/verify`

use super::{
    Context, Success,
    body::{self, Fields},
    openapi::{VerifyProblems, one_of_fields},
    problem::Problem,
    to_its_end::to_its_end,
};
use crate::signup::{Proof, Verdict};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload, ReqData},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    account_id::AccountId,
    request_id::RequestId,
    verification_code::{LinkToken, VerificationCode},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{AllOfBuilder, RefOr, Schema},
};

#[derive(Deserialize, ToSchema)]
struct Body {
    /// The id from the answer to the registration.
    #[schema(value_type = String, format = "uuid", required = false)]
    id: Option<Value>,
    /// The field's name in older clients.
    #[schema(value_type = String, format = "uuid", required = false, deprecated)]
    uid: Option<Value>,
    /// The six digits from the mail, as they are pasted: digits of any script, with spaces, dashes and invisible characters
    /// between them, and words and punctuation around, such as `Code: 123-456.` No other digits, and no Latin or other cased
    /// letter that touches them.
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

/// An id, and either the code or the token of the newest mail.
struct Verification;

#[derive(Serialize, ToSchema)]
struct Verified {
    /// Whose account.
    #[schema(format = "uuid")]
    id: String,
}

/// Verify with the code or the link's token.
///
/// A wrong code costs an attempt. The right one may be repeated until it would have expired.
#[utoipa::path(
    post,
    path = "/api/verify",
    tag = "signup",
    request_body(content(
        (Verification = "application/json", examples(
            ("code" = (value = json!({"id": "c19a848c-0495-87ae-9e10-8be694335a56", "code": "123456"}))),
            ("token" = (value = json!({"id": "c19a848c-0495-87ae-9e10-8be694335a56", "token": "jGoS1gFwNSAYdJhbO6nyuQ"})))
        )),
        (Verification = "application/x-www-form-urlencoded", examples(
            ("code" = (value = json!({"id": "c19a848c-0495-87ae-9e10-8be694335a56", "code": "123456"})))
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
    request_id: ReqData<RequestId>,
) -> Result<HttpResponse, Problem> {
    let (id, proof) = parse(body::read(&request, payload).await?)?;
    let verifying = context.signup.clone().verify(id, proof, request_id.into_inner());
    match to_its_end(verifying).await?? {
        Verdict::Verified => Ok(HttpResponse::Ok().json(Success {
            status: true,
            message: "The account is verified.",
            data: Verified { id: id.to_string() },
        })),
        Verdict::WrongCode { attempts_left } => Err(Problem::wrong_code(attempts_left)),
        Verdict::WrongToken => Err(Problem::wrong_token()),
        Verdict::AttemptsUsedUp => Err(Problem::attempts_used_up()),
        Verdict::Expired => Err(Problem::expired()),
        Verdict::Unknown => Err(Problem::unknown_id()),
    }
}

impl PartialSchema for Verification {
    fn schema() -> RefOr<Schema> {
        let either = AllOfBuilder::new()
            .item(Body::schema())
            .item(one_of_fields(["id", "uid"]))
            .item(one_of_fields(["code", "token"]));
        either.description(Some("An id, and either the code or the token of the newest mail.")).into()
    }
}

impl ToSchema for Verification {}

fn parse(body: Body) -> Result<(AccountId, Proof), Problem> {
    let mut fields = Fields::default();
    let id = parse_id(&mut fields, body.id, body.uid);
    let proof = match (body.code, body.token) {
        (Some(code), None) => fields.required("code", Some(code), VerificationCode::parse).map(Proof::Code),
        (None, Some(token)) => fields.required("token", Some(token), LinkToken::parse).map(Proof::Token),
        (None, None) => fields.refuse("code", "is required, unless there is a token"),
        (Some(_), Some(_)) => fields.refuse("token", "must not be there together with a code"),
    };
    match (id, proof) {
        (Some(id), Some(proof)) => Ok((id, proof)),
        _ => Err(fields.into_problem()),
    }
}

/// Parses the id of a registration, under its name or that in older clients.
pub(super) fn parse_id(fields: &mut Fields, id: Option<Value>, uid: Option<Value>) -> Option<AccountId> {
    if id.is_some() && uid.is_some() {
        return fields.refuse("uid", "must not be there together with an id");
    }
    let parse = |text: &str| text.parse().map_err(|_| "must be the id from the answer to the registration");
    fields.required("id", id.or(uid), parse)
}
