//! The networks that a client address belongs to, and how many clients each network counts as.
//!
//! An IPv6 customer has a whole /64, often a /48, and a rented server can have a /40 for little money. So an IPv6
//! address counts at three levels: its /64 as one client, its /48 as sixteen clients, and its /40 as sixty-four.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

/// A network whose members are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    Address(Ipv4Addr),
    /// The first 64 bits.
    Subnet(u64),
    /// The first 48 bits.
    Site(u64),
    /// The first 40 bits.
    Block(u64),
    /// The hash of an element that a proxy wrote instead of an address.
    Named(u64),
}

/// A client, as the limits count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Address(IpAddr),
    /// The hash of an element that a trusted proxy wrote instead of an address.
    Named(u64),
}

/// How many clients a /48 counts as.
pub(crate) const SITE_FACTOR: u32 = 16;
/// How many clients a /40 counts as.
pub(crate) const BLOCK_FACTOR: u32 = 64;

impl Client {
    /// A client that a proxy names by something other than an address.
    pub(crate) fn named(name: &str) -> Self {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self::Named(HASHER.hash_one(name))
    }

    /// Its networks, the narrowest first, with the number of clients that each stands for.
    pub(crate) fn levels(self) -> impl Iterator<Item = (Network, u32)> {
        let (own, wider) = match self {
            Self::Named(hash) => (Network::Named(hash), None),
            Self::Address(address) => match address.to_canonical() {
                IpAddr::V4(address) => (Network::Address(address), None),
                IpAddr::V6(address) => {
                    let bits = address.to_bits();
                    let first = |count: u32| u64::try_from(bits >> (128 - count)).unwrap_or(u64::MAX);
                    let wider =
                        [(Network::Site(first(48)), SITE_FACTOR), (Network::Block(first(40)), BLOCK_FACTOR)];
                    (Network::Subnet(first(64)), Some(wider))
                }
            },
        };
        std::iter::once((own, 1)).chain(wider.into_iter().flatten())
    }
}

/// Counts the connections or the bodies that each network has open, up to a limit.
#[derive(Debug)]
pub(crate) struct Places {
    per_client: u32,
    taken: Mutex<HashMap<Network, u32>>,
}

/// One place; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    client: Client,
}

impl Places {
    pub(crate) fn new(per_client: u32) -> Arc<Self> {
        Arc::new(Self { per_client, taken: Mutex::default() })
    }

    /// Takes a place for this client; `None` if one of its networks has reached its limit.
    pub(crate) fn take(self: &Arc<Self>, client: Client) -> Option<Place> {
        let mut taken = self.lock();
        let is_full = |(network, factor): (Network, u32)| {
            taken.get(&network).is_some_and(|count| *count >= self.per_client.saturating_mul(factor))
        };
        if client.levels().any(is_full) {
            return None;
        }
        for (network, _) in client.levels() {
            *taken.entry(network).or_default() += 1;
        }
        Some(Place { places: Arc::clone(self), client })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Network, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        for (network, _) in self.client.levels() {
            if let Some(count) = taken.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(&network);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Client {
        Client::Address(text.parse().unwrap())
    }

    #[test]
    fn places_are_bounded_at_each_level_and_come_back() {
        let places = Places::new(2);
        let held: Vec<_> = (0..3).map(|_| places.take(address("192.0.2.1"))).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        assert!(places.take(address("::ffff:192.0.2.1")).is_none(), "the same address in IPv6 clothes");
        assert!(places.take(address("192.0.2.2")).is_some());
        drop(held);
        assert!(places.take(address("192.0.2.1")).is_some());
        let subnets: Vec<_> =
            (0..200).filter_map(|n| places.take(address(&format!("2001:db8:1:{n:x}::1")))).collect();
        assert_eq!(subnets.len(), 32);
        let sites: Vec<_> =
            (2..200).filter_map(|n| places.take(address(&format!("2001:db8:{n:x}::1")))).collect();
        assert_eq!(sites.len(), 128 - 32);
        drop((subnets, sites));
        assert!(places.lock().is_empty(), "nothing is kept of those who left");
    }
}
