//! What the endpoints' descriptions have in common: the problems that each may answer with, as the service makes them, grouped by
//! status; and a schema that requires one of several fields.

use crate::http::{
    body,
    problem::{Body, FieldError, Kind, MEDIA_TYPE, Problem},
};
use actix_web::ResponseError;
use contract::{
    email_address::EmailAddressError, person_name::PersonNameError, verification_code::VerificationCodeError,
};
use std::{collections::BTreeMap, time::Duration};
use utoipa::{
    IntoResponses, Modify, PartialSchema, ToSchema,
    openapi::{
        AllOfBuilder, ContentBuilder, HeaderBuilder, ObjectBuilder, OneOfBuilder, OpenApi, Ref, RefOr,
        Response, ResponseBuilder, Schema, Type, example::ExampleBuilder, schema::SchemaType,
    },
};

pub(super) struct RegisterProblems;
pub(super) struct VerifyProblems;
pub(super) struct ResendProblems;
pub(super) struct RegistrationProblems;
/// Problems of endpoints that only look something up.
pub(super) struct CheckProblems;
/// Problems of requests that reach no operation.
pub(super) struct Elsewhere;

impl IntoResponses for RegisterProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let fields = [
            ("last_name", PersonNameError::Period.to_string()),
            ("email", EmailAddressError::Domain.to_string()),
        ];
        by_status(any_post().chain([invalid(fields)]))
    }
}

impl IntoResponses for VerifyProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status(any_post().chain([
            invalid([("code", VerificationCodeError.to_string())]),
            Problem::wrong_code(4),
            Problem::wrong_token(),
            Problem::unknown_id(),
            Problem::guesses_used_up(),
            Problem::too_many_wrong_codes(Duration::from_secs(120)),
        ]))
    }
}

impl IntoResponses for ResendProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status(any_post().chain([
            invalid([("id", "is required".to_owned())]),
            Problem::unknown_id(),
            Problem::too_soon(Duration::from_secs(42)),
        ]))
    }
}

impl IntoResponses for RegistrationProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status(any_post().chain([
            invalid([("token", "is required".to_owned())]),
            Problem::wrong_token(),
            Problem::unknown_id(),
        ]))
    }
}

impl IntoResponses for CheckProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status([Problem::internal()])
    }
}

impl Modify for Elsewhere {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_default();
        for (name, problem) in [
            ("NotFound", Problem::not_found()),
            ("MethodNotAllowed", Problem::method_not_allowed("POST")),
            ("HeadTooLarge", Problem::head_too_large()),
            ("Rejected", Problem::new(Kind::Rejected, "the request is not well-formed")),
        ] {
            components.responses.insert(name.to_owned(), response(&[problem]).into());
        }
    }
}

/// The problems that any POST may get.
fn any_post() -> impl Iterator<Item = Problem> {
    [
        Problem::new(Kind::MalformedBody, "the JSON ends too early"),
        Problem::cross_site(),
        Problem::new(Kind::RequestTimeout, "send the whole request at once"),
        Problem::length_required(),
        Problem::new(Kind::BodyTooLarge, format!("a body may have at most {} bytes", body::MAX_OCTETS)),
        Problem::new(
            Kind::UnsupportedMediaType,
            "send Content-Type: application/json or application/x-www-form-urlencoded",
        ),
        Problem::too_many_requests(Duration::from_secs(2)),
        Problem::internal(),
        Problem::overloaded(),
    ]
    .into_iter()
}

fn invalid<const N: usize>(fields: [(&'static str, String); N]) -> Problem {
    Problem::invalid_fields(fields.map(|(field, detail)| FieldError { field, detail }).into())
}

fn by_status(problems: impl IntoIterator<Item = Problem>) -> BTreeMap<String, RefOr<Response>> {
    let mut grouped: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
    for problem in problems {
        grouped.entry(problem.status_code().as_str().to_owned()).or_default().push(problem);
    }
    grouped.into_iter().map(|(status, problems)| (status, response(&problems).into())).collect()
}

/// The response for one status: its types, and an example of each problem.
fn response(problems: &[Problem]) -> Response {
    let mut types: Vec<String> = problems.iter().map(|problem| problem.kind().uri()).collect();
    types.dedup();
    let of_these_types = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("type", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(types)));
    let examples = problems.iter().map(|problem| {
        let body = serde_json::to_value(problem.body()).ok();
        (problem.to_string(), ExampleBuilder::new().value(body).build())
    });
    let content = ContentBuilder::new()
        .schema(Some(AllOfBuilder::new().item(Ref::from_schema_name(Body::name())).item(of_these_types)))
        .examples_from_iter(examples)
        .build();
    let mut titles: Vec<&str> = problems.iter().map(|problem| problem.kind().title()).collect();
    titles.dedup();
    let mut response = ResponseBuilder::new().description(titles.join(", or: ")).content(MEDIA_TYPE, content);
    if problems.iter().any(|problem| problem.retry_after().is_some()) {
        let seconds = HeaderBuilder::new()
            .schema(Some(u64::schema()))
            .description(Some("Seconds to wait before the request is repeated."))
            .build();
        response = response.header("Retry-After", seconds);
    }
    response.build()
}

/// A schema that requires exactly one of these fields.
pub(super) fn one_of_fields<const N: usize>(fields: [&str; N]) -> Schema {
    fields.into_iter().fold(OneOfBuilder::new(), |one, field| one.item(required(field))).build().into()
}

fn required(field: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).required(field)
}
