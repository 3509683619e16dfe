//! Mail servers of providers: encrypted, with a login, with limits.

use crate::{
    front::{Certificate, Front, LOGIN, Mode},
    world::{IMPATIENT, World, address, created, created_to, created_until},
};
use contract::{event::Event, topic::Topic};
use jiff::{SignedDuration, Timestamp};
use sandbox::smtp::{Action, Script, Stage};
use std::time::{Duration, Instant};

/// Mails one event over this front, with this configuration.
async fn mailed(mode: Mode, certificate: Certificate, encryption: &str, mechanisms: &'static str) {
    let world = World::new(1).await;
    let front = Front::start(world.smtp.address(), mode, certificate, mechanisms).await;
    let (port, ca) = (front.port.to_string(), front.ca_file());
    let mut changes = vec![("SMTP_HOST", "localhost"), ("SMTP_PORT", &port), ("SMTP_ENCRYPTION", encryption)];
    changes.push(("SMTP_CA_FILE", &ca));
    if !mechanisms.is_empty() {
        changes.extend([("SMTP_USERNAME", LOGIN.0), ("SMTP_PASSWORD", LOGIN.1)]);
    }
    let service = world.start(&changes).await;
    world.publish(&[created(1), created(2)]).await;
    world.wait_for_committed(Topic::Created, 2).await;
    assert_eq!(world.wait_for_mails(2).await.len(), 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_over_tls_from_the_first_byte_with_a_plain_login() {
    mailed(Mode::AtOnce, Certificate::Good, "tls", "PLAIN").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_over_starttls_with_the_older_login() {
    mailed(Mode::AfterStartTls, Certificate::Good, "starttls", "LOGIN").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_over_starttls_without_a_login() {
    mailed(Mode::AfterStartTls, Certificate::Good, "starttls", "").await;
}

/// Asserts that nothing is mailed, nothing is lost, and the health answer has the reason.
async fn refused(mode: Mode, certificate: Certificate, changes: &[(&str, &str)], reason: &str) {
    let world = World::new(1).await;
    let front = Front::start(world.smtp.address(), mode, certificate, "PLAIN").await;
    let (port, ca) = (front.port.to_string(), front.ca_file());
    let mut all = vec![("SMTP_HOST", "localhost"), ("SMTP_PORT", &port), ("SMTP_CA_FILE", &ca)];
    all.extend(changes);
    let service = world.start(&all).await;
    world.publish(&[created(1)]).await;
    let health = service.wait_until(|body| body["gate"]["open"] == false).await;
    let told = health["gate"]["closed_by"].as_str().unwrap();
    assert!(told.contains(reason), "{told}");
    service.stop().await;
    assert_eq!((world.smtp.count(), world.committed(Topic::Created).await), (0, 0));
    assert!(world.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused() {
    for (mode, encryption) in [(Mode::AtOnce, "tls"), (Mode::AfterStartTls, "starttls")] {
        refused(mode, Certificate::OtherName, &[("SMTP_ENCRYPTION", encryption)], "not valid for name").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_refused() {
    for (mode, encryption) in [(Mode::AtOnce, "tls"), (Mode::AfterStartTls, "starttls")] {
        refused(mode, Certificate::Expired, &[("SMTP_ENCRYPTION", encryption)], "expired").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_own_certificate_is_accepted_where_it_is_named() {
    mailed(Mode::AtOnce, Certificate::Own, "tls", "").await;
    mailed(Mode::AfterStartTls, Certificate::Own, "starttls", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_own_certificate_has_to_be_the_one_valid_and_of_that_name() {
    let tls = [("SMTP_ENCRYPTION", "tls")];
    refused(Mode::AtOnce, Certificate::OwnOfOtherName, &tls, "not valid for name").await;
    refused(Mode::AtOnce, Certificate::OwnExpired, &tls, "expired").await;

    let nobody = "127.0.0.1:1".parse().unwrap();
    let other = Front::start(nobody, Mode::AtOnce, Certificate::Own, "").await;
    refused(
        Mode::AtOnce,
        Certificate::Own,
        &[tls[0], ("SMTP_CA_FILE", &other.ca_file())],
        "CaUsedAsEndEntity",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_of_a_port_for_another_encryption_names_the_setting() {
    for encryption in ["none", "starttls"] {
        // Both sides wait for the other one's first octet.
        let settings = [&IMPATIENT[..], &[("SMTP_ENCRYPTION", encryption)]].concat();
        refused(Mode::AtOnce, Certificate::Good, &settings, "set SMTP_ENCRYPTION=tls").await;
    }
    for mode in [Mode::Never, Mode::AfterStartTls] {
        let settings = [("SMTP_ENCRYPTION", "tls")];
        refused(mode, Certificate::Good, &settings, "may want SMTP_ENCRYPTION=starttls").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_starttls_or_with_another_password_is_not_used() {
    refused(Mode::Never, Certificate::Good, &[("SMTP_ENCRYPTION", "starttls")], "does not offer STARTTLS")
        .await;
    let login = [("SMTP_ENCRYPTION", "tls"), ("SMTP_USERNAME", "mailer"), ("SMTP_PASSWORD", "wrong")];
    refused(Mode::AtOnce, Certificate::Good, &login, "login: reply 535").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_utf_8_is_mailed_where_the_server_can_and_a_dead_letter_where_not() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    let addresses = ["jörg@example.com", "संपर्क@डाटामेल.भारत", "ผู้ใช้@example.com", "বিড\u{9bc}াল@example.org"];
    for (number, address) in (10..).zip(addresses) {
        world.publish(&[created_to(number, address)]).await;
    }
    let mails = world.wait_for_mails(addresses.len()).await;
    for address in [
        "jörg@example.com",
        "संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c",
        "ผู้ใช้@example.com",
        "বিড\u{9bc}াল@example.org",
    ] {
        let mail = mails.iter().find(|mail| mail.recipients == [address]).expect(address);
        assert!(String::from_utf8_lossy(&mail.data).contains(&format!("\r\nTo: {address}\r\n")), "{address}");
    }
    assert!(world.dead_letters().await.is_empty());
    service.stop().await;

    // The front offers no SMTPUTF8.
    let front = Front::start(world.smtp.address(), Mode::Never, Certificate::Good, "").await;
    let service = world.start(&[("SMTP_PORT", &front.port.to_string())]).await;
    let mut soon_over = created_until(2, Timestamp::now() + SignedDuration::from_secs(4));
    if let Event::Registered(_, registered) = &mut soon_over {
        registered.email = "zoë@example.com".to_owned().try_into().unwrap();
    }
    world.publish(&[soon_over, created(3)]).await;
    world.wait_for_committed(Topic::Created, 6).await;
    assert_eq!(world.wait_for_mails(5).await[4].recipients, [address(3)]);
    let letters = world.wait_for_dead_letters(1).await;
    assert_eq!(letters[0].headers["dead_letter_reason"], "smtputf8_missing");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_without_smtputf8_gives_up_no_mail() {
    let world = World::new(1).await;
    // EHLO is refused once. HELO follows, without any extensions.
    world.smtp.set_script(Script::first(1, Stage::Ehlo, Action::reply(502, "5.5.1 not now")));
    let service = world.start(&[("SMTP_CONNECTIONS", "1")]).await;
    world.publish(&[created_to(1, "zoë@example.com")]).await;
    assert_eq!(world.wait_for_mails(1).await.len(), 1);
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_that_a_provider_allows_is_kept() {
    let world = World::new(2).await;
    world.publish(&(0..21).map(created).collect::<Vec<_>>()).await;
    let service = world.start(&[("SMTP_MAX_RATE", "20")]).await;
    world.wait_for_mails(1).await;
    let first = Instant::now();
    world.wait_for_mails(21).await;
    let took = first.elapsed();
    assert!(took > Duration::from_millis(900), "21 mails at 20 a second took {took:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_allows_fewer_sessions_than_are_configured_still_gets_all_mail() {
    let world = World::new(2).await;
    let open = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&open);
    world.smtp.set_script(Script::new(move |step| {
        let third = counted.fetch_max(step.session, std::sync::atomic::Ordering::SeqCst) >= 3;
        if step.stage == Stage::Connect && third && step.session % 2 == 0 {
            Action::reply(421, "too many sessions")
        } else {
            Action::Accept
        }
    }));
    let service = world.start(&[("SMTP_CONNECTIONS", "8")]).await;
    world.publish(&(0..100).map(created).collect::<Vec<_>>()).await;
    world.wait_for_mails(100).await;
    world.wait_for_committed(Topic::Created, 100).await;
    service.stop().await;
    assert!(world.dead_letters().await.is_empty());
}
