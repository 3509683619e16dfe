use super::{
    own_certificate::{CERTIFICATE_FILE, KEY_FILE},
    *,
};
use crate::env::Problem;
use tempfile::NamedTempFile;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
const LOGIN: [(&str, &str); 2] = [(USERNAME, "ada"), (PASSWORD, "hunter2")];

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// The settings that a build with `kafka-tls` reads from these variables, and the problems.
fn read(pairs: &[(&str, &str)]) -> (KafkaSecurity, Vec<Problem>) {
    read_in_a_build(true, pairs)
}

fn read_in_a_build(with_tls: bool, pairs: &[(&str, &str)]) -> (KafkaSecurity, Vec<Problem>) {
    let mut env = Env::from_pairs(pairs.iter().copied());
    let security = KafkaSecurity::read(&mut env, with_tls);
    let problems = env.finish(|| Some(())).map_or_else(|error| error.problems().to_vec(), |()| Vec::new());
    (security, problems)
}

fn named(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.name).collect()
}

/// librdkafka's settings for the protocol, the certificates, the mechanism, the name and the password.
fn settings(pairs: &[(&str, &str)]) -> [Option<String>; 5] {
    let (security, problems) = read(pairs);
    assert_eq!(problems, [], "{pairs:?}");
    let mut client = ClientConfig::new();
    security.apply(&mut client);
    ["security.protocol", "ssl.ca.location", "sasl.mechanisms", "sasl.username", "sasl.password"]
        .map(|name| client.get(name).map(str::to_owned))
}

fn some<const N: usize>(values: [&str; N]) -> [Option<String>; 5] {
    std::array::from_fn(|index| {
        values.get(index).filter(|value| !value.is_empty()).map(|&value| value.to_owned())
    })
}

#[test]
fn without_variables_a_connection_is_plain() {
    assert_eq!(settings(&[]), some(["plaintext"]));
}

#[test]
fn tls_trusts_the_system_or_the_file_alone() {
    assert_eq!(settings(&[(PROTOCOL, "ssl")]), some(["ssl", "probe"]));
    let file = file(PEM);
    assert_eq!(settings(&[(PROTOCOL, "ssl"), (CA_FILE, path(&file))]), some(["ssl", path(&file)]));
}

#[test]
fn a_login_has_a_name_a_password_and_a_mechanism_in_any_case() {
    let mechanisms = [
        ("", "SCRAM-SHA-512"),
        ("scram-sha-256", "SCRAM-SHA-256"),
        ("SCRAM-SHA-512", "SCRAM-SHA-512"),
        ("plain", "PLAIN"),
    ];
    let [username, password] = LOGIN;
    for (given, used) in mechanisms {
        let settings = settings(&[(PROTOCOL, "SASL_SSL"), (MECHANISM, given), username, password]);
        assert_eq!(settings, some(["sasl_ssl", "probe", used, "ada", "hunter2"]));
    }
}

#[test]
fn a_login_without_tls_looks_for_no_certificates() {
    let [username, password] = LOGIN;
    let settings = settings(&[(PROTOCOL, "sasl_plaintext"), username, password]);
    assert_eq!(settings, some(["sasl_plaintext", "", "SCRAM-SHA-512", "ada", "hunter2"]));
}

#[test]
fn a_token_file_takes_the_place_of_name_and_password() {
    let token = file("secret-token\n");
    let (by_token, file) = ((MECHANISM, "oauthbearer"), (TOKEN_FILE, path(&token)));
    let sasl_ssl = (PROTOCOL, "sasl_ssl");
    let (security, problems) = read(&[sasl_ssl, by_token, file]);
    assert_eq!(problems, []);
    let mut client = ClientConfig::new();
    security.apply(&mut client);
    assert_eq!(client.get("sasl.mechanisms"), Some("OAUTHBEARER"));
    assert_eq!(client.get("sasl.oauthbearer.config"), Some(path(&token)));
    assert_eq!(client.get("sasl.password"), None);

    let [username, password] = LOGIN;
    assert_eq!(named(&read(&[sasl_ssl, by_token]).1), [TOKEN_FILE]);
    assert_eq!(named(&read(&[sasl_ssl, by_token, file, username, password]).1), [USERNAME, PASSWORD]);
    assert_eq!(named(&read(&[sasl_ssl, file, username, password]).1), [TOKEN_FILE]);
    assert_eq!(named(&read(&[file]).1), [TOKEN_FILE]);
}

#[test]
fn a_token_file_that_can_not_be_used_stops_the_start_and_shows_in_the_metric_later() {
    let by_token =
        |path: &str| read(&[(PROTOCOL, "sasl_ssl"), (MECHANISM, "OAUTHBEARER"), (TOKEN_FILE, path)]);
    for (content, expected) in [("", "is empty"), ("secret secret", "expected a token alone")] {
        let (_, problems) = by_token(path(&file(content)));
        assert_eq!(named(&problems), [TOKEN_FILE]);
        assert!(problems[0].detail.contains(expected), "{problems:?}");
        assert!(!format!("{problems:?}").contains("secret secret"));
    }
    let (_, problems) = by_token("/nowhere");
    assert_eq!(named(&problems), [TOKEN_FILE]);
    assert!(problems[0].detail.starts_with("/nowhere can't be read"), "{problems:?}");

    // What renews it may come a little later. Claims of 1970: {"exp":1}
    let expired = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.";
    let token = file(expired);
    let (security, problems) = by_token(path(&token));
    assert_eq!(problems, []);
    for (content, usable) in [(expired, false), ("opaque", true), ("", false), ("opaque\r\n", true)] {
        std::fs::write(&token, content).unwrap();
        assert_eq!(security.secret_file(), Some((TOKEN_FILE, usable)), "{content:?}");
    }
}

#[test]
fn a_login_that_is_not_whole_is_refused() {
    for protocol in ["sasl_ssl", "sasl_plaintext"] {
        let (_, problems) = read(&[(PROTOCOL, protocol)]);
        assert_eq!(named(&problems), [USERNAME, PASSWORD]);
        assert_eq!(problems[0].detail, format!("is required with KAFKA_SECURITY_PROTOCOL={protocol}"));
        assert_eq!(named(&read(&[(PROTOCOL, protocol), LOGIN[0]]).1), [PASSWORD]);
        assert_eq!(named(&read(&[(PROTOCOL, protocol), LOGIN[1]]).1), [USERNAME]);
    }
}

#[test]
fn what_a_protocol_would_not_use_is_refused() {
    let file = file(PEM);
    let [username, password] = LOGIN;
    let ca_file = (CA_FILE, path(&file));
    assert_eq!(named(&read(&[username, password, ca_file]).1), [CA_FILE, USERNAME, PASSWORD]);
    assert_eq!(named(&read(&[(PROTOCOL, "ssl"), username, password, ca_file]).1), [USERNAME, PASSWORD]);
    assert_eq!(named(&read(&[(PROTOCOL, "sasl_plaintext"), username, password, ca_file]).1), [CA_FILE]);
}

#[test]
fn a_file_without_certificates_is_refused() {
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n";
    let files = ["", "hello", KEY, broken].map(file);
    let key = file(KEY);
    for wrong in files.iter().map(path).chain(["/nowhere", "/"]) {
        let (_, problems) =
            read(&[(PROTOCOL, "ssl"), (CA_FILE, wrong), (CERTIFICATE_FILE, wrong), (KEY_FILE, path(&key))]);
        assert_eq!(named(&problems), [CA_FILE, CERTIFICATE_FILE], "{wrong}");
        let expected = "expected a readable file with certificates in PEM";
        assert!(problems.iter().all(|problem| problem.detail.starts_with(expected)), "{problems:?}");
    }
}

#[test]
fn a_certificate_comes_with_its_key_and_with_tls() {
    let (certificate, key) = (file(PEM), file(KEY));
    let (certificate, key) = ((CERTIFICATE_FILE, path(&certificate)), (KEY_FILE, path(&key)));
    assert_eq!(named(&read(&[(PROTOCOL, "ssl"), certificate]).1), [KEY_FILE]);
    assert_eq!(named(&read(&[(PROTOCOL, "ssl"), key]).1), [CERTIFICATE_FILE]);
    assert!(named(&read(&[certificate, key]).1).contains(&CERTIFICATE_FILE));
}

#[test]
fn a_key_that_can_not_be_read_without_a_password_is_refused() {
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let certificate = file(PEM);
    let files = ["", "hello", PEM, encrypted].map(file);
    for wrong in files.iter().map(path).chain(["/nowhere", "/"]) {
        let (_, problems) =
            read(&[(PROTOCOL, "ssl"), (CERTIFICATE_FILE, path(&certificate)), (KEY_FILE, wrong)]);
        assert_eq!(named(&problems), [KEY_FILE], "{wrong}");
        assert!(
            problems[0].detail.starts_with("expected a readable file with an unencrypted private key in PEM"),
            "{problems:?}"
        );
    }
}

#[test]
fn all_problems_are_listed_at_once_and_the_password_is_in_none() {
    let [username, password] = LOGIN;
    let (security, problems) =
        read(&[(PROTOCOL, "tls"), (MECHANISM, "GSSAPI"), (CA_FILE, "/nowhere"), username, password]);
    assert_eq!(named(&problems), [PROTOCOL, CA_FILE, MECHANISM]);
    assert_eq!(problems[0].detail, "expected plaintext, ssl, sasl_plaintext or sasl_ssl, got \"tls\"");
    assert!(!format!("{problems:?}").contains("hunter2"));
    assert!(!format!("{security:?}").contains("hunter2"));
    assert!(format!("{security:?}").contains("ada"));
    assert!(!format!("{:?}", read(&[password]).1).contains("hunter2"));
}

#[test]
fn a_build_without_tls_says_how_to_get_it() {
    assert_eq!(read_in_a_build(false, &[(PROTOCOL, "plaintext")]).1, []);
    for protocol in ["ssl", "sasl_plaintext", "sasl_ssl"] {
        let (_, problems) = read_in_a_build(false, &[(PROTOCOL, protocol), (CA_FILE, "/nowhere")]);
        assert_eq!(problems.iter().filter(|problem| problem.name == PROTOCOL).count(), 1);
        let all = format!("{problems:?}");
        assert!(all.contains("--features kafka-tls") && all.contains(CA_FILE), "{all}");
    }
}

#[test]
fn a_password_from_a_file_is_the_one_that_is_there_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "old\r\n").unwrap();
    let mut env =
        Env::from_pairs([(PROTOCOL, "sasl_ssl"), (USERNAME, "ada"), (PASSWORD_FILE, path.to_str().unwrap())]);
    let security = KafkaSecurity::read(&mut env, true);
    env.finish(|| Some(())).unwrap();
    let password = || {
        let mut client = ClientConfig::new();
        security.apply(&mut client);
        client.get("sasl.password").map(str::to_owned)
    };
    assert_eq!(password().as_deref(), Some("old"));
    std::fs::write(&path, "new\n").unwrap();
    assert_eq!(security.login_from_file(), Some(("ada", "new".to_owned())));
    assert_eq!(password().as_deref(), Some("new"));
    assert!(!format!("{security:?}").contains("new"));

    let both = [(PROTOCOL, "sasl_ssl"), (USERNAME, "ada"), (PASSWORD, "a"), (PASSWORD_FILE, "/nowhere")];
    let mut env = Env::from_pairs(both);
    KafkaSecurity::read(&mut env, true);
    let named: Vec<_> =
        env.finish(|| Some(())).unwrap_err().problems().iter().map(|problem| problem.name).collect();
    assert_eq!(named, [PASSWORD_FILE]);
}
