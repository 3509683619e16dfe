//! `POST /api/verify`

use super::{
    Context, Success,
    body::{self, Fields},
    problem::{Kind, Problem},
};
use crate::signup::{Proof, Verdict};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, ReqData},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    account_id::AccountId,
    request_id::RequestId,
    verification_code::{LinkToken, VerificationCode},
};

#[derive(Deserialize)]
struct Body {
    id: Option<Value>,
    /// The field's name in older clients.
    uid: Option<Value>,
    code: Option<Value>,
    token: Option<Value>,
}

#[derive(Serialize)]
struct Verified {
    id: String,
}

pub(super) async fn verify(
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
    context: Data<Context>,
    request_id: ReqData<RequestId>,
) -> Result<HttpResponse, Problem> {
    let (id, proof) = parse(body::read(&request, body)?)?;
    let verifying = context.signup.clone().verify(id, proof, request_id.into_inner());
    match context.to_its_end(verifying).await?? {
        Verdict::Verified => Ok(HttpResponse::Ok().json(Success {
            status: true,
            message: "The account is verified.",
            data: Verified { id: id.to_string() },
        })),
        Verdict::WrongCode { attempts_left } => Err(Problem::wrong_code(attempts_left)),
        Verdict::WrongToken => {
            Err(Problem::new(Kind::WrongToken, "open the link of the newest mail, or type its code"))
        }
        Verdict::AttemptsUsedUp => Err(Problem::new(
            Kind::NoLongerValid,
            "its attempts are used up; ask for a new code, or open the mail's link",
        )),
        Verdict::Expired => {
            Err(Problem::new(Kind::NoLongerValid, "its time is over; register again to get a new one"))
        }
        Verdict::Unknown => Err(Problem::unknown_id()),
    }
}

fn parse(body: Body) -> Result<(AccountId, Proof), Problem> {
    let mut fields = Fields::default();
    let id = fields.required("id", body.id.or(body.uid), parse_id);
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

/// Parses the id of a registration.
pub(super) fn parse_id(text: &str) -> Result<AccountId, &'static str> {
    text.parse().map_err(|_| "must be the id from the answer to the registration")
}
