//! Keeps pages of other sites from making a visitor's browser sign somebody up.
//!
//! A browser sends a form to any site without asking that site first. It says where the form comes
//! from: newer browsers in `Sec-Fetch-Site`, which no page can set, all browsers in `Origin`. A
//! request without either comes from a program, not from a visitor's browser. `X-Forwarded-Host`
//! is ignored: it is not needed where browsers send `Sec-Fetch-Site`, and anybody can send it.

use actix_web::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request from its origin may change something here. `listed` are the origins in `CORS_ORIGINS`.
pub(super) fn is_allowed(headers: &HeaderMap, listed: &[String]) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = text(&ORIGIN);
    if origin.is_some_and(|origin| listed.iter().any(|listed| listed == origin)) {
        return true;
    }
    match (text(&SEC_FETCH_SITE), origin) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => text(&HOST).is_some_and(|host| is_of_host(origin, host)),
        (None, None) => true,
    }
}

/// Whether this origin names this host: `https://example.com` matches `example.com` and `example.com:443`.
fn is_of_host(origin: &str, host: &str) -> bool {
    let (rest, port) = match origin.split_once("://") {
        Some(("https", rest)) => (rest, ":443"),
        Some(("http", rest)) => (rest, ":80"),
        _ => return false,
    };
    rest.eq_ignore_ascii_case(host.strip_suffix(port).unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn allowed(pairs: &[(&'static str, &'static str)]) -> bool {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers: HeaderMap = HeaderMap::new();
        pairs.for_each(|(name, value)| headers.append(name, value));
        is_allowed(&headers, &["https://www.example.com".to_owned()])
    }

    #[test]
    fn what_a_browser_says_of_its_page_decides() {
        let host = ("host", "internal:3006");
        for site in ["same-origin", "none"] {
            assert!(
                allowed(&[("sec-fetch-site", site), ("origin", "https://signup.example"), host]),
                "{site}"
            );
        }
        for site in ["cross-site", "same-site", "", "Same-Origin", "same-origin, none"] {
            assert!(
                !allowed(&[("sec-fetch-site", site), ("origin", "http://internal:3006"), host]),
                "{site}"
            );
            assert!(
                allowed(&[("sec-fetch-site", site), ("origin", "https://www.example.com"), host]),
                "{site}"
            );
        }
    }

    #[test]
    fn without_it_the_origin_names_the_host_or_is_listed() {
        for (origin, host) in [
            ("https://signup.example", "signup.example"),
            ("https://signup.example", "Signup.Example:443"),
            ("http://signup.example", "signup.example:80"),
            ("http://127.0.0.1:3006", "127.0.0.1:3006"),
            ("http://[::1]:3006", "[::1]:3006"),
            ("https://www.example.com", "internal:3006"),
        ] {
            assert!(allowed(&[("origin", origin), ("host", host)]), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "signup.example"),
            ("", ""),
            ("https://evil.example", "signup.example"),
            ("https://signup.example:8443", "signup.example"),
            ("https://signup.example.evil.example", "signup.example"),
            ("ftp://signup.example", "signup.example"),
            ("https://WWW.example.com.", "internal"),
        ] {
            assert!(!allowed(&[("origin", origin), ("host", host)]), "{origin} {host}");
        }
        let forwarded = [
            ("origin", "https://evil.example"),
            ("host", "signup.example"),
            ("x-forwarded-host", "evil.example"),
        ];
        assert!(!allowed(&forwarded), "X-Forwarded-Host is not believed");
        assert!(allowed(&[("host", "signup.example")]), "programs send neither");
    }
}
