//! `RETURN_URLS`: where the page may lead people after the signup.

use runtime::env;
use std::fmt;
use url::{Host, Url};

const EXPECTED: &str = "web addresses as browsers write them, such as https://app.example.com/ or https://app.example.com/welcome, \
                        separated by commas: https (http on this machine alone), without user, query and fragment";

/// An origin, and the path below which everything is allowed, as a browser writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReturnUrl(String);

impl ReturnUrl {
    /// Parses an address that is spelled as browsers spell it: they compare it with where people want to go.
    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_loopback = match url.host()? {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let is_encrypted = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        // A slash in disguise would end a segment for some servers alone.
        let path = url.path().to_ascii_lowercase();
        let is_plain = !path.contains("%2f") && !path.contains("%5c") && !text.contains(['@', '*']);
        let is_spelled_so = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
        (is_encrypted && is_bare && is_plain && is_spelled_so).then(|| Self(url.into()))
    }
}

impl fmt::Display for ReturnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses a list.
///
/// # Errors
/// What was expected.
pub(crate) fn return_urls(text: &str) -> Result<Vec<ReturnUrl>, &'static str> {
    let Ok(urls) = env::list(text);
    urls.iter().map(|url| ReturnUrl::parse(url)).collect::<Option<_>>().ok_or(EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_browsers_write_them_and_no_others() {
        for (text, kept) in [
            ("https://app.example.com", "https://app.example.com/"),
            ("https://app.example.com/", "https://app.example.com/"),
            ("https://app.example.com/welcome", "https://app.example.com/welcome"),
            ("https://app.example.com:8443/a/b/", "https://app.example.com:8443/a/b/"),
            ("http://localhost:3000", "http://localhost:3000/"),
            ("http://127.0.0.1:3000/a", "http://127.0.0.1:3000/a"),
            ("http://[::1]:3000", "http://[::1]:3000/"),
            ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ] {
            assert_eq!(return_urls(text).unwrap(), [ReturnUrl(kept.to_owned())], "{text}");
        }
        for text in [
            "app.example.com",
            "/welcome",
            "//app.example.com",
            "http://app.example.com",
            "http://localhost.example.com",
            "ftp://app.example.com",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://user@app.example.com",
            "https://user:secret@app.example.com",
            "https://@app.example.com",
            "https://app.example.com?a",
            "https://app.example.com/#a",
            "https://App.example.com",
            "https://app.example.com:443",
            "https://app.example.com/a/../b",
            "https://app.example.com/a/%2e%2e/b",
            "https://app.example.com/a%2Fb",
            "https://app.example.com/a%5cb",
            "https://app.example.com\\a",
            "https://app.example.com/a b",
            "https:app.example.com",
            "https:///app.example.com",
            "https://bücher.example",
            "https://*.example.com",
            "https://app.example.com/ü",
        ] {
            assert_eq!(return_urls(text), Err(EXPECTED), "{text}");
        }
    }
}
