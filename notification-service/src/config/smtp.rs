//! The configuration of the mail servers: where each is, how it is spoken to, and the login.

use crate::{
    mailer::{self, Certificates, ClientKey, Encryption, Mechanism, SmtpConfig, SmtpCredentials},
    server_number::ServerNumber,
};
use runtime::{
    env::{self, Env},
    secret::{Secret, one_line},
};
use std::{net::IpAddr, time::Duration};
use variables::Variables;

mod max_rate;
mod variables;

/// Reads `SMTP_*`, and `SMTP_2_*` and `SMTP_3_*` if there are such servers. `hello` is the default of the names in EHLO.
pub(crate) fn from_env(env: &mut Env, hello: &str) -> Vec<SmtpConfig> {
    let plaintext_allowed = env.or("ALLOW_PLAINTEXT_PASSWORD", false, env::yes_or_no);
    let mut read: Vec<(SmtpConfig, Option<String>)> = Vec::new();
    for number in variables::servers(env) {
        let username = env.optional(Variables::of(number).username, env::text);
        let server = server(env, number, hello, plaintext_allowed, username.clone());
        let twin = read.iter().find(|(it, other)| is_same_place(it, &server) && *other == username);
        if let Some((twin, _)) = twin {
            let twin = Variables::of(twin.number).host;
            env.problem(
                Variables::of(number).host,
                format!("expected another server than that of {twin}: host, port and user name are the same"),
            );
        }
        read.push((server, username));
    }
    read.into_iter().map(|(server, _)| server).collect()
}

/// Whether two servers have the same address. With the same login, too, the second could never help: it is away with the first.
fn is_same_place(one: &SmtpConfig, other: &SmtpConfig) -> bool {
    one.port == other.port && spelled_alike(&one.host) == spelled_alike(&other.host)
}

/// A host in one spelling of the many that it may have. Names are not looked up: their addresses may change.
fn spelled_alike(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => host.trim_end_matches('.').to_ascii_lowercase(),
    }
}

/// Reads the variables of one server. It takes nothing from another one.
fn server(
    env: &mut Env,
    number: ServerNumber,
    hello: &str,
    plaintext_allowed: bool,
    username: Option<String>,
) -> SmtpConfig {
    let names = Variables::of(number);
    let host = env.or(names.host, "localhost".to_owned(), env::text);
    let encryption = env.or(names.encryption, Encryption::None, encryption);
    let credentials = credentials(env, number, username);
    if credentials.is_some() && encryption == Encryption::None && !plaintext_allowed && !is_loopback(&host) {
        env.problem(
            names.encryption,
            "expected starttls or tls with a login, as anybody on the way could read its password or token; \
             ALLOW_PLAINTEXT_PASSWORD=yes permits that",
        );
    }
    SmtpConfig {
        number,
        host,
        port: env.or(names.port, 1025, env::number(1..=u16::MAX)),
        hello: env.or(names.hello_name, hello.to_owned(), mailer::hello_name),
        connections: env.or(names.connections, 16, env::number(1..=1_000)),
        timeout: env.or(names.timeout, Duration::from_secs(10), env::duration),
        reply_timeout: env.or(names.reply_timeout, Duration::from_mins(5), env::duration),
        final_timeout: env.or(names.final_timeout, Duration::from_mins(10), env::duration),
        encryption,
        trusted: env.or(names.ca_file, Certificates::default(), mailer::certificates),
        client_key: client_key(env, number, encryption),
        credentials,
        mail_interval: env.or(names.max_rate, None, max_rate::interval),
    }
}

/// Reads the login: a name with a password, or with a token.
fn credentials(env: &mut Env, number: ServerNumber, username: Option<String>) -> Option<SmtpCredentials> {
    let names = Variables::of(number);
    let has_password = env.is_set(names.password) || env.is_set(names.password_file);
    let has_token = env.is_set(names.token_file);
    let password = env.secret(names.password, names.password_file, one_line);
    let token = env.optional(names.token_file, env::text).and_then(|path| {
        let read = Secret::from_files(names.token_file, vec![path.into()], token);
        read.map_err(|problem| env.problem(names.token_file, problem)).ok()
    });
    let auth = env.or(names.auth, None, auth);
    let fitting = if has_token { Mechanism::OF_TOKENS } else { Mechanism::OF_PASSWORDS };
    let problem = match (has_password, has_token) {
        (true, true) => Some((names.token_file, "expected without a password: a login has one of the two")),
        (false, false) if username.is_some() => Some((
            names.username,
            "expected together with SMTP_PASSWORD, SMTP_PASSWORD_FILE or SMTP_TOKEN_FILE, or none of them",
        )),
        (false, false) if auth.is_some() => {
            Some((names.auth, "expected auto without SMTP_USERNAME: there is no login"))
        }
        (false, false) => None,
        _ if username.is_none() => Some((names.username, "is required with a password or a token")),
        _ if auth.is_some_and(|wanted| !fitting.starts_with(wanted) && !fitting.ends_with(wanted)) => Some((
            names.auth,
            "expected auto, plain or login with a password; auto, xoauth2 or oauthbearer with SMTP_TOKEN_FILE",
        )),
        _ => None,
    };
    if let Some((name, detail)) = problem {
        env.problem(name, number.naming(detail));
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

fn client_key(env: &mut Env, number: ServerNumber, encryption: Encryption) -> Option<Secret<ClientKey>> {
    let names = Variables::of(number);
    let certificate = env.optional(names.certificate_file, env::text);
    let key = env.optional(names.key_file, env::text);
    if certificate.is_some() != key.is_some() {
        let detail = number.naming("expected together with SMTP_KEY_FILE, or neither of the two");
        env.problem(names.certificate_file, detail);
    }
    let paths = vec![certificate?.into(), key?.into()];
    if encryption == Encryption::None {
        let detail = number.naming("expected only with SMTP_ENCRYPTION=starttls or tls");
        env.problem(names.certificate_file, detail);
    }
    let parse =
        move |pem: &str| mailer::client_key(pem).map_err(|expected| number.naming(expected).into_owned());
    let read = Secret::from_files(names.certificate_file, paths, parse);
    read.map_err(|problem| env.problem(names.certificate_file, problem)).ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use std::fs;

    const LOGIN: [(&str, &str); 2] = [("SMTP_USERNAME", "mailer"), ("SMTP_PASSWORD", "s3cret")];

    /// What is read, or the problems, each with its variable.
    fn read_all(pairs: &[(&str, &str)]) -> Result<Vec<SmtpConfig>, Vec<(&'static str, String)>> {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let config = from_env(&mut env, "example.com");
        env.finish(|| Some(config)).map_err(|error| {
            error.problems().iter().map(|problem| (problem.name, problem.detail.clone())).collect()
        })
    }

    /// The first server.
    fn read(pairs: &[(&str, &str)]) -> Result<SmtpConfig, Vec<(&'static str, String)>> {
        read_all(pairs).map(|servers| servers[0].clone())
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

    #[test]
    fn a_further_server_has_its_own_variables_and_takes_nothing_from_the_first() {
        let first = [
            ("SMTP_HOST", "::1"),
            ("SMTP_PORT", "587"),
            ("SMTP_CONNECTIONS", "3"),
            ("SMTP_MAX_RATE", "30/min"),
        ];
        let second =
            [("SMTP_2_HOST", "127.0.0.2"), ("SMTP_2_PORT", "2525"), ("SMTP_2_HELLO_NAME", "b.example.com")];
        let servers =
            read_all(&[&first[..], &LOGIN, &second, &[("SMTP_3_HOST", "localhost")]].concat()).unwrap();
        let numbers: Vec<_> = servers.iter().map(|server| server.number).collect();
        assert_eq!(numbers, ServerNumber::ALL);
        let [first, second, third] = &servers[..] else { panic!("three servers") };
        assert!(first.credentials.is_some() && second.credentials.is_none() && third.credentials.is_none());
        assert_eq!(
            (second.host.as_str(), second.port, second.hello.as_str()),
            ("127.0.0.2", 2525, "b.example.com")
        );
        assert_eq!(first.mail_interval, Some(Duration::from_secs(2)));
        assert_eq!(
            (second.connections, second.mail_interval),
            (16, None),
            "the defaults, not the first server's"
        );
        assert_eq!((third.port, third.hello.as_str()), (1025, "example.com"));
    }

    #[test]
    fn what_is_set_for_a_server_that_there_is_not_is_said() {
        let problems = |pairs: &[(&str, &str)]| read_all(pairs).unwrap_err();
        let of_second = [("SMTP_2_PORT", "25"), ("SMTP_2_PASSWORD_FILE", "/nowhere")];
        let second = problems(&of_second);
        let names: Vec<_> = second.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["SMTP_2_PORT", "SMTP_2_PASSWORD_FILE"]);
        assert_eq!(second[0].1, "expected together with SMTP_2_HOST: without it there is no server 2");
        let gap = problems(&[("SMTP_3_HOST", "c.example.com")]);
        assert_eq!(gap.len(), 1, "{gap:?}");
        assert_eq!(gap[0].1, "expected together with SMTP_2_HOST: the servers are numbered without a gap");
        assert_eq!(problems(&[("SMTP_1_HOST", "a")])[0].0, "SMTP_1_HOST");
        assert_eq!(problems(&[("SMTP_4_HOST", "d")])[0].1, "expected three mail servers at most");
        assert!(read_all(&[("SMTP_2_HOST", " "), ("SMTP_2_PORT", "")]).is_ok(), "empty counts as absent");
    }

    #[test]
    fn the_same_server_twice_is_refused() {
        let login = [("SMTP_USERNAME", "a"), ("SMTP_PASSWORD", "x"), ("SMTP_ENCRYPTION", "tls")];
        let further = [("SMTP_2_USERNAME", "a"), ("SMTP_2_PASSWORD", "y"), ("SMTP_2_ENCRYPTION", "tls")];
        let hosts = [("SMTP_HOST", "mail.example.com"), ("SMTP_2_HOST", "Mail.Example.com.")];
        let problems = |pairs: &[&[(&str, &str)]]| read_all(&pairs.concat()).map_or_else(|it| it, |_| vec![]);
        let expected =
            "expected another server than that of SMTP_HOST: host, port and user name are the same";
        let addresses = [("SMTP_HOST", "2001:db8::1"), ("SMTP_2_HOST", "2001:DB8:0:0:0:0:0:1")];
        let mapped = [("SMTP_HOST", "192.0.2.1"), ("SMTP_2_HOST", "::ffff:192.0.2.1")];
        for same in [&[&hosts[..]][..], &[&hosts, &login, &further], &[&addresses], &[&mapped]] {
            assert_eq!(problems(same), [("SMTP_2_HOST", expected.to_owned())]);
        }
        for another in [
            &[&hosts[..], &[("SMTP_2_PORT", "2525")]][..],
            &[&hosts, &login],
            &[&hosts, &login, &further, &[("SMTP_2_USERNAME", "b")]],
            &[&[("SMTP_HOST", "mail.example.com"), ("SMTP_2_HOST", "mail.example.net")]],
        ] {
            assert_eq!(problems(another), [], "{another:?}");
        }
        let third = [("SMTP_2_HOST", "b.example.com"), ("SMTP_3_HOST", "b.example.com")];
        let problems = problems(&[&third]);
        assert!(problems.len() == 1 && problems[0].0 == "SMTP_3_HOST", "{problems:?}");
        assert!(problems[0].1.contains("SMTP_2_HOST"), "{problems:?}");
    }

    #[test]
    fn problems_of_a_further_server_name_its_variables() {
        let here = ("SMTP_2_HOST", "mail.example.com");
        for (pair, expected) in [
            (("SMTP_2_USERNAME", "mailer"), "SMTP_2_PASSWORD, SMTP_2_PASSWORD_FILE or SMTP_2_TOKEN_FILE"),
            (("SMTP_2_AUTH", "plain"), "expected auto without SMTP_2_USERNAME"),
            (("SMTP_2_KEY_FILE", "/nowhere"), "expected together with SMTP_2_KEY_FILE"),
        ] {
            let problems = read_all(&[here, pair]).unwrap_err();
            assert!(problems[0].1.contains(expected), "{problems:?}");
        }
        let login = [here, ("SMTP_2_USERNAME", "mailer"), ("SMTP_2_PASSWORD", "hunter2")];
        let problems = read_all(&login).unwrap_err();
        assert_eq!((problems.len(), problems[0].0), (1, "SMTP_2_ENCRYPTION"));
        assert!(!format!("{problems:?}").contains("hunter2"));
    }
}
