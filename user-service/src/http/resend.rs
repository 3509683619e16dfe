//! `POST /api/resend`

use super::{
    Context, Success,
    body::{self, Fields},
    openapi::{ResendProblems, one_of_fields},
    problem::Problem,
    to_its_end::to_its_end,
    verify::parse_id,
};
use crate::signup::Resent;
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload, ReqData},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::request_id::RequestId;
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
}

/// An id.
struct Resend;

#[derive(Serialize, ToSchema)]
#[schema(as = Resent)]
struct Accepted {
    /// Whose registration.
    #[schema(format = "uuid")]
    id: String,
    /// When the mailed code expires (RFC 3339).
    #[schema(format = DateTime)]
    expires_at: String,
    /// The cool-down until another mail can be asked for, in seconds.
    resend_after: u64,
}

/// Ask for another mail.
///
/// It has the same code, prolonged; or a new one, when the attempts are used up.
#[utoipa::path(
    post,
    path = "/api/resend",
    tag = "signup",
    request_body(content(
        (Resend = "application/json", example = json!({"id": "c19a848c-0495-87ae-9e10-8be694335a56"})),
        (Resend = "application/x-www-form-urlencoded", example = json!({"id": "c19a848c-0495-87ae-9e10-8be694335a56"}))
    )),
    responses(
        (status = 202, description = "Another mail is on its way, and that is in the log.", body = Success<Accepted>,
            example = json!({
                "status": true,
                "message": "We have sent another mail with a code.",
                "data": {
                    "id": "c19a848c-0495-87ae-9e10-8be694335a56",
                    "expires_at": "2026-11-21T12:03:30.117Z",
                    "resend_after": 60
                }
            })),
        ResendProblems
    )
)]
pub(super) async fn resend(
    request: HttpRequest,
    payload: Payload,
    context: Data<Context>,
    request_id: ReqData<RequestId>,
) -> Result<HttpResponse, Problem> {
    let body: Body = body::read(&request, payload).await?;
    let mut fields = Fields::default();
    let Some(id) = parse_id(&mut fields, body.id, body.uid) else {
        return Err(fields.into_problem());
    };
    let resending = context.signup.clone().resend(id, request_id.into_inner());
    match to_its_end(resending).await?? {
        Resent::Accepted { expires_at, resend_after } => Ok(HttpResponse::Accepted().json(Success {
            status: true,
            message: "We have sent another mail with a code.",
            data: Accepted {
                id: id.to_string(),
                expires_at: format!("{expires_at:.3}"),
                resend_after: resend_after.as_secs(),
            },
        })),
        Resent::Wait(wait) => Err(Problem::too_soon(wait)),
        Resent::Expired => Err(Problem::expired()),
        Resent::Unknown => Err(Problem::unknown_id()),
    }
}

impl PartialSchema for Resend {
    fn schema() -> RefOr<Schema> {
        AllOfBuilder::new().item(Body::schema()).item(one_of_fields(["id", "uid"])).into()
    }
}

impl ToSchema for Resend {}
