//! How many wrong codes a client may try: a leaky bucket for each network that the client is in.
//!
//! A code counts before it is tried, so that many requests at once can't exceed the limit. It is
//! given back when it turns out not to be wrong. A [`RateLimiter`](crate::rate_limit::RateLimiter)
//! gives nothing back, so this is a type of its own.

use crate::{
    network::{Client, Network},
    rate_limit::RateLimit,
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The buckets of all clients.
pub(crate) struct WrongCodes {
    limit: RateLimit,
    /// When each bucket will be empty again, as in the generic cell rate algorithm (ITU-T I.371).
    empty_at: Mutex<HashMap<Network, Instant>>,
}

/// A code that counts. Dropping this gives it back.
pub(crate) struct Counted<'a> {
    of: &'a WrongCodes,
    client: Client,
}

impl WrongCodes {
    /// A limit of that many codes at once, and as many again over its time.
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, empty_at: Mutex::default() }
    }

    /// Counts a code that is about to be tried.
    ///
    /// # Errors
    /// The time to wait: one of the client's networks has reached its limit.
    pub(crate) fn take(&self, client: Client, now: Instant) -> Result<Counted<'_>, Duration> {
        let mut buckets = self.buckets();
        let full_for = client.levels().filter_map(|(network, factor)| {
            let level =
                buckets.get(&network)?.saturating_duration_since(now).saturating_add(self.drop_of(factor));
            level.checked_sub(self.limit.per).filter(|over| !over.is_zero())
        });
        if let Some(wait) = full_for.max() {
            return Err(wait);
        }
        for (network, factor) in client.levels() {
            let empty_at = buckets.entry(network).or_insert(now);
            let begun_at = (*empty_at).max(now);
            *empty_at = begun_at.checked_add(self.drop_of(factor)).unwrap_or(begun_at);
        }
        Ok(Counted { of: self, client })
    }

    /// Forgets clients whose buckets are empty.
    pub(crate) fn tidy(&self, now: Instant) {
        let mut buckets = self.buckets();
        buckets.retain(|_, empty_at| *empty_at > now);
        buckets.shrink_to_fit();
    }

    /// How much of a network's bucket one code fills. `factor` is the number of clients that the network counts as.
    fn drop_of(&self, factor: u32) -> Duration {
        self.limit.per / self.limit.times(factor).requests.get()
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<Network, Instant>> {
        self.empty_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted<'_> {
    /// Keeps the code counted: it was wrong.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut buckets = self.of.buckets();
        for (network, factor) in self.client.levels() {
            if let Some(empty_at) = buckets.get_mut(&network)
                && let Some(earlier) = empty_at.checked_sub(self.of.drop_of(factor))
            {
                *empty_at = earlier;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client::Address(address.parse().unwrap())
    }

    fn wrong_codes(limit: &str) -> WrongCodes {
        WrongCodes::new(RateLimit::parse(limit).unwrap().unwrap())
    }

    #[test]
    fn of_many_codes_at_once_no_more_than_the_limit_are_tried() {
        let wrong_codes = wrong_codes("30/1h");
        let now = Instant::now();
        let tried: Vec<_> =
            (0..100).filter_map(|_| wrong_codes.take(client("192.0.2.1"), now).ok()).collect();
        assert_eq!(tried.len(), 30);
        assert!(wrong_codes.take(client("192.0.2.2"), now).is_ok(), "others are not concerned");
    }

    #[test]
    fn wrong_ones_stay_and_all_others_are_given_back() {
        let (wrong_codes, now) = (wrong_codes("2/1h"), Instant::now());
        let take = |after| wrong_codes.take(client("192.0.2.1"), now + Duration::from_secs(after));
        for _ in 0..10 {
            drop(take(0).ok().unwrap());
        }
        for _ in 0..2 {
            take(0).ok().unwrap().keep();
        }
        assert_eq!(take(0).err(), Some(Duration::from_secs(1_800)));
        wrong_codes.tidy(now);
        assert_eq!(take(1_799).err(), Some(Duration::from_secs(1)));
        assert!(take(1_800).is_ok(), "as many again over the time");
    }

    #[test]
    fn an_ipv6_site_has_sixteen_times_as_much_as_a_subnet() {
        let (wrong_codes, now) = (wrong_codes("2/1h"), Instant::now());
        let tried = |addresses: &mut dyn Iterator<Item = String>| {
            let take = |address: &str| wrong_codes.take(client(address), now).map(Counted::keep);
            addresses.filter(|address| take(address).is_ok()).count()
        };
        assert_eq!(tried(&mut (0..9).map(|host| format!("2001:db8:0:1::{host}"))), 2);
        assert_eq!(tried(&mut (0..99).map(|subnet| format!("2001:db8:1:{subnet:x}::1"))), 32);
    }
}
