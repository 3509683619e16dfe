//! Swagger UI at `/docs/`: a third party's program, shut in by a policy of its own.
//!
//! Its files are in the binary. It may run its own scripts, read the API's description and send requests to this
//! origin, and nothing else.

use crate::http::{problem::Problem, resource};
use actix_web::{
    HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
    web::{self, Path, ServiceConfig},
};
use std::sync::Arc;
use utoipa_swagger_ui::Config;

/// Its bundle writes one style element, named here by its hash, and has its pictures as `data:` URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; \
                      style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub(in crate::http) fn routes(app: &mut ServiceConfig) {
    app.service(resource("/docs", "GET").route(web::get().to(redirect)))
        .service(resource("/docs/{file:[^/]*}", "GET").route(web::get().to(file)));
}

/// The page names its files relative to a folder.
async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

async fn file(name: Path<String>) -> Result<HttpResponse, Problem> {
    let config = Config::new(["/openapi.json"]).try_it_out_enabled(true);
    let file = utoipa_swagger_ui::serve(&name, Arc::new(config)).map_err(|error| {
        log::error!("error" = error.to_string().as_str(); "Swagger UI can't be configured");
        Problem::internal()
    })?;
    let file = file.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .content_type(file.content_type)
        .body(file.bytes.into_owned()))
}
