//! Secrets that change while mails go out: no restart, nothing lost, and a gate that is closed only while the server refuses.

use crate::{
    front::{Certificate, ClientAuthority, Front, LOGIN, Mode},
    world::{DEADLINE, Service, World, created},
};
use contract::{
    code_secrets::KeyId,
    event::{Event, Mailing, Registered},
    topic::Topic,
};
use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

/// A service that mails over a front while a test publishes.
struct Load {
    world: World,
    front: Front,
    published: AtomicU8,
}

impl Load {
    async fn new(mechanisms: &'static str) -> Self {
        let world = World::new(2).await;
        let front = Front::start(world.smtp.address(), Mode::AtOnce, Certificate::Good, mechanisms).await;
        Self { world, front, published: AtomicU8::new(0) }
    }

    async fn start(&self, changes: &[(&str, &str)]) -> Service {
        let (port, ca) = (self.front.port.to_string(), self.front.ca_file());
        let place = [
            ("SMTP_HOST", "localhost"),
            ("SMTP_PORT", &port),
            ("SMTP_ENCRYPTION", "tls"),
            ("SMTP_CA_FILE", &ca),
            ("SMTP_CONNECTIONS", "4"),
        ];
        self.world.start(&[&place, changes].concat()).await
    }

    /// Publishes some more events, and does not wait for their mails.
    async fn publish(&self, events: u8) {
        let from = self.published.fetch_add(events, Ordering::SeqCst);
        self.world.publish(&(from..from + events).map(created).collect::<Vec<_>>()).await;
    }

    /// Publishes some more events, and waits until all so far are mailed.
    async fn mail(&self, events: u8) {
        self.publish(events).await;
        self.world.wait_for_mails(self.published.load(Ordering::SeqCst).into()).await;
    }

    /// As [`Load::mail`], and asserts that the gate stays open.
    async fn mail_without_a_pause(&self, service: &Service, events: u8) {
        let watching = async {
            loop {
                let health = service.ready().await;
                assert_eq!(health["gate"]["open"], true, "{health}");
            }
        };
        tokio::select! {
            () = self.mail(events) => {}
            () = watching => {}
        }
    }

    /// Asserts that everything was mailed once and committed.
    async fn ends(self, service: Service) {
        let published = self.published.load(Ordering::SeqCst);
        self.world.wait_for_committed(Topic::Created, published.into()).await;
        service.stop().await;
        assert_eq!(self.world.wait_for_mails(published.into()).await.len(), usize::from(published));
        assert!(self.world.dead_letters().await.is_empty());
        assert_eq!(self.world.committed(Topic::MailRetry).await, 0);
    }
}

const SECRETS: [(&str, &str); 2] = [("PLAIN", "SMTP_PASSWORD_FILE"), ("XOAUTH2", "SMTP_TOKEN_FILE")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_changes_before_the_old_one_expires_is_never_refused() {
    for (mechanism, variable) in SECRETS {
        let load = Load::new(mechanism).await;
        load.front.accept(&["old"]);
        let file = load.front.write("secret", "old\n");
        let service = load.start(&[("SMTP_USERNAME", LOGIN.0), (variable, &file)]).await;
        load.mail(20).await;
        load.front.accept(&["old", "new"]);
        load.front.write("secret", "new\n");
        load.mail_without_a_pause(&service, 20).await;
        // The open sessions have logged in with the old one, and are told so at their next mail.
        load.front.accept(&["new"]);
        load.mail_without_a_pause(&service, 20).await;
        let (refused_logins, expired_sessions) = load.front.refusals();
        assert_eq!(refused_logins, 0, "{mechanism}: a fresh session logs in with the new one");
        assert!(expired_sessions > 0, "{mechanism}: a session was open");
        load.ends(service).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_changes_during_a_login_is_tried_before_the_gate_closes() {
    for (mechanism, variable) in SECRETS {
        let load = Load::new(mechanism).await;
        load.front.accept(&["new"]);
        let file = load.front.write("secret", "old");
        // The front has the old one, and refuses it after the file has changed.
        let path = std::path::PathBuf::from(&file);
        load.front.before_a_refusal(move || std::fs::write(&path, "new").unwrap());
        let login = [("SMTP_USERNAME", LOGIN.0), (variable, &file), ("SMTP_CONNECTIONS", "1")];
        let service = load.start(&login).await;
        load.mail_without_a_pause(&service, 5).await;
        assert_eq!(load.front.refusals(), (1, 0), "{mechanism}");
        load.ends(service).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_is_closed_while_the_old_secret_is_refused_and_no_longer() {
    for (mechanism, variable) in SECRETS {
        let load = Load::new(mechanism).await;
        load.front.accept(&["old"]);
        let file = load.front.write("secret", "old");
        let service = load.start(&[("SMTP_USERNAME", LOGIN.0), (variable, &file)]).await;
        load.mail(20).await;
        load.front.accept(&["new"]);
        load.publish(20).await;
        let health = service.wait_until(|body| body["gate"]["open"] == false).await;
        assert!(health["gate"]["closed_by"].as_str().unwrap().starts_with("login: reply 535"), "{health}");
        assert_eq!(load.world.smtp.count(), 20);
        // A file that is away or empty changes nothing, and neither does one that is refused as well.
        load.front.write("secret", "");
        load.front.write("secret", "wrong");
        load.front.write("secret", "new");
        let changed = Instant::now();
        load.world.wait_for_mails(40).await;
        let took = changed.elapsed();
        assert!(
            took < Duration::from_secs(6),
            "{mechanism}: the next probe is 5 s away at most, and it took {took:?}"
        );
        service.wait_until(|body| body["gate"]["open"] == true).await;
        load.ends(service).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_empty_or_away_for_a_while_closes_no_gate() {
    let load = Load::new("PLAIN").await;
    let file = load.front.write("secret", LOGIN.1);
    let service = load
        .start(&[("SMTP_USERNAME", LOGIN.0), ("SMTP_PASSWORD_FILE", &file), ("SMTP_CONNECTIONS", "1")])
        .await;
    load.mail(1).await;
    for content in ["", "\n", "two\nlines"] {
        load.front.write("secret", content);
        // The idle session ends, so the next mail needs a new login.
        load.world.smtp.restart().await.unwrap();
        load.mail(1).await;
        assert!(service.metrics().await.contains("notification_secret_files_in_use 0\n"), "{content:?}");
    }
    std::fs::remove_file(&file).unwrap();
    load.world.smtp.restart().await.unwrap();
    load.mail(1).await;
    load.front.write("secret", LOGIN.1);
    load.world.smtp.restart().await.unwrap();
    load.mail(1).await;
    assert!(service.metrics().await.contains("notification_secret_files_in_use 1\n"));
    assert_eq!(load.front.refusals().0, 0);
    load.ends(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_shown_in_the_next_handshake() {
    let load = Load::new("").await;
    let (old, new) = (ClientAuthority::new("old"), ClientAuthority::new("new"));
    let write = |(certificate, key): (String, String)| {
        // Not at one moment: between the two writes the key does not fit.
        (load.front.write("cert", &certificate), load.front.write("key", &key))
    };
    load.front.demand(&old);
    let (certificate, key) = write(old.issue(false));
    let service = load
        .start(&[("SMTP_CERTIFICATE_FILE", &certificate), ("SMTP_KEY_FILE", &key), ("SMTP_CONNECTIONS", "1")])
        .await;
    load.mail(5).await;
    load.front.demand(&new);
    load.world.smtp.restart().await.unwrap();
    load.publish(5).await;
    let health = service.wait_until(|body| body["gate"]["open"] == false).await;
    assert!(health["gate"]["closed_by"].as_str().unwrap().contains("alert UnknownCA"), "{health}");
    write(new.issue(false));
    load.world.wait_for_mails(10).await;
    load.ends(service).await;
}

/// An event whose code is made with this key.
fn created_with(number: u8, key: &str) -> Event {
    let Event::Registered(_, registered) = created(number) else { panic!("a registration") };
    Event::Registered(Mailing::FirstCode, Registered { key: KeyId::parse(key).unwrap(), ..registered })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_codes_are_taken_over_and_a_broken_file_keeps_the_old_ones() {
    const OLD: &str = "k1:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=";
    const NEW: &str = "k2:WllYV1ZVVFNSUVBPTk1MS0pJSEdGRURDQkE5ODc2NTQ=";
    let load = Load::new("").await;
    let file = load.front.write("keys", &format!("{OLD}\n"));
    let service = load.start(&[("CODE_SECRETS", ""), ("CODE_SECRETS_FILE", &file)]).await;
    let shown = async |line: &str| {
        let started = Instant::now();
        while !service.metrics().await.lines().any(|shown| shown == line) {
            assert!(started.elapsed() < DEADLINE, "{line}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    load.mail(2).await;
    for broken in ["", "k2:c2hvcnQ=", "k2:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        load.front.write("keys", broken);
        shown("notification_secret_files_in_use 0").await;
        load.mail(2).await;
        load.front.write("keys", OLD);
        shown("notification_secret_files_in_use 1").await;
    }
    load.front.write("keys", &format!("{NEW}, {OLD}\r\n"));
    shown("notification_code_key_place{key=\"k2\"} 1").await;
    shown("notification_code_key_place{key=\"k1\"} 2").await;
    load.world.publish(&[created_with(100, "k2"), created_with(101, "k1")]).await;
    load.published.fetch_add(2, Ordering::SeqCst);
    load.mail(0).await;
    load.ends(service).await;
}
