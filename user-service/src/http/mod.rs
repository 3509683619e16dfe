//! The HTTP surface: the route table, and what all endpoints share.

mod problem;
mod body;
mod to_its_end;
mod limits;
mod request_id;
mod register;
mod verify;
mod resend;
mod health;
mod metrics;
mod page;
mod openapi;

use crate::{metrics::Metrics, signup::Signup};
use actix_cors::Cors;
use actix_web::{
    HttpResponse, Resource, ResponseError,
    http::{Method, header},
    web::{self, Data, PayloadConfig, ServiceConfig},
};
pub(crate) use limits::{Limits, limit};
pub(crate) use page::default_headers;
use problem::Problem;
pub(crate) use request_id::identify;
use serde::Serialize;
use shared::tasks::Tasks;
use std::sync::Arc;
use utoipa::ToSchema;

/// What every request may use.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) signup: Signup,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tasks: Tasks,
}

/// The shape of every success: the one that existing clients of this API read.
#[derive(Serialize, ToSchema)]
struct Success<T> {
    /// Always true.
    status: bool,
    /// For people.
    #[schema(value_type = String)]
    message: &'static str,
    data: T,
}

/// The public route table. The caller wraps it in limits, CORS, request ids and security headers.
pub(crate) fn routes(context: Context, limits: Data<Limits>) -> impl FnOnce(&mut ServiceConfig) {
    move |app| {
        app.app_data(Data::new(context))
            .app_data(limits)
            .app_data(PayloadConfig::new(body::MAX_OCTETS))
            .service(resource("/api/register", "POST, OPTIONS").route(web::post().to(register::register)))
            .service(resource("/api/verify", "POST, OPTIONS").route(web::post().to(verify::verify)))
            .service(resource("/api/resend", "POST, OPTIONS").route(web::post().to(resend::resend)))
            .service(resource("/health/live", "GET").route(web::get().to(health::live)))
            .service(resource("/health/ready", "GET").route(web::get().to(health::ready)))
            .service(resource("/openapi.json", "GET").route(web::get().to(openapi::document)))
            .configure(openapi::swagger_ui)
            .configure(page::routes)
            .default_service(web::to(not_found));
    }
}

/// The route table of the admin address.
pub(crate) fn admin_routes(context: Context) -> impl FnOnce(&mut ServiceConfig) {
    move |app| {
        app.app_data(Data::new(context))
            .service(resource("/metrics", "GET").route(web::get().to(metrics::metrics)))
            .service(resource("/health/live", "GET").route(web::get().to(health::live)))
            .service(resource("/health/ready", "GET").route(web::get().to(health::ready)))
            .default_service(web::to(not_found));
    }
}

/// Other origins' pages may call the API only when they are listed.
pub(crate) fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST])
        .allowed_headers([header::CONTENT_TYPE, header::ACCEPT_LANGUAGE, request_id::HEADER])
        .expose_headers([header::RETRY_AFTER, request_id::HEADER, limits::POLICY, limits::STATE])
        .max_age(3600);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

fn resource(path: &'static str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        Err::<HttpResponse, _>(Problem::method_not_allowed(allow))
    }))
}

async fn not_found() -> HttpResponse {
    Problem::not_found().error_response()
}
