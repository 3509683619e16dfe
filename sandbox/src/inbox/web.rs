//! The inbox page and its requests.
//!
//! Mails are untrusted. Their HTML is shown only in a sandboxed frame, which inherits the page's policy: no script but the
//! page's own file, and nothing from other sites. Inline styles are allowed, because mails consist of them.

use crate::inbox::{mailbox::Mailbox, mailhog};
use actix_web::{
    HttpResponse, Responder,
    http::header,
    middleware::DefaultHeaders,
    web::{self, Data, Json, Path, Query, ServiceConfig},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn routes(app: &mut ServiceConfig, mailbox: Arc<Mailbox>) {
    let headers = DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::CACHE_CONTROL, "no-store"));
    app.app_data(Data::from(mailbox)).service(
        web::scope("")
            .wrap(headers)
            .route(
                "/",
                web::get().to(async || file("text/html; charset=utf-8", include_str!("page/index.html"))),
            )
            .route("/page.css", web::get().to(async || file("text/css", include_str!("page/page.css"))))
            .route("/page.js", web::get().to(async || file("text/javascript", include_str!("page/page.js"))))
            .route("/api/mails", web::get().to(list))
            .route("/api/mails/{number}", web::get().to(show))
            .configure(mailhog::routes),
    );
}

fn file(content_type: &'static str, body: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(content_type).body(body)
}

#[derive(Deserialize)]
struct Known {
    /// The version that the page shows.
    version: Option<u64>,
}

#[derive(Serialize)]
struct List {
    version: u64,
    mails: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    number: usize,
    subject: String,
    to: String,
    received_at: Timestamp,
}

#[derive(Serialize)]
struct Shown {
    subject: String,
    from: String,
    to: String,
    received_at: Timestamp,
    text: Option<String>,
    html: Option<String>,
}

/// The list of mails, or 204 if the page has it already.
async fn list(mailbox: Data<Mailbox>, known: Query<Known>) -> HttpResponse {
    let version = mailbox.version();
    if known.version == Some(version) {
        return HttpResponse::NoContent().finish();
    }
    let row = |mail: &Arc<super::ParsedMail>| Row {
        number: mail.number,
        subject: mail.subject.clone(),
        to: mail.to.join(", "),
        received_at: mail.received_at,
    };
    HttpResponse::Ok().json(List { version, mails: mailbox.newest_first().iter().map(row).collect() })
}

async fn show(mailbox: Data<Mailbox>, number: Path<usize>) -> Option<impl Responder> {
    let mail = mailbox.find(*number)?;
    Some(Json(Shown {
        subject: mail.subject.clone(),
        from: mail.from.clone(),
        to: mail.to.join(", "),
        received_at: mail.received_at,
        text: mail.text.clone(),
        html: mail.html.clone(),
    }))
}
