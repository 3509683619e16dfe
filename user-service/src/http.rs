//! The HTTP surface: the route table, and what all endpoints share.

mod problem;
mod language;
mod success;
mod body;
mod fields;
mod to_its_end;
mod client;
mod cross_site;
mod limits;
mod connection;
mod request_id;
mod register;
mod verify;
mod resend;
mod registration;
mod health;
mod metrics;
mod file;
mod page;
mod described;
mod openapi;
mod server;

use crate::{metrics::Metrics, signup::Signup};
use actix_cors::Cors;
use actix_web::{
    FromRequest, Handler, HttpResponse, Resource, Responder, ResponseError,
    http::{Method, header},
    web::{self, Data, PayloadConfig, ServiceConfig},
};
pub(crate) use client::Proxies;
pub(crate) use connection::{Admission, Silence};
pub(crate) use limits::Limits;
use problem::Problem;
pub(crate) use request_id::identify;
use runtime::{spans::Spans, tasks::Tasks};
pub(crate) use server::{Http, serve};
use std::sync::Arc;

/// The parts of the service that every request may use.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) signup: Signup,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tasks: Tasks,
    pub(crate) spans: Spans,
}

/// The public route table. The caller wraps it in limits, CORS, request ids and security headers.
fn routes(
    context: Context,
    limits: Data<Limits>,
    has_docs: bool,
    is_embeddable: bool,
) -> impl FnOnce(&mut ServiceConfig) {
    move |app| {
        app.app_data(Data::new(context))
            .app_data(limits)
            .app_data(PayloadConfig::new(body::MAX_OCTETS))
            .service(resource("/api/register", "POST").route(web::post().to(register::register)))
            .service(resource("/api/verify", "POST").route(web::post().to(verify::verify)))
            .service(resource("/api/resend", "POST").route(web::post().to(resend::resend)))
            .service(resource("/api/registration", "POST").route(web::post().to(registration::registration)))
            .service(get("/health/live", health::live))
            .service(get("/health/ready", health::ready))
            .configure(page::routes(is_embeddable))
            .default_service(web::to(not_found));
        if has_docs {
            app.service(get("/openapi.json", openapi::document)).configure(openapi::swagger_ui);
        }
    }
}

/// The route table of the admin address.
pub(crate) fn admin_routes(context: Context) -> impl FnOnce(&mut ServiceConfig) {
    move |app| {
        app.app_data(Data::new(context))
            .service(get("/metrics", metrics::metrics))
            .service(get("/health/live", health::live))
            .service(get("/health/ready", health::ready))
            .default_service(web::to(not_found));
    }
}

/// Pages of other origins may call the API only when their origin is listed.
fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST])
        .allowed_headers([header::CONTENT_TYPE, header::ACCEPT_LANGUAGE])
        .allowed_headers([request_id::HEADER, request_id::TRACEPARENT, request_id::TRACESTATE])
        .expose_headers([header::RETRY_AFTER, request_id::HEADER, limits::POLICY, limits::STATE])
        .max_age(3600);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

fn resource(path: &'static str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        Err::<HttpResponse, _>(Problem::MethodNotAllowed(allow))
    }))
}

/// A read-only resource. HEAD is answered as GET is, and the server leaves the body out (RFC 9110, 9.3.2).
fn get<F, Args>(path: &'static str, answer: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource(path, "GET, HEAD").route(web::get().to(answer.clone())).route(web::head().to(answer))
}

async fn not_found() -> HttpResponse {
    Problem::NotFound.error_response()
}
