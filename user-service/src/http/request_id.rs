//! Around every request: gives it an id and a trace, and turns errors of the framework into problem documents.

use super::{
    Context,
    problem::{MEDIA_TYPE, Problem},
};
use crate::correlation::Correlation;
use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{CONTENT_TYPE, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use contract::{request_id::RequestId, trace_context::TraceContext};
use runtime::spans::{Kind, Span, Spans};
use std::time::Instant;

/// The request's id: the client's if it is harmless, else a random one. Every answer returns it.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The trace that the client has begun, by W3C Trace Context.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What tracing systems pass on, by the same standard.
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

pub(crate) async fn identify<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let id = given.and_then(|text| RequestId::parse(text).ok()).unwrap_or_else(RequestId::random);
    let (began, context) = (Instant::now(), request.app_data::<Data<Context>>().cloned());
    let mut span = begin_span(&request, context.as_ref().map(|context| context.get_ref()));
    let trace_id = span.trace().trace_id();
    request.extensions_mut().insert(Correlation { request_id: id.clone(), trace: span.trace().clone() });
    // Endpoints answer their refusals as responses. Any other error
    // is the framework's, and its body is no problem document.
    let answered = next.call(request).await;
    let mut response = answered
        .map_err(|error| match error.as_error::<Problem>() {
            Some(_) => error,
            None => Problem::from_framework(error.as_response_error().status_code()).into(),
        })?
        .map_into_left_body();
    if is_foreign_error(&response) {
        let problem = Problem::from_framework(response.status());
        response = response.into_response(problem.error_response()).map_into_right_body();
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
    // The label is the route's pattern, not the path: clients invent paths, and a path may hold an id or a code.
    let route = response.request().match_pattern();
    end_span(&mut span, &response, route.as_deref());
    let endpoint = route.unwrap_or_else(|| "none".to_owned());
    log::debug!(
        "request.id" = id.as_str(), "trace.id" = trace_id.to_string().as_str(), "http.method" = response.request().method().as_str(),
        "http.route" = endpoint.as_str(), "http.status" = response.status().as_u16();
        "request answered"
    );
    if let Some(context) = context {
        context.metrics.answered(endpoint, response.status().as_u16(), began.elapsed());
    }
    Ok(response)
}

/// This service's step of the client's trace, if the client names one in the standard's form; else of a new trace. Only the steps
/// of the API are exported: those of pages and probes would be many and tell little.
fn begin_span(request: &ServiceRequest, context: Option<&Context>) -> Span {
    let values = |name| request.headers().get_all(name).map(HeaderValue::as_bytes);
    let given = TraceContext::parse(values(TRACEPARENT), values(TRACESTATE));
    let exported = context.filter(|_| request.path().starts_with("/api/")).map(|context| &context.spans);
    let method = method(request.method());
    let begin = |spans: &Spans| spans.begin(Kind::Server, format_args!("{method}"), given.as_ref());
    let mut span = exported.map_or_else(|| begin(&Spans::default()), begin);
    span.text("http.request.method", method);
    span
}

/// Without path, query and other headers: a client may write anything into them.
fn end_span<B>(span: &mut Span, response: &ServiceResponse<B>, route: Option<&str>) {
    if let Some(route) = route {
        span.rename(format_args!("{} {route}", method(response.request().method())));
        span.text("http.route", route);
    }
    let status = response.status();
    span.number("http.response.status_code", status.as_u16().into());
    if status.is_server_error() {
        span.fail("server_error");
    }
}

/// The method as OpenTelemetry names it. A client may invent one.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}

/// Whether this is an error whose body is neither a problem document nor the JSON of a health probe.
fn is_foreign_error<B>(response: &ServiceResponse<B>) -> bool {
    let status = response.status();
    let content_type =
        response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    (status.is_client_error() || status.is_server_error())
        && !matches!(content_type, MEDIA_TYPE | "application/json")
}
