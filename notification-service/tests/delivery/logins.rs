//! Each way to log in, accepted and refused, and what the operator reads.

use crate::{
    front::{Certificate, ClientAuthority, Front, LOGIN, Mode},
    world::{Service, World, created},
};
use contract::topic::Topic;

/// Longer than an AUTH command may be.
fn long_token() -> String {
    "ya29.".to_owned() + &"a0".repeat(700)
}

async fn start(world: &World, front: &Front, encryption: &str, changes: &[(&str, &str)]) -> Service {
    let (port, ca) = (front.port.to_string(), front.ca_file());
    let place = [
        ("SMTP_HOST", "localhost"),
        ("SMTP_PORT", &port),
        ("SMTP_ENCRYPTION", encryption),
        ("SMTP_CA_FILE", &ca),
    ];
    world.start(&[&place, changes].concat()).await
}

/// Asserts that one event is mailed.
async fn accepted(world: &World, service: Service) {
    let before = world.smtp.count();
    world.publish(&[created(u8::try_from(before).unwrap())]).await;
    world.wait_for_mails(before + 1).await;
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
}

/// Asserts that the gate closes with these words, and that nothing is mailed or lost.
async fn refused(world: &World, service: Service, words: &str) {
    world.publish(&[created(200)]).await;
    let health = service.wait_until(|body| body["gate"]["open"] == false).await;
    assert_eq!(health["gate"]["closed_by"], words);
    service.stop().await;
    assert_eq!((world.smtp.count(), world.committed(Topic::Created).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_by_each_mechanism_is_accepted() {
    let world = World::new(1).await;
    let long = long_token();
    for (offered, auth, secret) in [
        ("PLAIN LOGIN", "auto", LOGIN.1),
        ("PLAIN LOGIN", "login", LOGIN.1),
        ("LOGIN PLAIN", "plain", LOGIN.1),
        ("XOAUTH2 PLAIN", "auto", "ya29.a0"),
        ("OAUTHBEARER XOAUTH2", "auto", "ya29.a0"),
        ("OAUTHBEARER XOAUTH2", "xoauth2", "ya29.a0"),
        ("XOAUTH2 OAUTHBEARER", "oauthbearer", "ya29.a0"),
        ("XOAUTH2", "xoauth2", &long),
        ("OAUTHBEARER", "oauthbearer", &long),
    ] {
        let front = Front::start(world.smtp.address(), Mode::AtOnce, Certificate::Good, offered).await;
        front.accept(&[secret]);
        let file = front.write("secret", &format!("{secret}\r\n"));
        let variable = if secret == LOGIN.1 { "SMTP_PASSWORD_FILE" } else { "SMTP_TOKEN_FILE" };
        let login = [("SMTP_USERNAME", LOGIN.0), (variable, &file), ("SMTP_AUTH", auth)];
        accepted(&world, start(&world, &front, "tls", &login).await).await;
        assert_eq!(front.refusals().0, 0, "{offered} {auth}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_says_what_the_server_says_and_where_to_look() {
    let world = World::new(1).await;
    for (offered, auth, words) in [
        ("PLAIN", "auto", "login: reply 535"),
        ("PLAIN", "login", "login: the server offers no login of those wanted here, LOGIN; it offers: PLAIN"),
        (
            "XOAUTH2",
            "auto",
            "login: reply 535 5.7.8 to the token of SMTP_TOKEN_FILE (invalid_token): it has expired, or is not for this user",
        ),
        (
            "OAUTHBEARER",
            "oauthbearer",
            "login: reply 535 5.7.8 to the token of SMTP_TOKEN_FILE (invalid_token): it has expired, or is not for this user",
        ),
        (
            "PLAIN LOGIN",
            "xoauth2",
            "login: the server offers no login of those wanted here, XOAUTH2; it offers: PLAIN LOGIN",
        ),
    ] {
        let front = Front::start(world.smtp.address(), Mode::AtOnce, Certificate::Good, offered).await;
        let file = front.write("secret", "expired");
        let is_token = words.contains("TOKEN") || words.contains("XOAUTH2");
        let variable = if is_token { "SMTP_TOKEN_FILE" } else { "SMTP_PASSWORD_FILE" };
        let login = [("SMTP_USERNAME", LOGIN.0), (variable, &file), ("SMTP_AUTH", auth)];
        refused(&world, start(&world, &front, "tls", &login).await, words).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_certificate_is_shown_to_a_server_that_demands_one() {
    let world = World::new(1).await;
    for (mode, encryption) in [(Mode::AtOnce, "tls"), (Mode::AfterStartTls, "starttls")] {
        let front = Front::start(world.smtp.address(), mode, Certificate::Good, "").await;
        let authority = ClientAuthority::new("clients");
        front.demand(&authority);
        let (certificate, key) = authority.issue(false);
        let (certificate, key) = (front.write("cert", &certificate), front.write("key", &key));
        let files = [("SMTP_CERTIFICATE_FILE", certificate.as_str()), ("SMTP_KEY_FILE", key.as_str())];
        accepted(&world, start(&world, &front, encryption, &files).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_certificate_is_told_with_the_servers_alert() {
    let world = World::new(1).await;
    let (authority, other) = (ClientAuthority::new("clients"), ClientAuthority::new("others"));
    let told = |alert: &str| {
        format!(
            "TLS: the server ended TLS with the alert {alert}: SMTP_CERTIFICATE_FILE and SMTP_KEY_FILE must have a certificate that it accepts"
        )
    };
    for (mode, encryption) in [(Mode::AtOnce, "tls"), (Mode::AfterStartTls, "starttls")] {
        for (shown, alert) in [
            (Some(authority.issue(true)), "CertificateExpired"),
            (Some(other.issue(false)), "UnknownCA"),
            (None, "CertificateRequired"),
        ] {
            let front = Front::start(world.smtp.address(), mode, Certificate::Good, "").await;
            front.demand(&authority);
            let files =
                shown.map(|(certificate, key)| (front.write("cert", &certificate), front.write("key", &key)));
            let files = files.as_ref().map_or_else(Vec::new, |(certificate, key)| {
                vec![("SMTP_CERTIFICATE_FILE", certificate.as_str()), ("SMTP_KEY_FILE", key.as_str())]
            });
            refused(&world, start(&world, &front, encryption, &files).await, &told(alert)).await;
        }
    }
}
