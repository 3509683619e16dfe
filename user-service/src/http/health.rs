//! `GET /health/live` and `GET /health/ready`

use super::Context;
use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
struct Liveness {
    status: String,
}

/// Readiness, part by part.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// The replay at the start has read all records of the log that matter.
    caught_up: bool,
    /// All records that were in the log five seconds ago have
    /// been read. Also false without room for more registrations.
    at_log_end: bool,
    /// The producer is ready: the first registration will not have to wait for a connection.
    producer_warm: bool,
    /// The broker answered a moment ago.
    broker_answers: bool,
    /// The time of this process agrees with the broker's. A record whose time does not
    /// agree makes this false for a minute, or until the next record whose time does.
    clock_agrees: bool,
    /// What is wrong with Kafka's topics; null when nothing is.
    topics: Option<String>,
}

/// Live unless a task that the service needs has ended. Then only a restart helps, and the process is about to end.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    responses(
        (status = 200, description = "Alive.", body = Liveness, example = json!({"status": "live"})),
        (status = 503, description = "Restart it.", body = Liveness, example = json!({"status": "log reader panicked"}))
    )
)]
pub(super) async fn live(context: Data<Context>) -> HttpResponse {
    match context.tasks.ended() {
        None => HttpResponse::Ok().json(Liveness { status: "live".to_owned() }),
        Some(ended) => HttpResponse::ServiceUnavailable().json(Liveness { status: ended.to_owned() }),
    }
}

/// Ready when the replay is over, the view is at the log-end offset, the producer is warm, the
/// broker answers, the clock agrees with the broker's, and the topics are as they must be.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, description = "Requests may be sent here.", body = Readiness,
            example = json!({"caught_up": true, "at_log_end": true, "producer_warm": true, "broker_answers": true, "clock_agrees": true, "topics": null})),
        (status = 503, description = "Not now.", body = Readiness,
            example = json!({"caught_up": false, "at_log_end": false, "producer_warm": true, "broker_answers": true, "clock_agrees": true, "topics": null}))
    )
)]
pub(super) async fn ready(context: Data<Context>) -> HttpResponse {
    let readiness = context.signup.readiness();
    let mut response =
        if readiness.is_ready() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(Readiness {
        caught_up: readiness.caught_up,
        at_log_end: readiness.at_log_end,
        producer_warm: readiness.producer_warm,
        broker_answers: readiness.broker_answers,
        clock_agrees: readiness.clock_agrees,
        topics: readiness.topics,
    })
}
