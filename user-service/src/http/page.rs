//! The signup page at `/`, and the form in it, which pages of listed origins may have in theirs. They call the API as any
//! other client does.
//!
//! Nothing is inlined, so the content security policy can forbid everything else. The mail's link leads here with its token
//! in the fragment, which browsers send to no server. The page posts the token on a click.

use super::{file, get, language, problem::Problem};
use crate::pages::{File, Page, Pages, of_asset};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS,
    },
    middleware::DefaultHeaders,
    web::{Data, Query, ServiceConfig},
};
use contract::locale::Locale;
use serde::Deserialize;
use std::sync::{Arc, LazyLock};
use texts::Kept;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The files that are the same in all languages.
const ASSETS: [(&str, &str, &str); 14] = [
    ("/assets/page.js", JAVASCRIPT, include_str!("page/page.js")),
    ("/assets/signup.js", JAVASCRIPT, include_str!("page/signup.js")),
    ("/assets/element.js", JAVASCRIPT, include_str!("page/element.js")),
    ("/assets/steps.js", JAVASCRIPT, include_str!("page/steps.js")),
    ("/assets/code.js", JAVASCRIPT, include_str!("page/code.js")),
    ("/assets/link.js", JAVASCRIPT, include_str!("page/link.js")),
    ("/assets/form.js", JAVASCRIPT, include_str!("page/form.js")),
    ("/assets/load.js", JAVASCRIPT, include_str!("page/load.js")),
    ("/assets/arrival.js", JAVASCRIPT, include_str!("page/arrival.js")),
    ("/assets/progress.js", JAVASCRIPT, include_str!("page/progress.js")),
    ("/assets/storage.js", JAVASCRIPT, include_str!("page/storage.js")),
    ("/assets/requests.js", JAVASCRIPT, include_str!("page/requests.js")),
    ("/assets/return_to.js", JAVASCRIPT, include_str!("page/return_to.js")),
    ("/assets/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// For the own page alone, and for pages of other origins, too.
static FILES: [LazyLock<Vec<(&str, File)>>; 2] =
    [LazyLock::new(|| files(false)), LazyLock::new(|| files(true))];

/// What a request for the page asks for beside its headers.
#[derive(Deserialize)]
struct Asked {
    lang: Option<String>,
}

/// `is_embeddable`: pages of other origins may have the form in them.
pub(super) fn routes(is_embeddable: bool) -> impl FnOnce(&mut ServiceConfig) {
    move |app| {
        for (path, part) in [
            ("/", (|page| &page.document) as fn(&Page) -> &File),
            ("/assets/form.html", |page| &page.form),
            ("/assets/page.css", |page| &page.style),
        ] {
            app.service(get(
                path,
                move |request: HttpRequest, pages: Data<Kept<Pages>>, asked: Option<Query<Asked>>| {
                    let answer = in_language(&request, &pages.now(), asked.map(Query::into_inner), part);
                    async move { answer }
                },
            ));
        }
        for (path, asset) in FILES[usize::from(is_embeddable)].iter() {
            app.service(get(path, move |request: HttpRequest| {
                let answer = file::answer(asset, &request);
                async move { answer }
            }));
        }
    }
}

/// Answers with a file in the language of `?lang=`, else in that of `Accept-Language`, else in English.
fn in_language(
    request: &HttpRequest,
    pages: &Arc<Pages>,
    asked: Option<Asked>,
    part: fn(&Page) -> &File,
) -> Result<HttpResponse, Problem> {
    let asked = asked.and_then(|asked| Locale::parse(&asked.lang?).ok());
    let wanted: Vec<_> = asked.into_iter().chain(language::wanted(request)).collect();
    let page = pages.page(&wanted).ok_or(Problem::Internal)?;
    Ok(file::answer(part(page), request))
}

fn files(is_embeddable: bool) -> Vec<(&'static str, File)> {
    let file = |(path, media_type, content): (&'static str, &'static str, &str)| {
        (path, File::new(media_type, content.as_bytes(), of_asset(is_embeddable)))
    };
    ASSETS.map(file).into()
}

/// The headers of every answer that does not set its own. They forbid storing, sniffing, framing, embedding
/// and running it. If the public address is HTTPS, browsers use nothing but HTTPS for a year (RFC 6797).
pub(crate) fn default_headers(public_url: &str) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add((CACHE_CONTROL, "no-store"))
        .add((CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        .add((HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .add((HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .add((REFERRER_POLICY, "no-referrer"))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if public_url.starts_with("https://") {
        headers.add((STRICT_TRANSPORT_SECURITY, "max-age=31536000"))
    } else {
        headers
    }
}
