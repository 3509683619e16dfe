//! Which client a request comes from: the peer, or the address that trusted proxies report in `X-Forwarded-For`.
//!
//! Each proxy appends the address from which it got the request. So only the right end of the list can be trusted: a
//! client may have sent everything further left. Proxies write addresses in many forms, and some write none. An
//! element that is not an IP address counts as a client of its own, by its text. Such clients don't share one limit.

use crate::network::Client;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, Ordering},
};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies whose `X-Forwarded-For` is trusted.
#[derive(Debug)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    /// The exact number of proxies in front of this service. `None`: each address in the trusted networks is a proxy.
    hops: Option<NonZeroUsize>,
    warned_of_stranger: AtomicBool,
    warned_of_text: AtomicBool,
}

impl Proxies {
    pub(crate) fn new(trusted: Vec<IpNet>, hops: Option<NonZeroUsize>) -> Self {
        Self {
            trusted,
            hops,
            warned_of_stranger: AtomicBool::new(false),
            warned_of_text: AtomicBool::new(false),
        }
    }

    /// Whether this peer is a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// The client for which the request counts.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        if !headers.contains_key(FORWARDED_FOR) {
            return Client::Address(peer);
        }
        if !self.trusts(peer) {
            warn_once(
                &self.warned_of_stranger,
                "a client that is not in TRUSTED_PROXIES sends X-Forwarded-For, which is ignored; behind a proxy, all \
                 clients share one rate limit until its network is listed",
            );
            return Client::Address(peer);
        }
        let lines: Vec<_> =
            headers.get_all(FORWARDED_FOR).map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        let elements = lines.iter().rev().flat_map(|line| line.rsplit(','));
        let mut elements = elements.map(str::trim).filter(|element| !element.is_empty());
        match self.hops {
            Some(hops) => elements.nth(hops.get() - 1).map_or(Client::Address(peer), |it| self.read(it)),
            None => self.nearest_stranger(elements).unwrap_or(Client::Address(peer)),
        }
    }

    /// The rightmost element that is not a trusted proxy, or the leftmost if all are trusted.
    fn nearest_stranger<'a>(&self, elements: impl Iterator<Item = &'a str>) -> Option<Client> {
        let mut nearest = None;
        for element in elements {
            let client = self.read(element);
            nearest = Some(client);
            match client {
                Client::Address(address) if self.trusts(address) => {}
                _ => break,
            }
        }
        nearest
    }

    fn read(&self, element: &str) -> Client {
        address(element).map_or_else(
            || {
                warn_once(
                    &self.warned_of_text,
                    "X-Forwarded-For of a trusted proxy has an element that is no IP address; it is counted by its text",
                );
                Client::named(element)
            },
            Client::Address,
        )
    }
}

/// An address with or without a port, brackets, a zone and quotes: `192.0.2.1:5432`, `"[2001:db8::1]:443"`, `fe80::1%eth0`.
fn address(element: &str) -> Option<IpAddr> {
    let text = element.trim_matches('"').trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => text,
    };
    let bare = bare.split('%').next().unwrap_or(bare);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

fn warn_once(warned: &AtomicBool, warning: &str) {
    if !warned.swap(true, Ordering::Relaxed) {
        log::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    const PROXY: &str = "10.0.0.1";

    fn client(hops: usize, lines: &[&str]) -> Client {
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            let name = HeaderName::from_static(FORWARDED_FOR);
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        Proxies::new(trusted, NonZeroUsize::new(hops)).client(PROXY.parse().unwrap(), &headers)
    }

    fn is(address: &str) -> Client {
        Client::Address(address.parse().unwrap())
    }

    #[test]
    fn addresses_are_understood_as_proxies_write_them() {
        for (line, address) in [
            ("203.0.113.1:5432", "203.0.113.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("\"[2001:db8::2]:443\"", "2001:db8::2"),
            ("fe80::3%eth0", "fe80::3"),
            ("[fe80::3%25eth0]:80", "fe80::3"),
            ("203.0.113.4,", "203.0.113.4"),
            (" 203.0.113.5 , ", "203.0.113.5"),
            ("::ffff:203.0.113.6", "203.0.113.6"),
        ] {
            assert_eq!(client(0, &[line]), is(address), "{line}");
        }
    }

    #[test]
    fn what_is_no_address_is_a_client_by_its_text() {
        for text in ["unknown", "_hidden", "203.0.113.5:http", "[2001:db8::1", "203.0.113.300", "ä"] {
            assert_eq!(client(0, &[text]), Client::named(text));
            assert_eq!(client(0, &["203.0.113.5", text]), Client::named(text), "it is the nearest");
        }
        assert_ne!(Client::named("unknown"), Client::named("_hidden"));
        assert_eq!(client(0, &["", " , "]), is(PROXY));
    }

    #[test]
    fn only_the_right_end_of_the_list_is_believed() {
        assert_eq!(client(0, &["198.51.100.1, 192.0.2.1"]), is("192.0.2.1"));
        assert_eq!(client(0, &["198.51.100.1", "192.0.2.1, 10.0.0.2"]), is("192.0.2.1"));
        assert_eq!(client(0, &["10.0.0.3, 10.0.0.2"]), is("10.0.0.3"), "a client within a trusted network");
    }

    #[test]
    fn with_a_number_of_hops_a_client_within_a_trusted_network_cannot_choose_its_bucket() {
        for forged in ["198.51.100.1, 10.0.0.3", "198.51.100.2, 198.51.100.3, 10.0.0.3"] {
            assert_eq!(client(1, &[forged]), is("10.0.0.3"));
            assert_eq!(client(2, &[forged, "10.0.0.2"]), is("10.0.0.3"));
        }
        assert_eq!(client(3, &["192.0.2.1"]), is(PROXY), "whoever goes round a proxy is the peer");
    }
}
