//! The language of an answer: of the languages that the request wants, the first that there is (RFC 4647, section 3.4).

use super::problem::{Problem, english};
use crate::pages::Pages;
use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{ACCEPT_LANGUAGE, CONTENT_LANGUAGE, HeaderMap, HeaderValue, VARY},
    middleware::Next,
    web::Data,
};
use contract::locale::Locale;
use std::sync::Arc;
use texts::{Kept, Language, accepted};

/// What the body of a request wants, before its `Accept-Language`.
struct OfBody(Locale);

/// Writes problems in the language of their requests.
pub(super) async fn speak<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let mut response = next.call(request).await?;
    let problem = response.response_mut().extensions_mut().remove::<Problem>();
    let Some(problem) = problem else {
        return Ok(response.map_into_left_body());
    };
    let language = of(response.request());
    let body = serde_json::to_string(&problem.body(&language))?;
    let mut response = response.map_body(|_, _| EitherBody::right(BoxBody::new(body)));
    mark(response.headers_mut(), &language);
    Ok(response)
}

/// The language of the answer to this request.
pub(super) fn of(request: &HttpRequest) -> Arc<Language> {
    let Some(pages) = pages(request) else { return Arc::clone(english()) };
    Arc::clone(pages.language(&wanted(request)))
}

/// The language of the mails for this request: the first that it wants and that there is, else the first that it wants.
/// The tag stays as it is wanted, such as `de-CH`.
pub(super) fn of_mails(request: &HttpRequest) -> Locale {
    let (pages, mut wanted) = (pages(request), wanted(request));
    let is_there =
        |locale: &Locale| pages.as_ref().is_some_and(|pages| pages.texts().lookup(locale.as_str()).is_some());
    let at = wanted.iter().position(is_there).unwrap_or(0);
    if at < wanted.len() { wanted.swap_remove(at) } else { Locale::default() }
}

fn pages(request: &HttpRequest) -> Option<Arc<Pages>> {
    request.app_data::<Data<Kept<Pages>>>().map(|kept| kept.now())
}

/// The languages that the request wants, most wanted first.
pub(super) fn wanted(request: &HttpRequest) -> Vec<Locale> {
    let of_body = request.extensions().get::<OfBody>().map(|OfBody(locale)| locale.clone());
    let lines = request.headers().get_all(ACCEPT_LANGUAGE).filter_map(|line| line.to_str().ok());
    let of_head = accepted(&lines.collect::<Vec<_>>().join(","));
    of_body.into_iter().chain(of_head).collect()
}

/// Notes what the body wants; it comes before what the head wants.
pub(super) fn prefer(request: &HttpRequest, locale: Locale) {
    request.extensions_mut().insert(OfBody(locale));
}

/// Says which language the answer has, and that it follows from the request.
pub(super) fn mark(headers: &mut HeaderMap, language: &Language) {
    if let Ok(tag) = HeaderValue::from_str(language.tag()) {
        headers.insert(CONTENT_LANGUAGE, tag);
    }
    headers.append(VARY, HeaderValue::from_static("Accept-Language"));
}
