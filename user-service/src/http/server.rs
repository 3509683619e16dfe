//! The public HTTP server: the routes, their middleware, and the connections.

use super::{Admission, Context, Limits, connection, cors, identify, language, limits, page, routes};
use crate::pages::Pages;
use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    App,
    dev::{AppConfig, Server},
    middleware::{Condition, from_fn},
    rt::net::TcpStream,
    web::Data,
};
use std::{future::ready, io, net::TcpListener, sync::Arc, time::Duration};
use texts::Kept;
use tokio_util::sync::CancellationToken;

/// How long requests in flight may take to finish when the service stops, in seconds.
const DRAIN_SECONDS: u64 = 20;
/// How long an idle connection is kept; longer than proxies commonly keep theirs.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The parts of the public server.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) context: Context,
    /// What answers say and show to people.
    pub(crate) pages: Data<Kept<Pages>>,
    pub(crate) limits: Data<Limits>,
    pub(crate) admission: Arc<Admission>,
    /// Other origins whose pages may call the API.
    pub(crate) origins: Vec<String>,
    /// The URL at which browsers reach this server.
    pub(crate) public_url: String,
    /// How long a client may take for the head of its first request.
    pub(crate) head_timeout: Duration,
    /// Whether `/openapi.json` and `/docs/` are served.
    pub(crate) has_docs: bool,
}

/// Serves until `stop` is cancelled, then finishes the requests in flight.
///
/// This is actix-web's own `HttpServer` with one difference: a [`connection`] lies between each socket and HTTP.
///
/// # Errors
/// When the listener can't be used.
pub(crate) fn serve(listener: TcpListener, http: Http, stop: CancellationToken) -> io::Result<Server> {
    let server = Server::build().shutdown_timeout(DRAIN_SECONDS).shutdown_signal(stop.cancelled_owned());
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("http", listener, move || {
        let Http { context, pages, limits, admission, origins, public_url, head_timeout, has_docs } =
            http.clone();
        let app = App::new()
            .app_data(pages)
            .configure(routes(context, limits, has_docs, !origins.is_empty()))
            .wrap(from_fn(limits::limit))
            // Outside of the limits, so that a page can read their refusals. Preflights end here and are not counted: to refuse
            // one would take more work than this answer.
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap(from_fn(connection::track))
            .wrap(from_fn(identify))
            .wrap(from_fn(language::speak))
            .wrap(page::default_headers(&public_url));
        let app = app.into_factory().map_err(|error| error.error_response());
        let stopping = stopping.clone();
        let http = HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(head_timeout)
            .client_disconnect_timeout(connection::LINGER)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &connection::Connection, data| connection.introduce(data))
            .finish(map_config(app, |()| AppConfig::default()));
        let admit = move |stream: TcpStream| {
            let connection = admission.admit(stream);
            ready(connection.map(|connection| {
                let peer = connection.peer;
                (connection, Protocol::Http1, Some(peer))
            }))
        };
        fn_service(admit).map_err(Into::into).and_then(http)
    })?;
    Ok(server.run())
}
