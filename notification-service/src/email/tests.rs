//! Every email in every language, as it was looked at and approved, and what must hold for any name and address.
//!
//! After a wanted change of a text: `UPDATE_SNAPSHOTS=1 cargo test -p notification-service email`, then look at them.

use super::*;
use proptest::prelude::*;
use shared::{
    account_id::AccountId,
    code_secrets::KeyId,
    event::{AccountExists, EventId, EventKind, Verified},
    locale::Locale,
    request_id::RequestId,
};
use std::{fs, path::PathBuf};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn letterhead() -> Letterhead {
    Letterhead {
        from: "Example <no-reply@example.com>".parse().unwrap(),
        public_url: "https://signup.example.com".to_owned(),
        secrets: CodeSecrets::parse("k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap(),
    }
}

fn issued(name: &str, email: &str, locale: &str) -> CodeIssued {
    let id = AccountId::from_derived([1; 16]);
    CodeIssued {
        event_id: EventId::derive(EventKind::Created, id, 493_882, 0, 1),
        occurred_at: at("2026-11-21T10:00:00Z"),
        version: 1,
        id,
        first_name: name.to_owned().try_into().unwrap(),
        last_name: "Lovelace".to_owned().try_into().unwrap(),
        email: email.to_owned().try_into().unwrap(),
        locale: Locale::parse(locale).unwrap(),
        window: 493_882,
        window_started_at: at("2026-11-21T10:00:00Z"),
        generation: 0,
        send: 1,
        expires_at: at("2026-11-21T10:15:00Z"),
        key: KeyId::parse("k1").unwrap(),
        request_id: RequestId::parse("request-1").unwrap(),
    }
}

fn verify_account(name: &str, locale: &str) -> Event {
    Event::Created(issued(name, "ada@example.com", locale))
}

fn account_verified(name: &str, locale: &str) -> Event {
    let CodeIssued {
        event_id,
        occurred_at,
        version,
        id,
        first_name,
        last_name,
        email,
        locale,
        request_id,
        ..
    } = issued(name, "ada@example.com", locale);
    Event::Verified(Verified {
        event_id,
        occurred_at,
        version,
        id,
        first_name,
        last_name,
        email,
        locale,
        request_id,
    })
}

fn account_exists(name: &str, locale: &str) -> Event {
    let issued = issued(name, "ada@example.com", locale);
    Event::AccountExists(AccountExists {
        event_id: issued.event_id,
        occurred_at: issued.occurred_at,
        version: 1,
        id: issued.id,
        first_name: issued.first_name,
        last_name: issued.last_name,
        email: issued.email,
        locale: issued.locale,
        window: issued.window,
        window_started_at: issued.window_started_at,
        request_id: issued.request_id,
    })
}

fn written(event: &Event) -> String {
    write(event, &letterhead(), at("2026-11-21T10:00:01Z")).unwrap().text
}

fn assert_snapshot(name: &str, event: &Event) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/email/snapshots/{name}.eml"));
    let text = written(event);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let approved = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(text.replace("\r\n", "\n"), approved.replace("\r\n", "\n"), "{name}");
}

#[test]
fn every_email_in_every_language_is_as_it_was_approved() {
    for locale in ["en", "de"] {
        assert_snapshot(&format!("verify_account.{locale}"), &verify_account("Ada", locale));
        assert_snapshot(&format!("account_verified.{locale}"), &account_verified("Ada", locale));
        assert_snapshot(&format!("account_exists.{locale}"), &account_exists("Ada", locale));
    }
}

#[test]
fn hostile_and_unusual_names_stay_text() {
    // What would break headers, HTML or the direction of the text is no name at all.
    for name in [
        "Ada\r\nBcc: eve@example.com",
        "<script>alert(1)</script>",
        "\u{202e}adA",
        "Ada 🎉",
        "a.example.com",
        "&amp;",
    ] {
        assert!(shared::person_name::PersonName::parse(name).is_err(), "{name:?}");
    }
    for (name, file) in
        [("Seán O'Brien", "apostrophe"), ("مريم", "right_to_left"), ("Zoë Ångström-Łódź", "accents")]
    {
        assert_snapshot(&format!("verify_account.{file}"), &verify_account(name, "en"));
    }
    assert!(written(&verify_account("O'Brien", "en")).contains("O&#39;Brien"), "escaped in HTML");
}

#[test]
fn the_code_stands_alone_in_the_first_line_and_never_in_a_header() {
    let email = written(&verify_account("Ada", "en"));
    let (headers, body) = email.split_once("\r\n\r\n").unwrap();
    let code = "272045";
    assert!(!headers.contains(code));
    let text = body.split_once("\r\n\r\n").unwrap().1;
    assert!(text.starts_with(&format!("{code}\r\n")), "{text}");
    for header in [
        "Subject: Verify Account",
        "Message-ID: <0",
        "Auto-Submitted: auto-generated",
        "X-Request-Id: request-1",
        "To: ada@example.com",
    ] {
        let found = headers.lines().any(|line| line.starts_with(header.trim_end_matches('0')));
        assert!(found, "{header}: {headers}");
    }
}

#[test]
fn copies_differ_in_their_date_and_remaining_minutes_alone() {
    let event = verify_account("Ada", "en");
    let later = write(&event, &letterhead(), at("2026-11-21T10:14:30Z")).unwrap().text;
    assert!(later.contains("it works for 1 more minute."), "{later}");
    let same = |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    for name in ["Message-ID", "Content-Type", "272045"] {
        assert_eq!(same(&later, name), same(&written(&event), name));
    }
}

#[test]
fn remaining_minutes_are_the_nearest_and_never_none() {
    let expires_at = at("2026-11-21T10:15:00Z");
    let left = |now| minutes_left(expires_at, at(now));
    assert_eq!(left("2026-11-21T10:00:05Z"), 15, "a fresh code");
    assert_eq!(left("2026-11-21T10:00:45Z"), 14);
    assert_eq!(left("2026-11-21T10:14:45Z"), 1);
}

#[test]
fn an_unknown_language_gets_english_and_a_dialect_its_language() {
    assert!(written(&verify_account("Ada", "fr")).contains("This is your code"));
    assert!(written(&verify_account("Ada", "de-AT")).contains("das ist Ihr Code"));
}

#[test]
fn an_unknown_key_is_told_apart() {
    let mut issued = issued("Ada", "ada@example.com", "en");
    issued.key = KeyId::parse("k2").unwrap();
    let error = write(&Event::Created(issued), &letterhead(), at("2026-11-21T10:00:01Z")).err();
    assert_eq!(error, Some(UnwritableError::UnknownKey));
}

#[test]
fn only_the_first_notice_of_a_window_is_mailed_and_only_for_a_day() {
    let Event::AccountExists(mut notice) = account_exists("Ada", "en") else { panic!() };
    assert_eq!(deadline(&Event::AccountExists(notice.clone())), Some(at("2026-11-22T10:00:00Z")));
    notice.window_started_at = at("2026-11-21T09:59:00Z");
    assert_eq!(deadline(&Event::AccountExists(notice)), None);
    assert_eq!(deadline(&verify_account("Ada", "en")), Some(at("2026-11-21T10:15:00Z")));
    assert_eq!(deadline(&account_verified("Ada", "en")), Some(at("2026-11-22T10:00:00Z")));
}

/// The unfolded `To:` of this registration's mail.
fn to_header(name: &str, address: &str) -> String {
    let email = written(&Event::Created(issued(name, address, "en")));
    let headers = email.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", " ");
    headers.lines().find_map(|line| line.strip_prefix("To: ")).unwrap().to_owned()
}

#[test]
fn addresses_in_all_scripts_are_written_as_they_are_kept() {
    for (typed, kept) in [
        ("ada@example.com", "ada@example.com"),
        ("संपर्क@डाटामेल.भारत", "संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c"),
        ("ผู้ใช้@example.com", "ผู้ใช้@example.com"),
        ("বিড\u{9bc}াল@example.org", "বিড\u{9bc}াল@example.org"),
        ("Nguye\u{302}\u{303}n@example.com", "Nguyễn@example.com"),
        ("jo\u{308}rg@example.com", "jörg@example.com"),
        ("علی\u{200c}رضا@example.com", "علی\u{200c}رضا@example.com"),
        ("o'brien+!#$%&*/=?^_`{|}~@example.com", "o'brien+!#$%&*/=?^_`{|}~@example.com"),
        (&format!("{0}@{1}.{1}.{1}.com", "a".repeat(64), "b".repeat(60)), ""),
    ] {
        let kept = if kept.is_empty() { typed } else { kept };
        assert_eq!(to_header("Ada", typed), kept);
    }
}

proptest! {
    #[test]
    fn what_is_accepted_is_mailed_to_the_address_that_was_accepted(
        name in "[\\pL\\pM .'-]{1,20}|\\PC{1,20}",
        local in "[\\pL\\pM\\p{Nd}]{1,8}|[!-~&&[^@\"]]{1,64}|\\PC{1,20}",
        domain in "[a-z]{1,60}\\.[a-z]{2,20}|[\\pL\\pM]{1,9}\\.भारत",
    ) {
        let accepted: Result<EmailAddress, _> = format!("{local}@{domain}").try_into();
        let Ok(address) = accepted else { return Ok(()) };
        let name = if shared::person_name::PersonName::parse(&name).is_ok() { name } else { "Ada".to_owned() };
        let to = to_header(&name, address.as_str());
        prop_assert_eq!(EmailAddress::try_from(to).unwrap(), address.clone());
        let email = write(&Event::Created(issued(&name, address.as_str(), "en")), &letterhead(), at("2026-11-21T10:00:01Z"));
        let envelope: Address = email.unwrap().to;
        prop_assert_eq!(envelope.to_string(), address.as_str());
    }

    #[test]
    fn no_octets_panic_on_their_way_into_an_email(
        name in prop::collection::vec(any::<u8>(), 0..40),
        address in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let texts = [name, address].map(|octets| String::from_utf8_lossy(&octets).into_owned());
        let [name, address] = texts.map(|text| text.replace('\u{fffd}', "é"));
        let mut issued = issued("Ada", "ada@example.com", "en");
        issued.first_name = name.try_into().unwrap_or(issued.first_name);
        issued.email = format!("{address}@example.com").try_into().unwrap_or(issued.email);
        prop_assert!(write(&Event::Created(issued), &letterhead(), at("2026-11-21T10:00:01Z")).is_ok());
    }

    #[test]
    fn no_name_or_address_adds_a_header_or_a_bare_line_end(name in "\\PC{1,40}", local in "\\PC{1,20}") {
        let (name, email) = (name, format!("{local}@example.com"));
        let Ok(first_name) = name.try_into() else { return Ok(()) };
        let mut issued = issued("Ada", "ada@example.com", "en");
        issued.first_name = first_name;
        if let Ok(email) = email.try_into() {
            issued.email = email;
        }
        let email = write(&Event::Created(issued), &letterhead(), at("2026-11-21T10:00:01Z")).unwrap();
        let to: &str = email.to.as_ref();
        prop_assert!(!to.contains(['\r', '\n', '<', '>', ' ']));
        let text = email.text;
        prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        let headers = text.split_once("\r\n\r\n").unwrap().0;
        let names: Vec<_> = headers
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split_once(':').unwrap().0)
            .collect();
        prop_assert_eq!(names, [
            "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Request-Id", "MIME-Version",
            "Content-Type",
        ]);
    }
}
