//! `GET /health/live` and `GET /health/ready`; `GET /metrics`.
//!
//! Live: all tasks run. When one has ended, only a restart helps, and the process is about to end.
//!
//! Ready: the process has joined the consumer group, a broker answers, and the topics are as they must be. A closed gate is
//! shown, but is no failure: a restart of this service would not bring the mail server back. With several mail servers, each
//! has its gate, and `gate` is open while one of them is. A server that has had no mail yet counts as
//! open: nothing but a mail tests it.

use crate::{
    metrics::Metrics,
    server_number::ServerNumber,
    status::{Gates, Status},
};
use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, Route, dev::Server, guard, http::header::ACCEPT, web,
};
use runtime::{
    kafka::{KafkaWatch, TopicCheck},
    metrics_text::MetricsFormat,
    tasks::Tasks,
};
use serde_json::{Value, json};
use std::{net::TcpListener, sync::Arc};
use tokio_util::sync::CancellationToken;

/// The sources of the answers.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) status: Arc<Status>,
    pub(crate) watch: Arc<KafkaWatch>,
    pub(crate) topics: Arc<TopicCheck>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tasks: Tasks,
    /// How many mail servers there are.
    pub(crate) servers: usize,
}

/// Serves until `stop` is cancelled.
pub(crate) fn serve(
    listener: TcpListener,
    sources: Sources,
    stop: CancellationToken,
) -> std::io::Result<Server> {
    let app = move || {
        App::new()
            .app_data(web::Data::new(sources.clone()))
            .route("/health/live", read().to(live))
            .route("/health/ready", read().to(ready))
            .route("/metrics", read().to(metrics))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_signal(stop.cancelled_owned())
        .shutdown_timeout(1)
        .listen(listener)?;
    Ok(server.run())
}

/// GET, and HEAD, which is answered as GET: the server leaves out the body (RFC 9110, 9.3.2).
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn live(sources: web::Data<Sources>) -> HttpResponse {
    match sources.tasks.ended() {
        None => HttpResponse::Ok().json(json!({"status": "live"})),
        Some(ended) => HttpResponse::ServiceUnavailable().json(json!({"status": ended})),
    }
}

async fn ready(sources: web::Data<Sources>) -> HttpResponse {
    let state = sources.status.snapshot();
    let closed_by = state.work.gates.all_closed_by();
    let broker = sources.watch.brokers_answer();
    let topics = sources.topics.problem();
    let ready = state.joined && broker && topics.is_none();
    let mut body = json!({
        "status": if ready { "ready" } else { "not ready" },
        "joined": state.joined,
        "broker": broker,
        "topics": topics,
        "gate": {"open": closed_by.is_none(), "closed_by": closed_by},
        "records": state.work.ledger,
    });
    if sources.servers > 1 {
        body["mail_servers"] = mail_servers(&state.work.gates, sources.servers);
    }
    if ready { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

/// The gate of each server.
fn mail_servers(gates: &Gates, servers: usize) -> Value {
    let gate = |number: ServerNumber| {
        let closed_by = gates.closed_by(number);
        json!({"server": number.label(), "open": closed_by.is_none(), "closed_by": closed_by})
    };
    ServerNumber::ALL.into_iter().take(servers).map(gate).collect()
}

async fn metrics(request: HttpRequest, sources: web::Data<Sources>) -> HttpResponse {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = MetricsFormat::accepted_by(accept);
    match sources.metrics.text() {
        Ok(text) => HttpResponse::Ok().content_type(format.media_type()).body(format.from_open_metrics(text)),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
