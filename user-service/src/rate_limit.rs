//! How many requests a client may make: a token bucket for each network that the client is in.

use crate::network::{BLOCK_FACTOR, Client, Network, SITE_FACTOR};
use governor::{
    Quota, RateLimiter as Buckets,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use std::{num::NonZeroU32, time::Duration};

/// `30/1m` allows 30 requests at once, and 30 more in each minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests; also the burst.
    pub requests: NonZeroU32,
    /// The time over which as many requests are allowed again.
    pub per: Duration,
}

/// The state of a client's limit after a request, as in the `RateLimit` header fields.
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
    /// In the order of [`Client::levels`].
    levels: [KeyedBuckets; 3],
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
        let per = runtime::env::duration(per).map_err(|_| EXPECTED)?;
        Ok(Some(Self { requests, per }))
    }

    /// This limit multiplied by `factor`.
    pub(crate) fn times(self, factor: u32) -> Self {
        let factor = NonZeroU32::new(factor).unwrap_or(NonZeroU32::MIN);
        Self { requests: self.requests.saturating_mul(factor), ..self }
    }

    fn quota(self) -> Quota {
        let period = (self.per / self.requests.get()).max(Duration::from_nanos(1));
        // The period is never zero, so there is always a quota.
        let quota = Quota::with_period(period).unwrap_or_else(|| Quota::per_second(self.requests));
        quota.allow_burst(self.requests)
    }
}

impl RateLimiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let buckets = |factor| Buckets::dashmap(limit.times(factor).quota()).with_middleware();
        let levels = [1, SITE_FACTOR, BLOCK_FACTOR].map(buckets);
        Self { limit, levels, clock: DefaultClock::default() }
    }

    /// Takes one request from the bucket of each of the client's networks,
    /// the narrowest first. It stops at the first bucket that is empty.
    pub(crate) fn admit(&self, client: Client) -> Allowance {
        let mut allowance = Allowance { remaining: u32::MAX, wait: None };
        for ((network, _), buckets) in client.levels().zip(&self.levels) {
            let level = self.take(buckets, network);
            allowance = Allowance { remaining: allowance.remaining.min(level.remaining), wait: level.wait };
            if allowance.wait.is_some() {
                break;
            }
        }
        allowance
    }

    /// Forgets clients whose buckets are full again.
    pub(crate) fn tidy(&self) {
        for buckets in &self.levels {
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
        clients
            .into_iter()
            .filter(|client| limiter.admit(Client::Address(client.parse().unwrap())).wait.is_none())
            .count()
    }

    #[test]
    fn a_client_has_a_burst_and_gets_the_time_to_wait() {
        let limiter = limiter("3/1h");
        let address = |text: &str| Client::Address(text.parse().unwrap());
        let client = address("192.0.2.1");
        assert_eq!((0..3).map(|_| limiter.admit(client).remaining).collect::<Vec<_>>(), [2, 1, 0]);
        let wait = limiter.admit(client).wait.unwrap();
        assert!((1190..=1200).contains(&wait.as_secs()), "{wait:?}");
        assert!(limiter.admit(address("192.0.2.2")).wait.is_none(), "others are not concerned");
        assert!(
            limiter.admit(address("::ffff:192.0.2.1")).wait.is_some(),
            "the same address in IPv6 clothes"
        );
    }

    #[test]
    fn an_ipv6_subnet_is_one_client_a_site_sixteen_and_a_block_sixty_four() {
        let limiter = limiter("2/1h");
        assert_eq!(admitted(&limiter, (0..50).map(|host| format!("2001:db8:0:1::{host:x}"))), 2);
        assert_eq!(admitted(&limiter, (0..200).map(|subnet| format!("2001:db8:1:{subnet:x}::1"))), 32);
        assert_eq!(admitted(&limiter, (0..9).map(|site| format!("2001:db8:{:x}::1", site + 2))), 9);
        let sites = (0..250).flat_map(|site| [(site, 0), (site, 1)]);
        let sites = sites.map(|(site, subnet)| format!("2001:dba:{site:x}:{subnet:x}::1"));
        assert_eq!(admitted(&limiter, sites), 128);
        assert_eq!(
            admitted(&limiter, (0..9).map(|_| "2001:dbb::1".to_owned())),
            2,
            "others are not concerned"
        );
    }

    #[test]
    fn a_limit_has_a_count_and_a_time() {
        let limit = RateLimit::parse("30/1m").unwrap().unwrap();
        assert_eq!((limit.requests.get(), limit.per), (30, Duration::from_secs(60)));
        assert_eq!(RateLimit::parse("off"), Ok(None));
        for text in ["", "30", "0/1m", "30/0s", "-1/1m", "30/minute", "1/1y"] {
            assert!(RateLimit::parse(text).is_err(), "{text}");
        }
    }
}
