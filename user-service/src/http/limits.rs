//! Limits that keep one client, or many, from taking the service away from the others.
//!
//! A client has a token bucket for POSTs, a larger one for all other requests but CORS preflights, and may send a few bodies
//! at a time. The number of requests in flight is bounded, so that overload is answered quickly instead of
//! queued. A request is in flight once its body has arrived, so a slow sender takes no place from others.

use super::{
    client::Proxies,
    cross_site,
    problem::{self, Problem},
};
use crate::{
    metrics::Metrics,
    network::{Client, Place, Places},
    rate_limit::{Allowance, RateLimit, RateLimiter},
};
use actix_web::{
    Error, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most requests in flight, of all clients together. Each takes some ten kilobytes.
const MAX_IN_FLIGHT: usize = 4096;
/// The most bodies that one client may be sending. In all there are at most as many as connections.
const MAX_BODIES: u32 = 64;
/// The factor from the limit for POSTs to the limit for other requests.
const READS: u32 = 20;
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// The limits of one service.
pub(crate) struct Limits {
    posts: Option<RateLimiter>,
    reads: Option<RateLimiter>,
    proxies: Arc<Proxies>,
    bodies: Arc<Places>,
    in_flight: Arc<Semaphore>,
    /// How long a client may take to send its body.
    pub(super) body_timeout: Duration,
    origins: Vec<String>,
    metrics: Arc<Metrics>,
}

impl Limits {
    /// `origins` are the other origins whose pages may call the API.
    pub(crate) fn new(
        rate: Option<RateLimit>,
        proxies: Arc<Proxies>,
        body_timeout: Duration,
        origins: Vec<String>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            posts: rate.map(RateLimiter::new),
            reads: rate.map(|rate| RateLimiter::new(rate.times(READS))),
            proxies,
            bodies: Places::new(MAX_BODIES),
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            body_timeout,
            origins,
            metrics,
        }
    }

    /// Forgets clients that have sent nothing lately.
    pub(crate) fn tidy(&self) {
        for rate in [&self.posts, &self.reads].into_iter().flatten() {
            rate.tidy();
        }
    }

    /// Takes a place for a body while it arrives.
    ///
    /// # Errors
    /// 429: the client is sending too many bodies already.
    pub(super) fn begin_body(&self, request: &HttpRequest) -> Result<Place, Problem> {
        self.bodies.take(self.client(request)).ok_or_else(|| {
            self.metrics.rate_limited.inc();
            Problem::TooManyRequests(Duration::from_secs(1))
        })
    }

    /// Takes a place among the requests in flight.
    ///
    /// # Errors
    /// 503: all places are taken.
    pub(super) fn begin_work(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| {
            self.metrics.overloaded.inc();
            Problem::Overloaded
        })
    }

    /// The client for which the request counts.
    pub(super) fn client(&self, request: &HttpRequest) -> Client {
        let peer =
            request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        self.proxies.client(peer, request.headers())
    }
}

/// Admits a request, or refuses it: 403 for a page of another
/// site, 429 beyond the rate limit. Health probes are not limited.
pub(crate) async fn limit<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let Some(limits) =
        request.app_data::<Data<Limits>>().cloned().filter(|_| !request.path().starts_with("/health/"))
    else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let is_post = request.method() == Method::POST;
    if is_post && !cross_site::is_allowed(request.headers(), &limits.origins) {
        return Ok(refuse(request, Problem::CrossSite));
    }
    let rate = if is_post { &limits.posts } else { &limits.reads };
    let allowance = rate.as_ref().map(|rate| (rate.limit, rate.admit(limits.client(request.request()))));
    let mut response = if let Some((_, Allowance { wait: Some(wait), .. })) = allowance {
        limits.metrics.rate_limited.inc();
        refuse(request, Problem::TooManyRequests(wait))
    } else {
        next.call(request).await?.map_into_left_body()
    };
    if let Some((limit, allowance)) = allowance.filter(|_| is_post) {
        describe(response.headers_mut(), limit, allowance);
    }
    Ok(response)
}

fn refuse<B>(request: ServiceRequest, problem: Problem) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let response: HttpResponse = problem.error_response();
    request.into_response(response).map_into_right_body()
}

/// The `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers.
fn describe(headers: &mut HeaderMap, limit: RateLimit, allowance: Allowance) {
    let policy = format!("\"client\";q={};w={}", limit.requests, limit.per.as_secs().max(1));
    let mut state = format!("\"client\";r={}", allowance.remaining);
    if let Some(wait) = allowance.wait {
        state.push_str(&format!(";t={}", problem::seconds(wait)));
    }
    for (name, value) in [(POLICY, policy), (STATE, state)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
