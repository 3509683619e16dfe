//! `GET /health/live` and `GET /health/ready`

use super::Context;
use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
struct Liveness {
    #[schema(value_type = String)]
    status: &'static str,
}

/// How ready it is, part by part.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// All of the log that matters has been read.
    caught_up: bool,
    /// The first registration will not have to wait for a connection.
    producer_warm: bool,
    /// The broker answered a moment ago.
    broker_answers: bool,
    /// What is wrong with Kafka's topics; null when nothing is.
    topics: Option<String>,
}

/// Alive, unless the producer broke for good: then only a restart helps.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    responses(
        (status = 200, description = "Alive.", body = Liveness, example = json!({"status": "live"})),
        (status = 503, description = "Restart it.", body = Liveness, example = json!({"status": "broken producer"}))
    )
)]
pub(super) async fn live(context: Data<Context>) -> HttpResponse {
    match context.signup.fatal_error() {
        None => HttpResponse::Ok().json(Liveness { status: "live" }),
        Some(reason) => {
            log::error!("error" = reason.as_str(); "the producer can't be used any more");
            HttpResponse::ServiceUnavailable().json(Liveness { status: "broken producer" })
        }
    }
}

/// Ready: caught up with the log, producer warm, broker answers, topics as they have to be.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, description = "Requests may be sent here.", body = Readiness,
            example = json!({"caught_up": true, "producer_warm": true, "broker_answers": true, "topics": null})),
        (status = 503, description = "Not now.", body = Readiness,
            example = json!({"caught_up": false, "producer_warm": true, "broker_answers": true, "topics": null}))
    )
)]
pub(super) async fn ready(context: Data<Context>) -> HttpResponse {
    let readiness = context.signup.readiness();
    let mut response =
        if readiness.is_ready() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(Readiness {
        caught_up: readiness.caught_up,
        producer_warm: readiness.producer_warm,
        broker_answers: readiness.broker_answers,
        topics: readiness.topics,
    })
}
