//! `POST /api/registration`

use super::{
    Context, body,
    described::{RegistrationProblems, one_of_fields},
    fields::Fields,
    problem::Problem,
    success::{Message, Success, answer},
    to_its_end::to_its_end,
    verify::parse_id,
};
use crate::signup::Shown;
use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload},
};
use contract::verification_code::LinkToken;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{AllOfBuilder, RefOr, Schema},
};

#[derive(Deserialize, ToSchema)]
struct Body {
    /// The id in the mail's link, or another of the same address.
    #[schema(value_type = String, format = "uuid", required = false)]
    id: Option<Value>,
    /// The name of `id` in older clients.
    #[schema(value_type = String, format = "uuid", required = false, deprecated)]
    uid: Option<Value>,
    /// The token in the mail's link: 128 bits in base64url.
    #[schema(
        value_type = String,
        pattern = "^[A-Za-z0-9_-]{21}[AQgw]$",
        example = "jGoS1gFwNSAYdJhbO6nyuQ",
    )]
    token: Option<Value>,
}

/// An id and the token of its mail's link.
struct Link;

#[derive(Serialize, ToSchema)]
struct Registration {
    /// As it was entered.
    first_name: String,
    /// As it was entered.
    last_name: String,
    /// As it was entered, with an ASCII domain.
    email: String,
}

/// See what a mail's link would confirm.
///
/// Shows the names and the address of this registration to the holder
/// of a token of the address. It costs no guess and confirms nothing.
#[utoipa::path(
    post,
    path = "/api/registration",
    tag = "signup",
    request_body(content(
        (Link = "application/json",
            example = json!({"id": "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c", "token": "jGoS1gFwNSAYdJhbO6nyuQ"})),
        (Link = "application/x-www-form-urlencoded",
            example = json!({"id": "5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c", "token": "jGoS1gFwNSAYdJhbO6nyuQ"}))
    )),
    responses(
        (status = 200, description = "What was entered.", body = Success<Registration>,
            example = json!({
                "status": true,
                "message": "This is what the link confirms.",
                "data": {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"}
            })),
        RegistrationProblems
    )
)]
pub(super) async fn registration(
    request: HttpRequest,
    payload: Payload,
    context: Data<Context>,
) -> Result<HttpResponse, Problem> {
    let body: Body = body::read(&request, payload).await?;
    let mut fields = Fields::default();
    let id = parse_id(&mut fields, body.id, body.uid);
    let token = fields.required("token", body.token, LinkToken::parse);
    let (Some(id), Some(token)) = (id, token) else {
        return Err(fields.into_problem());
    };
    match to_its_end(&request, context.signup.clone().show(id, token)).await?? {
        Shown::Registration(person) => {
            let data = Registration {
                first_name: person.first_name.as_str().to_owned(),
                last_name: person.last_name.as_str().to_owned(),
                email: person.email.as_str().to_owned(),
            };
            Ok(answer(&request, StatusCode::OK, Message::LinkConfirms, data))
        }
        Shown::WrongToken => Err(Problem::WrongToken),
        Shown::Unknown => Err(Problem::UnknownId),
    }
}

impl PartialSchema for Link {
    fn schema() -> RefOr<Schema> {
        let link = AllOfBuilder::new().item(Body::schema()).item(one_of_fields(["id", "uid"]));
        link.item(one_of_fields(["token"])).into()
    }
}

impl ToSchema for Link {}
