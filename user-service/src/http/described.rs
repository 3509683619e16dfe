//! What the endpoints' descriptions have in common: the problems that each may answer with, as the service makes them, grouped by
//! status; and a schema that requires one of several fields.

use crate::http::{
    body,
    problem::{Body, FieldError, FieldFault, MEDIA_TYPE, Problem, english},
};
use actix_web::{ResponseError, http::StatusCode};
use contract::{email_address::EmailAddressError, person_name::PersonNameError};
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
        let fields =
            [("last_name", PersonNameError::Period.into()), ("email", EmailAddressError::Domain.into())];
        by_status(any_post().chain([invalid(fields)]))
    }
}

impl IntoResponses for VerifyProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status(any_post().chain([
            invalid([("code", FieldFault::Code)]),
            Problem::WrongCode { attempts_left: 4 },
            Problem::WrongToken,
            Problem::UnknownId,
            Problem::GuessesUsedUp,
            Problem::TooManyWrongCodes(Duration::from_secs(120)),
        ]))
    }
}

impl IntoResponses for ResendProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status(any_post().chain([
            invalid([("id", FieldFault::Missing)]),
            Problem::UnknownId,
            Problem::TooSoon(Duration::from_secs(42)),
        ]))
    }
}

impl IntoResponses for RegistrationProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status(any_post().chain([
            invalid([("token", FieldFault::Missing)]),
            Problem::WrongToken,
            Problem::UnknownId,
        ]))
    }
}

impl IntoResponses for CheckProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status([Problem::Internal])
    }
}

impl Modify for Elsewhere {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_default();
        for (name, problem) in [
            ("NotFound", Problem::NotFound),
            ("MethodNotAllowed", Problem::MethodNotAllowed("POST")),
            ("HeadTooLarge", Problem::HeadTooLarge),
            ("Rejected", Problem::Malformed(StatusCode::BAD_REQUEST)),
        ] {
            components.responses.insert(name.to_owned(), response(&[problem]).into());
        }
    }
}

/// The problems that any POST may get.
fn any_post() -> impl Iterator<Item = Problem> {
    [
        Problem::JsonEndedEarly,
        Problem::CrossSite,
        Problem::RequestTimeout,
        Problem::LengthRequired,
        Problem::BodyTooLarge(body::MAX_OCTETS),
        Problem::ContentType,
        Problem::TooManyRequests(Duration::from_secs(2)),
        Problem::Internal,
        Problem::Overloaded,
    ]
    .into_iter()
}

fn invalid<const N: usize>(fields: [(&'static str, FieldFault); N]) -> Problem {
    Problem::InvalidFields(fields.map(|(field, fault)| FieldError { field, fault }).into())
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
        let body = serde_json::to_value(problem.body(english())).ok();
        (problem.to_string(), ExampleBuilder::new().value(body).build())
    });
    let content = ContentBuilder::new()
        .schema(Some(AllOfBuilder::new().item(Ref::from_schema_name(Body::name())).item(of_these_types)))
        .examples_from_iter(examples)
        .build();
    let mut titles: Vec<String> = problems.iter().map(|problem| problem.kind().title(english())).collect();
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
