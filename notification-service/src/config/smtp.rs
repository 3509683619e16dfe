//! The configuration of the mail server: where it is, how it is spoken to, and the login.

use crate::mailer::{self, Certificates, ClientKey, Encryption, Mechanism, SmtpConfig, SmtpCredentials};
use runtime::{
    env::{self, Env},
    secret::{Secret, one_line},
};
use std::{net::IpAddr, time::Duration};

/// Reads `SMTP_*`. `hello` is the default of `SMTP_HELLO_NAME`.
pub(crate) fn from_env(env: &mut Env, hello: String) -> SmtpConfig {
    let host = env.or("SMTP_HOST", "localhost".to_owned(), env::text);
    let encryption = env.or("SMTP_ENCRYPTION", Encryption::None, encryption);
    let credentials = credentials(env);
    let allowed = env.or("ALLOW_PLAINTEXT_PASSWORD", false, env::yes_or_no);
    if credentials.is_some() && encryption == Encryption::None && !allowed && !is_loopback(&host) {
        env.problem(
            "SMTP_ENCRYPTION",
            "expected starttls or tls with a login, as anybody on the way could read its password or token; \
             ALLOW_PLAINTEXT_PASSWORD=yes permits that",
        );
    }
    SmtpConfig {
        host,
        port: env.or("SMTP_PORT", 1025, env::number(1..=u16::MAX)),
        hello: env.or("SMTP_HELLO_NAME", hello, mailer::hello_name),
        connections: env.or("SMTP_CONNECTIONS", 16, env::number(1..=1_000)),
        timeout: env.or("SMTP_TIMEOUT", Duration::from_secs(10), env::duration),
        reply_timeout: env.or("SMTP_REPLY_TIMEOUT", Duration::from_mins(5), env::duration),
        final_timeout: env.or("SMTP_FINAL_TIMEOUT", Duration::from_mins(10), env::duration),
        encryption,
        trusted: env.or("SMTP_CA_FILE", Certificates::default(), mailer::certificates),
        client_key: client_key(env, encryption),
        credentials,
        max_rate: env.or("SMTP_MAX_RATE", None, max_rate),
    }
}

/// Reads the login: a name with a password, or with a token.
fn credentials(env: &mut Env) -> Option<SmtpCredentials> {
    let has_password = env.is_set("SMTP_PASSWORD") || env.is_set("SMTP_PASSWORD_FILE");
    let has_token = env.is_set("SMTP_TOKEN_FILE");
    let username = env.optional("SMTP_USERNAME", env::text);
    let password = env.secret("SMTP_PASSWORD", "SMTP_PASSWORD_FILE", one_line);
    let token = env.optional("SMTP_TOKEN_FILE", env::text).and_then(|path| {
        let read = Secret::from_files("SMTP_TOKEN_FILE", vec![path.into()], token);
        read.map_err(|problem| env.problem("SMTP_TOKEN_FILE", problem)).ok()
    });
    let auth = env.or("SMTP_AUTH", None, auth);
    let fitting = if has_token { Mechanism::OF_TOKENS } else { Mechanism::OF_PASSWORDS };
    match (has_password, has_token) {
        (true, true) => {
            env.problem("SMTP_TOKEN_FILE", "expected without a password: a login has one of the two");
        }
        (false, false) if username.is_some() => env.problem(
            "SMTP_USERNAME",
            "expected together with SMTP_PASSWORD, SMTP_PASSWORD_FILE or SMTP_TOKEN_FILE, or none of them",
        ),
        (false, false) if auth.is_some() => {
            env.problem("SMTP_AUTH", "expected auto without SMTP_USERNAME: there is no login");
        }
        (false, false) => {}
        _ if username.is_none() => env.problem("SMTP_USERNAME", "is required with a password or a token"),
        _ if auth.is_some_and(|wanted| !fitting.starts_with(wanted) && !fitting.ends_with(wanted)) => env.problem(
            "SMTP_AUTH",
            "expected auto, plain or login with a password; auto, xoauth2 or oauthbearer with SMTP_TOKEN_FILE",
        ),
        _ => {}
    }
    Some(SmtpCredentials::new(username?, password.or(token)?, auth.unwrap_or(fitting)))
}

/// The one wanted mechanism; `None` for `auto`.
fn auth(text: &str) -> Result<Option<&'static [Mechanism]>, &'static str> {
    match text {
        "auto" => Ok(None),
        "plain" => Ok(Some(&[Mechanism::Plain])),
        "login" => Ok(Some(&[Mechanism::Login])),
        "xoauth2" => Ok(Some(&[Mechanism::XOAuth2])),
        "oauthbearer" => Ok(Some(&[Mechanism::OAuthBearer])),
        _ => Err("auto, plain, login, xoauth2 or oauthbearer"),
    }
}

/// A token has no spaces (RFC 6750, section 2.1), and no control character that ends a field of the login.
fn token(text: &str) -> Result<String, &'static str> {
    let valid = text.bytes().all(|octet| octet.is_ascii_graphic());
    if valid {
        Ok(text.to_owned())
    } else {
        Err("a token alone: one line of ASCII characters without spaces")
    }
}

fn client_key(env: &mut Env, encryption: Encryption) -> Option<Secret<ClientKey>> {
    const CERTIFICATE: &str = "SMTP_CERTIFICATE_FILE";
    let certificate = env.optional(CERTIFICATE, env::text);
    let key = env.optional("SMTP_KEY_FILE", env::text);
    if certificate.is_some() != key.is_some() {
        env.problem(CERTIFICATE, "expected together with SMTP_KEY_FILE, or neither of the two");
    }
    let paths = vec![certificate?.into(), key?.into()];
    if encryption == Encryption::None {
        env.problem(CERTIFICATE, "expected only with SMTP_ENCRYPTION=starttls or tls");
    }
    let read = Secret::from_files(CERTIFICATE, paths, mailer::client_key);
    read.map_err(|problem| env.problem(CERTIFICATE, problem)).ok()
}

/// Whether traffic to this host stays on this machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn encryption(text: &str) -> Result<Encryption, &'static str> {
    match text {
        "none" => Ok(Encryption::None),
        "starttls" => Ok(Encryption::StartTls),
        "tls" => Ok(Encryption::Tls),
        _ => Err("none, starttls or tls"),
    }
}

fn max_rate(text: &str) -> Result<Option<u32>, &'static str> {
    if text == "off" {
        return Ok(None);
    }
    env::number(1..=100_000)(text).map(Some).map_err(|_| "off, or emails a second from 1 to 100000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use std::fs;

    const LOGIN: [(&str, &str); 2] = [("SMTP_USERNAME", "mailer"), ("SMTP_PASSWORD", "s3cret")];

    /// What is read, or the problems, each with its variable.
    fn read(pairs: &[(&str, &str)]) -> Result<SmtpConfig, Vec<(&'static str, String)>> {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let config = from_env(&mut env, "example.com".to_owned());
        env.finish(|| Some(config)).map_err(|error| {
            error.problems().iter().map(|problem| (problem.name, problem.detail.clone())).collect()
        })
    }

    fn named(pairs: &[(&str, &str)]) -> Vec<&'static str> {
        read(pairs)
            .map_or_else(|problems| problems.into_iter().map(|(name, _)| name).collect(), |_| Vec::new())
    }

    #[test]
    fn a_password_in_clear_stays_on_this_machine() {
        let named = |changes: &[(&str, &str)]| named(&[&LOGIN, changes].concat());
        assert_eq!(named(&[("SMTP_HOST", "mail.example.com")]), ["SMTP_ENCRYPTION"]);
        assert_eq!(named(&[("SMTP_HOST", "10.0.0.1")]), ["SMTP_ENCRYPTION"]);
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1"] {
            assert!(named(&[("SMTP_HOST", host)]).is_empty(), "{host}");
        }
        for (name, value) in
            [("SMTP_ENCRYPTION", "tls"), ("SMTP_ENCRYPTION", "starttls"), ("ALLOW_PLAINTEXT_PASSWORD", "yes")]
        {
            assert!(named(&[("SMTP_HOST", "mail.example.com"), (name, value)]).is_empty(), "{name}={value}");
        }
    }

    #[test]
    fn a_login_has_a_name_and_one_secret_and_a_mechanism_that_fits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "ya29.a0\n").unwrap();
        let token = ("SMTP_TOKEN_FILE", path.to_str().unwrap());
        let mechanisms =
            |pairs: &[(&str, &str)]| read(pairs).unwrap().credentials.map(|login| format!("{login:?}"));
        assert_eq!(mechanisms(&[]), None);
        assert!(mechanisms(&LOGIN).unwrap().contains("[Plain, Login]"));
        assert!(mechanisms(&[LOGIN[0], token]).unwrap().contains("[OAuthBearer, XOAuth2]"));
        for (auth, expected) in [("plain", "[Plain]"), ("login", "[Login]")] {
            assert!(mechanisms(&[LOGIN[0], LOGIN[1], ("SMTP_AUTH", auth)]).unwrap().contains(expected));
            assert_eq!(named(&[LOGIN[0], token, ("SMTP_AUTH", auth)]), ["SMTP_AUTH"]);
        }
        for (auth, expected) in [("xoauth2", "[XOAuth2]"), ("oauthbearer", "[OAuthBearer]")] {
            assert!(mechanisms(&[LOGIN[0], token, ("SMTP_AUTH", auth)]).unwrap().contains(expected));
            assert_eq!(named(&[LOGIN[0], LOGIN[1], ("SMTP_AUTH", auth)]), ["SMTP_AUTH"]);
        }
        assert_eq!(named(&[LOGIN[0], LOGIN[1], token]), ["SMTP_TOKEN_FILE"]);
        assert_eq!(named(&[LOGIN[0], LOGIN[1], ("SMTP_PASSWORD_FILE", token.1)]), ["SMTP_PASSWORD_FILE"]);
        assert_eq!(named(&[LOGIN[0]]), ["SMTP_USERNAME"]);
        assert_eq!(named(&[LOGIN[1]]), ["SMTP_USERNAME"]);
        assert_eq!(named(&[("SMTP_AUTH", "plain")]), ["SMTP_AUTH"]);
        for wrong in ["a b", "a\nb", "\u{fc}"] {
            fs::write(&path, wrong).unwrap();
            let problems = read(&[LOGIN[0], token]).unwrap_err();
            assert_eq!(problems.len(), 1);
            assert!(problems[0].1.starts_with("expected a token alone"), "{problems:?}");
        }
    }

    #[test]
    fn a_certificate_comes_with_its_key_and_needs_tls() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (mine, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let pem = CertificateParams::new(["client".to_owned()]).unwrap().self_signed(&mine).unwrap().pem();
        let (certificate, key) = (write("cert.pem", &pem), write("key.pem", &mine.serialize_pem()));
        let (wrong_key, no_pem) = (write("other.pem", &other.serialize_pem()), write("no.pem", "hunter2"));
        let problem = |certificate: &str, key: &str, encryption| {
            let pairs = [
                ("SMTP_CERTIFICATE_FILE", certificate),
                ("SMTP_KEY_FILE", key),
                ("SMTP_ENCRYPTION", encryption),
            ];
            read(&pairs).map_or_else(|problems| problems[0].1.clone(), |_| String::new())
        };
        assert_eq!(problem(&certificate, &key, "tls"), "");
        assert!(problem(&certificate, &key, "none").starts_with("expected only with SMTP_ENCRYPTION="));
        assert!(problem(&certificate, "", "tls").starts_with("expected together with SMTP_KEY_FILE"));
        assert!(problem("", &key, "tls").starts_with("expected together with SMTP_KEY_FILE"));
        assert!(problem(&certificate, &wrong_key, "tls").contains("to have the key of the certificate"));
        assert!(problem(&no_pem, &key, "tls").contains("expected certificates in PEM"));
        assert!(problem(&certificate, &no_pem, "tls").contains("expected a private key in PEM"));
        assert!(problem(&certificate, "/nowhere", "tls").contains("/nowhere can't be read"));
    }
}
