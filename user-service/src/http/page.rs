//! The signup page at `/`: static files in the binary, which call the API as any other client does.
//!
//! Nothing is inlined and nothing comes from elsewhere, so the content security policy
//! can forbid everything else. The mail's link leads here with its token in the
//! fragment, which browsers send to no server. The page posts the token on a click.

use super::{file::File, get};
use actix_web::{
    HttpRequest,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS,
    },
    middleware::DefaultHeaders,
    web::ServiceConfig,
};
use std::sync::LazyLock;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";
const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("page/index.html")),
    ("/assets/page.css", CSS, include_str!("page/page.css")),
    ("/assets/page.js", JAVASCRIPT, include_str!("page/page.js")),
    ("/assets/form.js", JAVASCRIPT, include_str!("page/form.js")),
    ("/assets/registration.js", JAVASCRIPT, include_str!("page/registration.js")),
    ("/assets/requests.js", JAVASCRIPT, include_str!("page/requests.js")),
    ("/assets/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

static FILES: LazyLock<Vec<(&str, File)>> = LazyLock::new(|| {
    let compress = |(path, media_type, content): &(&'static str, &'static str, &str)| {
        (*path, File::new(*media_type, content.as_bytes(), HEADERS))
    };
    ASSETS.iter().map(compress).collect()
});

pub(super) fn routes(app: &mut ServiceConfig) {
    for (path, file) in FILES.iter() {
        app.service(get(path, move |request: HttpRequest| {
            let answer = file.answer(&request);
            async move { answer }
        }));
    }
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
