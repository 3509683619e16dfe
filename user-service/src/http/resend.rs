//! `POST /api/resend`

use super::{
    Context, Success,
    body::{self, Fields},
    problem::{Kind, Problem},
    verify::parse_id,
};
use crate::signup::Resent;
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, ReqData},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::request_id::RequestId;

#[derive(Deserialize)]
struct Body {
    id: Option<Value>,
    /// The field's name in older clients.
    uid: Option<Value>,
}

#[derive(Serialize)]
struct Accepted {
    id: String,
    expires_at: String,
    resend_after: u64,
}

pub(super) async fn resend(
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
    context: Data<Context>,
    request_id: ReqData<RequestId>,
) -> Result<HttpResponse, Problem> {
    let body: Body = body::read(&request, body)?;
    let mut fields = Fields::default();
    let Some(id) = fields.required("id", body.id.or(body.uid), parse_id) else {
        return Err(fields.into_problem());
    };
    let resending = context.signup.clone().resend(id, request_id.into_inner());
    match context.to_its_end(resending).await?? {
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
        Resent::Expired => {
            Err(Problem::new(Kind::NoLongerValid, "its time is over; register again to get a new one"))
        }
        Resent::Unknown => Err(Problem::unknown_id()),
    }
}
