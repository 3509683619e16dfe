//! Which secrets a service starts with: random ones, each for one purpose. Published ones are accepted
//! only if nobody but this machine's users can reach the service, or if the operator allows them.
//!
//! A wrong secret works like a right one until somebody guesses codes with it, so it must be found at the start.

use crate::{
    env::{Env, Problem},
    secret::Secret,
};
use contract::code_secrets::{CodeSecrets, SECRET_OCTETS, is_development_secret};
use std::{collections::BTreeSet, net::SocketAddr};

/// The fewest different octets that a secret may have. 32 random
/// ones have 30 on average; fewer than 16 come once in 10^15 keys.
const MIN_DISTINCT: usize = 16;

/// The keys of `CODE_SECRETS`, or of the file that `CODE_SECRETS_FILE` names.
pub type KeyRing = Secret<CodeSecrets>;

/// Reports the problems with these secrets to `env`. Later contents of the keys' file are held to the same: keys with a
/// problem are not taken over. `published_allowed` as for [`problems`].
pub fn check(
    env: &mut Env,
    keys: Option<KeyRing>,
    id_secret: Option<[u8; SECRET_OCTETS]>,
    published_allowed: bool,
) -> Option<KeyRing> {
    let present = keys.as_ref().map(Secret::get);
    let file = keys.as_ref().and_then(Secret::file);
    let found = problems(present.as_ref(), id_secret.as_ref(), published_allowed).into_iter();
    env.report(found.map(|problem| match (problem.name, file) {
        ("CODE_SECRETS", Some((name, _))) => Problem { name, ..problem },
        _ => problem,
    }));
    Some(keys?.checked(move |keys| {
        let problem = problems(Some(keys), id_secret.as_ref(), published_allowed).into_iter().next();
        problem.map_or(Ok(()), |problem| Err(problem.detail))
    }))
}

/// The problems with these secrets. `published_allowed`: the
/// service [`is_local`], or `ALLOW_DEVELOPMENT_SECRETS` is set.
#[must_use]
pub fn problems(
    code_secrets: Option<&CodeSecrets>,
    id_secret: Option<&[u8; SECRET_OCTETS]>,
    published_allowed: bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |name, which: &str, secret: &[u8; SECRET_OCTETS]| {
        let detail = if secret.iter().collect::<BTreeSet<_>>().len() < MIN_DISTINCT {
            format!(
                "expected 32 random bytes, {which} has few that differ; make one with: openssl rand -base64 32"
            )
        } else if is_development_secret(secret) && !published_allowed {
            format!(
                "{which} is published, and anybody can compute codes and ids with it; make one with: \
                 openssl rand -base64 32. For development only, let all addresses and PUBLIC_URL be loopback, or set \
                 ALLOW_DEVELOPMENT_SECRETS=yes"
            )
        } else {
            return;
        };
        problems.push(Problem { name, detail });
    };
    let keys = || code_secrets.into_iter().flat_map(CodeSecrets::iter);
    for key in keys() {
        check("CODE_SECRETS", &format!("the key {}", key.id()), key.secret());
    }
    if let Some(secret) = id_secret {
        check("ID_SECRET", "this one", secret);
        if let Some(key) = keys().find(|key| key.secret() == secret) {
            let detail = format!(
                "expected a secret that is not in CODE_SECRETS, and is the key {} there. Where accounts exist ID_SECRET \
                 must stay: replace that key, with one from: openssl rand -base64 32",
                key.id()
            );
            problems.push(Problem { name: "ID_SECRET", detail });
        }
    }
    problems
}

/// Whether only its own machine can reach a service with these addresses: all of them
/// are loopback, and so is the host of `PUBLIC_URL`, as `localhost` or by its address.
#[must_use]
pub fn is_local(listeners: &[SocketAddr], public_url: &str) -> bool {
    let loopback = |listener: &SocketAddr| listener.ip().to_canonical().is_loopback();
    let host_is_loopback = match url::Url::parse(public_url).as_ref().map(url::Url::host) {
        Ok(Some(url::Host::Domain(name))) => name == "localhost",
        Ok(Some(url::Host::Ipv4(address))) => address.is_loopback(),
        Ok(Some(url::Host::Ipv6(address))) => address.to_canonical().is_loopback(),
        _ => false,
    };
    host_is_loopback && listeners.iter().all(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};

    const PUBLISHED: [u8; SECRET_OCTETS] = *b"well-known development secret 02";
    const GOOD: [u8; SECRET_OCTETS] = *b"0123456789abcdefghijklmnopqrstuv";
    const OTHER: [u8; SECRET_OCTETS] = *b"vutsrqponmlkjihgfedcba9876543210";

    /// The variables with a problem, and all texts.
    fn check(code: &[[u8; 32]], id: [u8; 32], published_allowed: bool) -> (Vec<&'static str>, String) {
        let keys = code.iter().zip(1..).map(|(key, number)| format!("k{number}:{}", STANDARD.encode(key)));
        let code = CodeSecrets::parse(&keys.collect::<Vec<_>>().join(",")).unwrap();
        let problems = problems(Some(&code), Some(&id), published_allowed);
        let text: String = problems.iter().map(|problem| format!("{}\n", problem.detail)).collect();
        (problems.into_iter().map(|problem| problem.name).collect(), text)
    }

    #[test]
    fn random_secrets_of_their_own_are_taken_anywhere() {
        assert_eq!(check(&[GOOD], OTHER, false).0, Vec::<&str>::new());
    }

    #[test]
    fn published_secrets_are_taken_only_where_that_is_allowed() {
        let example = *b"well-known development secret 01";
        assert!(check(&[example], PUBLISHED, true).0.is_empty());
        let (names, text) = check(&[GOOD, example], PUBLISHED, false);
        assert_eq!(names, ["CODE_SECRETS", "ID_SECRET"]);
        assert!(
            text.contains("the key k2 is published") && text.contains("openssl rand -base64 32"),
            "{text}"
        );
        assert!(text.contains("ALLOW_DEVELOPMENT_SECRETS=yes"), "{text}");
    }

    #[test]
    fn secrets_of_few_octets_are_refused_always() {
        let few: [u8; 32] = std::array::from_fn(|i| b"0123456789abcde"[i % 15]);
        for weak in [[0; 32], [b'A'; 32], few] {
            for allowed in [false, true] {
                assert_eq!(check(&[weak, GOOD], OTHER, allowed).0, ["CODE_SECRETS"]);
                assert_eq!(check(&[GOOD], weak, allowed).0, ["ID_SECRET"]);
            }
        }
    }

    #[test]
    fn no_secret_serves_both_purposes() {
        for allowed in [false, true] {
            let (names, text) = check(&[OTHER, GOOD], GOOD, allowed);
            assert_eq!(names, ["ID_SECRET"]);
            assert!(text.contains("is the key k2 there"), "{text}");
        }
        assert_eq!(check(&[PUBLISHED], PUBLISHED, true).0, ["ID_SECRET"]);
        assert!(!check(&[PUBLISHED], PUBLISHED, false).1.contains(&STANDARD.encode(PUBLISHED)));
    }

    #[test]
    fn a_file_is_held_to_the_same_at_the_start_and_at_each_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let write = |keys: &[(&str, [u8; 32])]| {
            let keys: Vec<_> =
                keys.iter().map(|(id, key)| format!("{id}:{}", STANDARD.encode(key))).collect();
            std::fs::write(&path, keys.join(",") + "\r\n").unwrap();
        };
        let start = || {
            let mut env = Env::from_pairs([("CODE_SECRETS_FILE", path.to_str().unwrap())]);
            let keys = env.required_secret("CODE_SECRETS", "CODE_SECRETS_FILE", "keys", CodeSecrets::parse);
            let keys = super::check(&mut env, keys, Some(OTHER), false);
            env.finish(|| keys)
        };
        write(&[("k1", PUBLISHED)]);
        assert_eq!(start().unwrap_err().problems()[0].name, "CODE_SECRETS_FILE");
        write(&[("k1", OTHER)]);
        assert_eq!(start().unwrap_err().problems()[0].name, "ID_SECRET");

        write(&[("k1", GOOD)]);
        let keys = start().unwrap();
        let is_first = |id: &str| keys.renewed().current().id().to_string() == id;
        for bad in [PUBLISHED, OTHER, [b'A'; 32]] {
            write(&[("k2", bad), ("k1", GOOD)]);
            assert!(is_first("k1"));
            assert_eq!(keys.file(), Some(("CODE_SECRETS_FILE", false)));
        }
        let mut new = GOOD;
        new.rotate_left(1);
        write(&[("k2", new), ("k1", GOOD)]);
        assert!(is_first("k2"));
        assert_eq!(keys.file(), Some(("CODE_SECRETS_FILE", true)));
    }

    #[test]
    fn local_is_what_only_this_machine_reaches() {
        let local = |listeners: &[&str], public_url| {
            let listeners: Vec<_> = listeners.iter().map(|listener| listener.parse().unwrap()).collect();
            is_local(&listeners, public_url)
        };
        let here = ["127.0.0.1:3006", "[::1]:3008", "127.1.2.3:0", "[::ffff:127.0.0.1]:1"];
        for url in [
            "http://localhost:3006",
            "http://LOCALHOST/a",
            "https://127.0.0.1",
            "http://[::1]:3006",
            "http://127.9.9.9:1/localhost.example",
        ] {
            assert!(local(&here, url), "{url}");
            for elsewhere in ["0.0.0.0:3006", "[::]:3006", "192.0.2.1:3006"] {
                assert!(!local(&[here[0], elsewhere], url), "{elsewhere}");
            }
        }
        for url in [
            "https://signup.example.com",
            "http://localhost.example.com",
            "http://localhost@example.com",
            "http://127.0.0.1.example.com",
            "http://192.0.2.1/127.0.0.1",
            "http://[2001:db8::1]",
            "http://localhost:99999",
        ] {
            assert!(!local(&here, url), "{url}");
        }
    }
}
