//! Swagger UI at `/docs/`: third-party code, confined by a content security policy of its own.
//!
//! Its files are in the binary. It may run its own scripts, read the
//! API's description and send requests to this origin, and nothing else.

use crate::{
    http::{file, get, problem::Problem},
    pages::{File, Headers},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::LOCATION,
    web::{Path, ServiceConfig},
};
use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, LazyLock},
};
use utoipa_swagger_ui::Config;

/// The bundle writes one style element, named here by its hash, and has its pictures as `data:` URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; \
                      style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page and the files that it loads.
const NAMES: [&str; 9] = [
    "",
    "index.html",
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];

static FILES: LazyLock<HashMap<&str, File>> =
    LazyLock::new(|| NAMES.into_iter().filter_map(|name| Some((name, load(name)?))).collect());

pub(in crate::http) fn routes(app: &mut ServiceConfig) {
    app.service(get("/docs", redirect)).service(get("/docs/{file:[^/]*}", named));
}

/// Redirects to the folder, because the page names its files relative to it.
async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

async fn named(request: HttpRequest, name: Path<String>) -> Result<HttpResponse, Problem> {
    Ok(file::answer(FILES.get(name.as_str()).ok_or(Problem::NotFound)?, &request))
}

/// Loads a file of the crate. All are compressed in the binary except the one that names the API's description.
fn load(name: &str) -> Option<File> {
    let config = Config::new(["/openapi.json"]).try_it_out_enabled(true);
    let file = utoipa_swagger_ui::serve(name, Arc::new(config)).ok()??;
    let headers: Headers = vec![("content-security-policy", POLICY.into())];
    Some(match file.bytes {
        bytes @ Cow::Borrowed(_) if file.gzpipped => File::compressed(file.content_type, bytes, headers),
        bytes => File::new(file.content_type, &bytes, headers),
    })
}
