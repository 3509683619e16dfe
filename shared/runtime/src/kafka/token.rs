//! The token of OAUTHBEARER, from a file that somebody else keeps fresh: a sidecar, a mesh, the cloud's agent.
//!
//! librdkafka asks for a token when it makes a client, when 80 % of the last token's life is over, and ten seconds
//! after a failure. Each time the file is read anew. A service does not start without the file, or with something else in
//! it. An expired token is no reason: what renews it may come later.

use crate::secret;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rdkafka::client::OAuthToken;
use serde_json::Value;
use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub(super) const TOKEN_FILE: &str = "KAFKA_TOKEN_FILE";

/// The life of a token that does not say when it expires (MSK IAM's, an opaque one).
const UNKNOWN_LIFE: Duration = Duration::from_secs(60);

/// Reads the token. It expires when it says so, if it is a JWT with `exp` (RFC 7519, 4.1.4), otherwise in a minute.
///
/// # Errors
/// What is wrong with the file or the token, which is not shown.
pub(super) fn read(path: &str, now: SystemTime) -> Result<OAuthToken, String> {
    let token = text(path).map_err(|problem| format!("{TOKEN_FILE}: {problem}"))?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let expires = expiry(&token).unwrap_or(now.saturating_add(UNKNOWN_LIFE));
    if expires <= now {
        // The text is the same at each try, so that it is not reported again.
        let at = Timestamp::UNIX_EPOCH.checked_add(expires).unwrap_or(Timestamp::MIN);
        return Err(format!(
            "the token in {TOKEN_FILE} expired at {at:.0}; what writes {path:?} has to renew it in time"
        ));
    }
    Ok(OAuthToken {
        token,
        // The broker takes the principal from the token.
        principal_name: String::new(),
        lifetime_ms: i64::try_from(expires.as_millis()).unwrap_or(i64::MAX),
    })
}

/// The token in the file, expired or not.
///
/// # Errors
/// As [`read`], without the name of the variable.
pub(super) fn text(path: &str) -> Result<String, String> {
    let token = secret::read(Path::new(path))?;
    if token.bytes().all(|octet| octet.is_ascii_graphic()) {
        Ok(token)
    } else {
        Err("expected a token alone: one line of ASCII characters without spaces; the content is not shown"
            .to_owned())
    }
}

/// The time `exp` of a JWT, since 1970.
fn expiry(token: &str) -> Option<Duration> {
    let [_, claims, _] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Duration::try_from_secs_f64(claims["exp"].as_f64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn read_file(content: &[u8]) -> Result<OAuthToken, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        read(file.path().to_str().unwrap(), UNIX_EPOCH + NOW)
    }

    fn jwt(claims: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    fn life(content: &str) -> i64 {
        let token = read_file(content.as_bytes()).unwrap_or_else(|error| panic!("{content}: {error}"));
        assert_eq!(token.token, content.trim());
        token.lifetime_ms - i64::try_from(NOW.as_millis()).unwrap()
    }

    #[test]
    fn a_jwt_lives_until_it_expires_and_any_other_token_a_minute() {
        assert_eq!(life(&jwt(r#"{"sub":"a","exp":1800000300}"#)), 300_000);
        assert_eq!(life(&format!("{}\n", jwt(r#"{"exp":1800000000.5}"#))), 500);
        for other in [
            "opaque",
            "a.b",
            "a.b.c",
            "a.b.c.d",
            "aHR0cHM6Ly9rYWZrYQ==",
            &jwt("{}"),
            &jwt(r#"{"exp":"soon"}"#),
            &jwt(r#"{"exp":-1}"#),
            &jwt(r#"{"exp":1e300}"#),
        ] {
            assert_eq!(life(other), 60_000, "{other}");
        }
    }

    #[test]
    fn what_is_no_token_or_has_expired_is_refused_and_not_shown() {
        let expired = jwt(r#"{"sub":"secret","exp":1799999990}"#);
        let error = read_file(expired.as_bytes()).err().unwrap();
        assert!(
            error.starts_with("the token in KAFKA_TOKEN_FILE expired at 2027-01-15T07:59:50Z;"),
            "{error}"
        );
        assert!(!error.contains(&expired));
        for (content, expected) in [
            (&b""[..], "is empty"),
            (b" \n", "is empty"),
            (b"secret secret", "expected a token alone"),
            (b"secret\nsecret", "expected a token alone"),
            (b"secret\0", "expected a token alone"),
            ("s\u{e9}cret".as_bytes(), "expected a token alone"),
            (b"secret\xff", "is not UTF-8"),
        ] {
            let error = read_file(content).err().unwrap();
            assert!(error.starts_with("KAFKA_TOKEN_FILE: ") && error.contains(expected), "{error}");
            assert!(!error.contains("cret"), "{error}");
        }
        assert!(read("/nowhere", UNIX_EPOCH + NOW).err().unwrap().contains("/nowhere can't be read"));
    }
}
