//! How many POSTs a client address may make: a token bucket per address.
//!
//! One IPv6 customer has a whole /64 and often a /48, so those are what is counted: a /64 as one address, a /48 as
//! sixteen of them.

use governor::{
    Quota, RateLimiter as Buckets,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    time::Duration,
};

const SITE_FACTOR: u32 = 16;

/// `30/1m`: so many at once, and so many again over this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests; also the burst.
    pub requests: NonZeroU32,
    /// Over which time.
    pub per: Duration,
}

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    Address(Ipv4Addr),
    /// The first 64 bits.
    Subnet(u64),
    /// The first 48 bits.
    Site(u64),
}

/// What a client is told, admitted or not (the `RateLimit` header fields).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests that are left now.
    pub(crate) remaining: u32,
    /// How long to wait, if the request is refused.
    pub(crate) wait: Option<Duration>,
}

/// The buckets of all clients.
pub(crate) struct RateLimiter {
    pub(crate) limit: RateLimit,
    networks: KeyedBuckets,
    sites: KeyedBuckets,
    clock: DefaultClock,
}

type KeyedBuckets = Buckets<Network, DashMapStateStore<Network>, DefaultClock, StateInformationMiddleware>;

impl RateLimit {
    /// Parses `30/1m`, or `off` as `None`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Option<Self>, &'static str> {
        const EXPECTED: &str = "a number of requests and a time such as 30/1m, or off";
        if text == "off" {
            return Ok(None);
        }
        let (requests, per) = text.split_once('/').ok_or(EXPECTED)?;
        let requests = requests.parse().map_err(|_| EXPECTED)?;
        let per = shared::env::duration(per).map_err(|_| EXPECTED)?;
        Ok(Some(Self { requests, per }))
    }

    fn quota(self, factor: u32) -> Quota {
        let burst = self.requests.saturating_mul(NonZeroU32::MIN.saturating_add(factor - 1));
        let period = (self.per / burst.get()).max(Duration::from_nanos(1));
        // The period is never zero, so there is always a quota.
        Quota::with_period(period).unwrap_or_else(|| Quota::per_second(burst)).allow_burst(burst)
    }
}

impl RateLimiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let buckets = |factor| Buckets::dashmap(limit.quota(factor)).with_middleware();
        Self { limit, networks: buckets(1), sites: buckets(SITE_FACTOR), clock: DefaultClock::default() }
    }

    /// Takes one request from the client's bucket.
    pub(crate) fn admit(&self, client: IpAddr) -> Allowance {
        let (network, site) = match client.to_canonical() {
            IpAddr::V4(address) => (Network::Address(address), None),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                let first = |count: u32| u64::try_from(bits >> (128 - count)).unwrap_or(u64::MAX);
                (Network::Subnet(first(64)), Some(Network::Site(first(48))))
            }
        };
        let own = self.take(&self.networks, network);
        match site {
            Some(site) if own.wait.is_none() => {
                let shared = self.take(&self.sites, site);
                Allowance { remaining: own.remaining.min(shared.remaining), wait: shared.wait }
            }
            _ => own,
        }
    }

    /// Forgets clients whose buckets are full again.
    pub(crate) fn tidy(&self) {
        for buckets in [&self.networks, &self.sites] {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }

    fn take(&self, buckets: &KeyedBuckets, network: Network) -> Allowance {
        match buckets.check_key(&network) {
            Ok(state) => Allowance { remaining: state.remaining_burst_capacity(), wait: None },
            Err(until) => Allowance { remaining: 0, wait: Some(until.wait_time_from(self.clock.now())) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(text: &str) -> RateLimiter {
        RateLimiter::new(RateLimit::parse(text).unwrap().unwrap())
    }

    fn admitted(limiter: &RateLimiter, clients: impl IntoIterator<Item = String>) -> usize {
        clients.into_iter().filter(|client| limiter.admit(client.parse().unwrap()).wait.is_none()).count()
    }

    #[test]
    fn a_client_has_a_burst_and_is_told_how_long_to_wait() {
        let limiter = limiter("3/1h");
        let client = "192.0.2.1".parse().unwrap();
        assert_eq!((0..3).map(|_| limiter.admit(client).remaining).collect::<Vec<_>>(), [2, 1, 0]);
        let wait = limiter.admit(client).wait.unwrap();
        assert!((1190..=1200).contains(&wait.as_secs()), "{wait:?}");
        assert!(limiter.admit("192.0.2.2".parse().unwrap()).wait.is_none(), "others are not concerned");
        assert!(
            limiter.admit("::ffff:192.0.2.1".parse().unwrap()).wait.is_some(),
            "the same address in IPv6 clothes"
        );
    }

    #[test]
    fn an_ipv6_subnet_is_one_client_and_a_site_sixteen() {
        let limiter = limiter("2/1h");
        assert_eq!(admitted(&limiter, (0..50).map(|host| format!("2001:db8:0:1::{host:x}"))), 2);
        assert_eq!(admitted(&limiter, (0..200).map(|subnet| format!("2001:db8:1:{subnet:x}::1"))), 32);
        assert_eq!(admitted(&limiter, (0..9).map(|site| format!("2001:db8:{:x}::1", site + 2))), 9);
    }

    #[test]
    fn the_limit_reads_as_it_is_written() {
        let limit = RateLimit::parse("30/1m").unwrap().unwrap();
        assert_eq!((limit.requests.get(), limit.per), (30, Duration::from_secs(60)));
        assert_eq!(RateLimit::parse("off"), Ok(None));
        for text in ["", "30", "0/1m", "30/0s", "-1/1m", "30/minute", "1/1y"] {
            assert!(RateLimit::parse(text).is_err(), "{text}");
        }
    }
}
