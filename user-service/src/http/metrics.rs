//! `GET /metrics`, on the admin address only.

use super::{Context, problem::Problem};
use actix_web::{HttpRequest, HttpResponse, http::header::ACCEPT, web::Data};
use runtime::metrics_text::MetricsFormat;

pub(super) async fn metrics(request: HttpRequest, context: Data<Context>) -> Result<HttpResponse, Problem> {
    let numbers = context.signup.numbers().await;
    let text = context.metrics.text(numbers).map_err(|_| Problem::Internal)?;
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = MetricsFormat::accepted_by(accept);
    Ok(HttpResponse::Ok().content_type(format.media_type()).body(format.from_open_metrics(text)))
}
