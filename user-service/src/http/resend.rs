//! `POST /api/resend`

use super::{
    Context, body,
    described::{ResendProblems, one_of_fields},
    fields::Fields,
    problem::{self, Problem},
    success::{Message, Success, answer},
    to_its_end::to_its_end,
    verify::parse_id,
};
use crate::{correlation::Correlation, signup::Resent};
use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload, ReqData},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{AllOfBuilder, RefOr, Schema},
};

#[derive(Deserialize, ToSchema)]
struct Body {
    /// The id from the answer to the registration, or to an earlier request for another mail.
    #[schema(value_type = String, format = "uuid", required = false)]
    id: Option<Value>,
    /// The name of `id` in older clients.
    #[schema(value_type = String, format = "uuid", required = false, deprecated)]
    uid: Option<Value>,
}

/// An id.
struct Resend;

#[derive(Serialize, ToSchema)]
#[schema(as = Resent)]
struct Accepted {
    /// The id of a new registration with the same data. The old registration does not change.
    #[schema(format = "uuid")]
    id: String,
    /// When the code of the present window stops working (RFC 3339). The mail says how long its own code works.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Seconds until another mail can be asked for with the new id. They double with each resend.
    resend_after: u64,
}

/// Ask for another mail.
///
/// Registers the same data again, under a new id, no matter what became of the address or of the registration.
#[utoipa::path(
    post,
    path = "/api/resend",
    tag = "signup",
    request_body(content(
        (Resend = "application/json", example = json!({"id": "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c"})),
        (Resend = "application/x-www-form-urlencoded", example = json!({"id": "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c"}))
    )),
    responses(
        (status = 202, description = "The new registration is in the log. If the address can get another mail now, one will be sent.", body = Success<Accepted>,
            example = json!({
                "status": true,
                "message": "If this address can get another mail now, one is on its way.",
                "data": {
                    "id": "8b1f6a0d-3e57-4c88-b6a1-0d9e5f7c2a41",
                    "expires_at": "2026-11-21T13:15:00.000Z",
                    "resend_after": 120
                }
            })),
        ResendProblems
    )
)]
pub(super) async fn resend(
    request: HttpRequest,
    payload: Payload,
    context: Data<Context>,
    correlation: ReqData<Correlation>,
) -> Result<HttpResponse, Problem> {
    let body: Body = body::read(&request, payload).await?;
    let mut fields = Fields::default();
    let Some(id) = parse_id(&mut fields, body.id, body.uid) else {
        return Err(fields.into_problem());
    };
    let resending = context.signup.clone().resend(id, correlation.into_inner());
    match to_its_end(&request, resending).await?? {
        Resent::Accepted(registered) => {
            let data = Accepted {
                id: registered.id.to_string(),
                expires_at: format!("{:.3}", registered.expires_at),
                resend_after: problem::seconds(registered.resend_after),
            };
            Ok(answer(&request, StatusCode::ACCEPTED, Message::MailIfDue, data))
        }
        Resent::Wait(wait) => Err(Problem::TooSoon(wait)),
        Resent::Unknown => Err(Problem::UnknownId),
    }
}

impl PartialSchema for Resend {
    fn schema() -> RefOr<Schema> {
        AllOfBuilder::new().item(Body::schema()).item(one_of_fields(["id", "uid"])).into()
    }
}

impl ToSchema for Resend {}
