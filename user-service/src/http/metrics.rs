//! `GET /metrics`, on the admin address only.

use super::{
    Context,
    problem::{Kind, Problem},
};
use actix_web::{HttpResponse, web::Data};

/// The media type of the OpenMetrics text format.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(context: Data<Context>) -> Result<HttpResponse, Problem> {
    let numbers = context.signup.numbers().await;
    let text = context
        .metrics
        .text(numbers)
        .map_err(|_| Problem::new(Kind::Internal, "the numbers could not be written; try again"))?;
    Ok(HttpResponse::Ok().content_type(MEDIA_TYPE).body(text))
}
