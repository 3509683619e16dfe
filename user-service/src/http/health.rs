//! `GET /health/live` and `GET /health/ready`

use super::{
    Context,
    problem::{Kind, Problem},
};
use actix_web::{HttpResponse, web::Data};
use std::time::Duration;

/// How long the broker may take to answer.
const BROKER_TIMEOUT: Duration = Duration::from_secs(1);

/// Alive, unless the producer broke for good: then only a restart helps.
pub(super) async fn live(context: Data<Context>) -> HttpResponse {
    match context.signup.fatal_error() {
        None => HttpResponse::Ok().json(serde_json::json!({"status": "live"})),
        Some(reason) => {
            log::error!("error" = reason.as_str(); "the producer can't be used any more");
            HttpResponse::ServiceUnavailable().json(serde_json::json!({"status": "broken producer"}))
        }
    }
}

/// Ready: caught up with the log, producer warm, broker answers.
pub(super) async fn ready(context: Data<Context>) -> Result<HttpResponse, Problem> {
    let signup = context.signup.clone();
    let readiness = tokio::task::spawn_blocking(move || signup.readiness(BROKER_TIMEOUT))
        .await
        .map_err(|_| Problem::new(Kind::Internal, "the check itself failed; try again"))?;
    let mut response =
        if readiness.is_ready() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    Ok(response.json(readiness))
}
