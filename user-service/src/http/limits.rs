//! What keeps one client, or many, from taking the service away from the others.
//!
//! A token bucket per client address; a bound on requests in flight, so that overload is answered quickly instead of
//! queueing. What is refused here has not been read.

use super::problem::Problem;
use crate::{
    metrics::Metrics,
    rate_limit::{Allowance, RateLimit, RateLimiter},
};
use actix_web::{
    Error, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Semaphore;

/// Requests in flight, of all clients together; a request takes some ten kilobytes.
const MAX_IN_FLIGHT: usize = 4096;
const FORWARDED_FOR: &str = "x-forwarded-for";
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// The limits of one service.
pub(crate) struct Limits {
    rate: Option<RateLimiter>,
    trusted_proxies: Vec<IpNet>,
    in_flight: Semaphore,
    warned: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Limits {
    pub(crate) fn new(rate: Option<RateLimit>, trusted_proxies: Vec<IpNet>, metrics: Arc<Metrics>) -> Self {
        Self {
            rate: rate.map(RateLimiter::new),
            trusted_proxies,
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            warned: AtomicBool::new(false),
            metrics,
        }
    }

    /// Forgets clients that have not been here lately.
    pub(crate) fn tidy(&self) {
        if let Some(rate) = &self.rate {
            rate.tidy();
        }
    }

    /// The address that counts: the peer's, or what the nearest trusted proxies say of it.
    fn client(&self, request: &ServiceRequest) -> IpAddr {
        let peer =
            request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        if !request.headers().contains_key(FORWARDED_FOR) {
            return peer;
        }
        if !self.is_trusted(peer) {
            if !self.warned.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "a client that is not in TRUSTED_PROXIES sends X-Forwarded-For, which is ignored; behind a proxy, \
                     all clients share one rate limit until its network is listed"
                );
            }
            return peer;
        }
        self.forwarded_client(request.headers()).unwrap_or(peer)
    }

    /// The rightmost address that is not a trusted proxy: what stands left of it anybody may have written.
    fn forwarded_client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).filter_map(|line| line.to_str().ok()).collect();
        let mut nearest = None;
        for element in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Ok(address) = element.trim().parse::<IpAddr>() else { break };
            nearest = Some(address.to_canonical());
            if !self.is_trusted(address.to_canonical()) {
                break;
            }
        }
        nearest
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}

/// Admits a request, or refuses it with 429 or 503.
pub(crate) async fn limit<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let Some(limits) =
        request.app_data::<Data<Limits>>().cloned().filter(|_| request.method() == Method::POST)
    else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let allowance = limits.rate.as_ref().map(|rate| (rate.limit, rate.admit(limits.client(&request))));
    let mut response = if let Some((_, Allowance { wait: Some(wait), .. })) = allowance {
        limits.metrics.rate_limited.inc();
        refuse(request, Problem::too_many_requests(wait))
    } else if let Ok(_permit) = limits.in_flight.try_acquire() {
        next.call(request).await?.map_into_left_body()
    } else {
        limits.metrics.overloaded.inc();
        refuse(request, Problem::overloaded())
    };
    if let Some((limit, allowance)) = allowance {
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
        state.push_str(&format!(";t={}", wait.as_millis().div_ceil(1000)));
    }
    for (name, value) in [(POLICY, policy), (STATE, state)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
