//! MailHog's API over this inbox, as far as test tools use it: list, search, and delete all.
//!
//! The names are MailHog's. MIME parts are not split (`MIME` is null); `Content.Body` has them as received.

use crate::inbox::{mailbox::Mailbox, parsed_mail::ParsedMail};
use actix_web::{
    HttpResponse,
    web::{self, Data, Json, Query, ServiceConfig},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 250;

pub(super) fn routes(app: &mut ServiceConfig) {
    app.route("/api/v2/messages", web::get().to(list))
        .route("/api/v2/search", web::get().to(search))
        .route("/api/v1/messages", web::delete().to(clear));
}

#[derive(Deserialize)]
struct Range {
    start: Option<usize>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct Search {
    kind: Kind,
    /// The search is case-insensitive.
    query: String,
}

/// Where to search.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    From,
    To,
    Containing,
}

#[derive(Serialize)]
struct List {
    total: usize,
    count: usize,
    start: usize,
    items: Vec<Item>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    #[serde(rename = "ID")]
    id: String,
    from: Address,
    to: Vec<Address>,
    content: Content,
    created: Timestamp,
    #[serde(rename = "MIME")]
    mime: Option<()>,
    raw: Raw,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Address {
    relays: Option<()>,
    mailbox: String,
    domain: String,
    params: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    headers: BTreeMap<String, Vec<String>>,
    body: String,
    size: usize,
    #[serde(rename = "MIME")]
    mime: Option<()>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    from: String,
    to: Vec<String>,
    data: String,
    helo: String,
}

async fn list(mailbox: Data<Mailbox>, range: Query<Range>) -> Json<List> {
    Json(List::of(&mailbox.newest_first(), &range))
}

async fn search(mailbox: Data<Mailbox>, wanted: Query<Search>, range: Query<Range>) -> Json<List> {
    let query = wanted.query.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&query);
    let mut mails = mailbox.newest_first();
    mails.retain(|mail| match wanted.kind {
        Kind::From => has(&mail.from),
        Kind::To => mail.to.iter().any(|to| has(to)),
        Kind::Containing => has(&mail.raw),
    });
    Json(List::of(&mails, &range))
}

async fn clear(mailbox: Data<Mailbox>) -> HttpResponse {
    mailbox.clear();
    HttpResponse::Ok().finish()
}

impl List {
    fn of(mails: &[Arc<ParsedMail>], range: &Range) -> List {
        let start = range.start.unwrap_or(0);
        let limit = range.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
        let items: Vec<Item> = mails.iter().skip(start).take(limit).map(|mail| Item::from(&**mail)).collect();
        List { total: mails.len(), count: items.len(), start, items }
    }
}

impl From<&ParsedMail> for Item {
    fn from(mail: &ParsedMail) -> Item {
        let mut headers = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in &mail.headers {
            headers.entry(name.clone()).or_default().push(value.clone());
        }
        Item {
            id: format!("{}@sandbox", mail.number),
            from: Address::from(mail.from.as_str()),
            to: mail.to.iter().map(|to| Address::from(to.as_str())).collect(),
            content: Content { headers, body: mail.body.clone(), size: mail.raw.len(), mime: None },
            created: mail.received_at,
            mime: None,
            raw: Raw {
                from: mail.from.clone(),
                to: mail.to.clone(),
                data: mail.raw.clone(),
                helo: mail.helo.clone(),
            },
        }
    }
}

impl From<&str> for Address {
    fn from(address: &str) -> Address {
        let (mailbox, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        Address { relays: None, mailbox: mailbox.to_owned(), domain: domain.to_owned(), params: "" }
    }
}
