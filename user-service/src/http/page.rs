//! The signup page at `/`: static files in the binary, which call the API as any other client does.
//!
//! Nothing is inlined and nothing comes from elsewhere, so the policy can forbid everything else. The mail's link
//! leads here with its token in the fragment, which no server ever sees; the page posts it on a click.

use super::resource;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, EntityTag, HeaderName, IfNoneMatch, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
    middleware::DefaultHeaders,
    web::{self, ServiceConfig},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const NO_PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

struct Asset {
    path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: &[Asset] = &[
    Asset { path: "/", media_type: HTML, content: include_str!("page/index.html") },
    Asset { path: "/assets/page.css", media_type: CSS, content: include_str!("page/page.css") },
    Asset { path: "/assets/page.js", media_type: JAVASCRIPT, content: include_str!("page/page.js") },
    Asset { path: "/assets/form.js", media_type: JAVASCRIPT, content: include_str!("page/form.js") },
    Asset {
        path: "/assets/registration.js",
        media_type: JAVASCRIPT,
        content: include_str!("page/registration.js"),
    },
    Asset { path: "/assets/requests.js", media_type: JAVASCRIPT, content: include_str!("page/requests.js") },
    Asset { path: "/assets/icon.svg", media_type: "image/svg+xml", content: include_str!("page/icon.svg") },
];

pub(super) fn routes(app: &mut ServiceConfig) {
    for asset in ASSETS {
        let etag = EntityTag::new_strong(URL_SAFE_NO_PAD.encode(Sha256::digest(asset.content)));
        let answer = move |request: HttpRequest| {
            let answer = asset.answer(&request, &etag);
            async move { answer }
        };
        app.service(
            resource(asset.path, "GET, HEAD")
                .route(web::get().to(answer.clone()))
                .route(web::head().to(answer)),
        );
    }
}

/// The headers of every answer that does not set its own: nothing is stored, sniffed, framed or run.
pub(crate) fn default_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((CACHE_CONTROL, "no-store"))
        .add((CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        .add((REFERRER_POLICY, "no-referrer"))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
}

impl Asset {
    /// Browsers keep the file and ask each time whether it is still the same: a new version shows at once.
    fn answer(&self, request: &HttpRequest, etag: &EntityTag) -> HttpResponse {
        let is_known = match request.get_header::<IfNoneMatch>() {
            Some(IfNoneMatch::Any) => true,
            Some(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(etag)),
            None => false,
        };
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((ETAG, etag.to_string()))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((PERMISSIONS_POLICY, NO_PERMISSIONS))
            .insert_header((REFERRER_POLICY, "no-referrer"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if is_known { response.finish() } else { response.content_type(self.media_type).body(self.content) }
    }
}
