//! The API's description, made from the code: OpenAPI 3.1 at `/openapi.json`, Swagger UI at `/docs/`.
//!
//! Each endpoint describes its own input and answers. This module adds what all
//! endpoints share. Each example of a problem is one that the service itself made.

mod swagger_ui;

use super::{
    described::{CheckProblems, Elsewhere},
    file, health, problem, register, registration, resend, verify,
};
use crate::pages::File;
use actix_web::{HttpRequest, HttpResponse};
use std::sync::LazyLock;
pub(super) use swagger_ui::routes as swagger_ui;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, Header, HeaderBuilder, ObjectBuilder, RefOr, Type,
        path::{Operation, ParameterBuilder, ParameterIn},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Two-step signup",
        description = "Register, read the six-digit code in the mail, post it back.\n\n\
            Every error is `application/problem+json` (RFC 9457) with a stable `type`. What answers say to people is in the \
            language that the request wants, as `Content-Language` says; the examples are in English. Other methods than those below, \
            and HEAD where GET is, get `405`, other paths `404`; a body with `Transfer-Encoding` gets `411`, a head over \
            40 KiB `431`. A `503` has `Retry-After`: repeat the same request then, nothing is mailed twice."
    ),
    paths(register::register, verify::verify, resend::resend, registration::registration, health::live, health::ready, document),
    components(schemas(problem::Body)),
    modifiers(&Shared, &Elsewhere)
)]
struct Document;

/// Adds what all operations have in common.
struct Shared;

static DOCUMENT: LazyLock<serde_json::Result<File>> = LazyLock::new(|| {
    let text = serde_json::to_string(&Document::openapi())?;
    Ok(File::new("application/json", text.as_bytes(), Vec::new()))
});

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "description",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object), CheckProblems)
)]
pub(super) async fn document(request: HttpRequest) -> Result<HttpResponse, problem::Problem> {
    let document = DOCUMENT.as_ref().map_err(|error| {
        log::error!("error" = error.to_string().as_str(); "the API's description can't be written");
        problem::Problem::Internal
    })?;
    Ok(file::answer(document, &request))
}

impl Modify for Shared {
    fn modify(&self, api: &mut openapi::OpenApi) {
        for path in api.paths.paths.values_mut() {
            let posted = path.post.as_mut().map(|operation| (operation, true));
            let got = path.get.as_mut().map(|operation| (operation, false));
            for (operation, is_limited) in posted.into_iter().chain(got) {
                complete(operation, is_limited);
            }
        }
    }
}

fn complete(operation: &mut Operation, is_limited: bool) {
    let request_id = ParameterBuilder::new()
        .name("X-Request-Id")
        .parameter_in(ParameterIn::Header)
        .description(Some("Up to 64 of `A-Z a-z 0-9 . _ -`; anything else is replaced."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(request_id.into());
    for (name, description) in [
        (
            "traceparent",
            "The trace that the request belongs to (W3C Trace Context). It goes on in the records, log lines and mail that the request leads to. \
             Without it, with two of them, or with one in another form, a new trace begins.",
        ),
        (
            "tracestate",
            "What the client's tracing system passes on with its trace: it goes on in the records. Beyond 32 members or 512 octets, or in another \
             form than the standard's, it is dropped.",
        ),
    ] {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        parameters.push(parameter.into());
    }
    if is_limited {
        let language = ParameterBuilder::new()
            .name("Accept-Language")
            .parameter_in(ParameterIn::Header)
            .description(Some("The most wanted language that there is (RFC 4647, section 3.4) is that of the answer; `register` has mails in it, too, unless its body has a `locale`."))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        parameters.push(language.into());
    }
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        let id = header("Returned, logged, and in the event that the request led to.", "trace-1.2_3");
        response.headers.insert("X-Request-Id".to_owned(), id.into());
        if is_limited {
            let language = header("The language of what the answer says to people.", "en");
            response.headers.insert("Content-Language".to_owned(), language.into());
            let policy = header("The limit per client address, unless it is off.", "\"client\";q=30;w=60");
            let state = header("What is left of it now.", "\"client\";r=29");
            response.headers.insert("RateLimit-Policy".to_owned(), policy.into());
            response.headers.insert("RateLimit".to_owned(), state.into());
        }
    }
}

fn header(description: &str, example: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String).build();
    HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        .example(Some(example.into()))
        .build()
}
