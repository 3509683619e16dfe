//! Every email in every language against approved snapshots, and properties for any name and address.
//!
//! After an intended change of a text: `UPDATE_SNAPSHOTS=1 cargo test -p notification-service email`, then review the
//! snapshots.

use super::*;
use contract::{
    account_id::AccountId,
    code_secrets::{CodeSecrets, KeyId},
    event::{EventId, Place, Verified},
    locale::Locale,
    person::Person,
    person_name::PersonName,
    request_id::RequestId,
    trace_context::TraceContext,
};
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex},
};
use texts::{Faults, Folder, Settings, Texts};

const URL: &str = "https://signup.example.com";

const REGISTRATION: &str = "8f14e45f-ceea-467f-9c7e-1a2b3c4d5e6f";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Mails that are made of these files, for an installation at this address.
fn mails(root: Option<&Path>, public_url: &str, mail_has_link: bool) -> Result<Mails, Vec<String>> {
    let (folder, mut faults) = (root.map(Folder::read).unwrap_or_default(), Faults::default());
    let texts = Texts::read(&folder, Settings { mail_has_link }, &mut faults);
    let mails = Mails::build(&texts, &folder, public_url, &mut faults);
    faults.finish().map(|_| mails).map_err(|faulty| faulty.faults().iter().map(ToString::to_string).collect())
}

fn letterhead() -> Letterhead {
    static MAILS: LazyLock<Arc<Kept<Mails>>> = LazyLock::new(|| Mails::built_in(URL));
    Letterhead {
        sender: "Example <no-reply@example.com>".parse::<lettre::message::Mailbox>().unwrap().into(),
        public_url: URL.to_owned(),
        secrets: CodeSecrets::parse("k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap().into(),
        mails: Arc::clone(&MAILS),
    }
}

fn kept(mails: Mails) -> Arc<Kept<Mails>> {
    let taken = Mutex::new(Some(mails));
    Arc::new(Kept::load(None, move |_, _| taken.lock().unwrap().take().unwrap()).unwrap().0)
}

fn registered(name: &str, email: &str, locale: &str) -> Registered {
    let (id, registration) = (AccountId::from_derived([1; 16]), REGISTRATION.parse().unwrap());
    let person = Person {
        first_name: name.to_owned().try_into().unwrap(),
        last_name: "Lovelace".to_owned().try_into().unwrap(),
        email: email.to_owned().try_into().unwrap(),
        locale: Locale::parse(locale).unwrap(),
    };
    let key = KeyId::parse("k1").unwrap();
    let place = Place { window: 493_882, send: 1, expires_at: at("2026-11-21T11:15:00Z"), key };
    let (request_id, made_at) = (RequestId::parse("request-1").unwrap(), at("2026-11-21T10:00:00Z"));
    Registered::new(Mailing::FirstCode, id, registration, person, place, request_id, made_at)
}

fn first_code(registered: Registered) -> Event {
    Event::Registered(Mailing::FirstCode, registered)
}

fn verify_account(name: &str, locale: &str) -> Event {
    first_code(registered(name, "ada@example.com", locale))
}

fn account_exists(name: &str, locale: &str) -> Event {
    Event::Registered(Mailing::Notice, registered(name, "ada@example.com", locale))
}

fn account_verified(name: &str, locale: &str) -> Event {
    let registered = registered(name, "ada@example.com", locale);
    let person = registered.person();
    let Registered { id, registration, request_id, occurred_at, .. } = registered;
    Event::Verified(Verified::new(id, registration, person, request_id, occurred_at))
}

/// The trace of the snapshots.
fn trace() -> TraceId {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    TraceContext::parse([parent.as_bytes()], []).unwrap().trace_id()
}

fn written(event: &Event) -> String {
    write(event, Some(trace()), &letterhead(), at("2026-11-21T10:00:01Z")).unwrap().text
}

/// Subject and the two forms of the body.
fn said(event: &Event) -> String {
    let (_, Parts { subject, text, html }) = parts(event, &letterhead(), at("2026-11-21T10:00:01Z")).unwrap();
    format!("{subject}\n\n{text}\n\n{html}")
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
    for locale in &languages() {
        assert_snapshot(&format!("verify_account.{locale}"), &verify_account("Ada", locale));
        assert_snapshot(&format!("account_verified.{locale}"), &account_verified("Ada", locale));
        assert_snapshot(&format!("account_exists.{locale}"), &account_exists("Ada", locale));
    }
}

#[test]
fn hostile_and_unusual_names_stay_text() {
    // The type rejects names that would break headers, HTML or the direction of the text.
    for name in [
        "Ada\r\nBcc: eve@example.com",
        "<script>alert(1)</script>",
        "\u{202e}adA",
        "Ada 🎉",
        "a.example.com",
        "&amp;",
    ] {
        assert!(contract::person_name::PersonName::parse(name).is_err(), "{name:?}");
    }
    for (name, file) in [
        ("O'Brien", "apostrophe"),
        ("مريم", "right_to_left"),
        ("Zoë-Łucja", "accents"),
        ("Visit now", "no_name"),
    ] {
        assert_snapshot(&format!("verify_account.{file}"), &verify_account(name, "en"));
    }
    assert!(said(&verify_account("O'Brien", "en")).contains("O&#39;Brien"), "escaped in HTML");
}

#[test]
fn the_code_stands_alone_in_the_first_line_of_its_part_and_nowhere_else_but_in_the_html() {
    let email = written(&verify_account("Ada", "en"));
    let (headers, body) = email.split_once("\r\n\r\n").unwrap();
    let code = "272045";
    assert!(!headers.contains(code));
    let text = body.split_once("\r\n\r\n").unwrap().1;
    assert!(text.starts_with(&format!("{code}\r\n")), "{text}");
    assert!(text.trim_end().contains("\r\n\r\n@signup.example.com #272045\r\n--part-"), "{text}");
    let said = said(&verify_account("Ada", "en")).replace("@signup.example.com #272045", "");
    assert_eq!(said.matches(code).count(), 2, "once in each form");
    for header in [
        "Subject: Verify Account",
        "Message-ID: <2fdb928a-9246-8503-beba-9c97a5ca85fe@example.com>",
        "Auto-Submitted: auto-generated",
        "X-Request-Id: request-1",
        "To: ada@example.com",
    ] {
        assert!(headers.lines().any(|line| line == header), "{header}: {headers}");
    }
}

#[test]
fn duplicates_differ_in_their_date_and_remaining_minutes_alone() {
    let event = verify_account("Ada", "en");
    let then = at("2026-11-21T11:13:30Z");
    let (first, later) = (written(&event), write(&event, Some(trace()), &letterhead(), then).unwrap().text);
    let same = |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    for name in ["Message-ID", "Content-Type", "272045"] {
        assert_eq!(same(&later, name), same(&first, name));
    }
    let later = parts(&event, &letterhead(), then).unwrap().1.text;
    assert!(later.contains("It works for 1 more minute."), "{later}");
    assert!(said(&event).contains(&later.replace("1 more minute", "74 more minutes")));
}

#[test]
fn records_of_one_place_by_two_replicas_are_one_mail_but_for_the_link() {
    const OTHER: &str = "11111111-1111-4111-9111-111111111111";
    let other = Registered {
        event_id: EventId::of_registration(Mailing::FirstCode.kind(), OTHER.parse().unwrap()),
        registration: OTHER.parse().unwrap(),
        ..registered("Ada", "ada@example.com", "en")
    };
    let [one, other] = [verify_account("Ada", "en"), first_code(other)];
    let replaced = |text: String| text.replace(REGISTRATION, OTHER);
    assert_eq!(replaced(said(&one)), said(&other));
    let headers = |event| written(event).split_once("\r\n\r\n").unwrap().0.to_owned();
    assert_eq!(headers(&one), headers(&other));
}

#[test]
fn remaining_minutes_are_whole_ones_rounded_down() {
    let expires_at = at("2026-11-21T11:15:00Z");
    let left = |now| minutes_left(expires_at, at(now));
    assert_eq!(left("2026-11-21T10:00:00Z"), 75);
    assert_eq!(left("2026-11-21T10:00:00.001Z"), 74);
    assert_eq!(left("2026-11-21T11:13:00.001Z"), 1);
    assert_eq!(left("2026-11-21T11:14:00Z"), 1);
}

#[test]
fn a_code_with_less_than_a_minute_left_and_a_notice_older_than_a_day_are_expired() {
    for (event, last) in [
        (verify_account("Ada", "en"), "2026-11-21T11:14:00Z"),
        (
            Event::Registered(Mailing::FurtherCode, registered("Ada", "ada@example.com", "en")),
            "2026-11-21T11:14:00Z",
        ),
        (account_exists("Ada", "en"), "2026-11-22T10:00:00Z"),
        (account_verified("Ada", "en"), "2026-11-22T10:00:00Z"),
    ] {
        assert_eq!(deadline(&event), Some(at(last)));
        assert!(!is_expired(&event, at(last)));
        assert!(is_expired(&event, at(last) + SignedDuration::from_nanos(1)));
    }
    let silent = Event::Registered(Mailing::Nothing, registered("Ada", "ada@example.com", "en"));
    assert_eq!(deadline(&silent), None);
    assert!(write(&silent, None, &letterhead(), at("2026-11-21T10:00:01Z")).is_err());
}

#[test]
fn an_unknown_language_gets_english_and_a_dialect_its_language() {
    assert!(said(&verify_account("Ada", "sv")).contains("Somebody, perhaps you"));
    assert!(said(&verify_account("Ada", "de-AT")).contains("Guten Tag Ada,"));
    assert!(said(&verify_account("Ada", "pt-PT")).starts_with(&said(&verify_account("Ada", "pt-BR"))[..20]));
}

#[test]
fn an_unknown_key_has_an_error_of_its_own() {
    let mut registered = registered("Ada", "ada@example.com", "en");
    registered.key = KeyId::parse("k2").unwrap();
    let error = write(&first_code(registered), None, &letterhead(), at("2026-11-21T10:00:01Z")).err();
    assert_eq!(error, Some(UnwritableError::UnknownKey));
}

#[test]
fn what_a_registrant_wrote_stands_in_no_mail_but_a_first_name_of_one_word() {
    let relayed = ["Visit evil example now", "buy-now-cheap", "免费领取请访问网址", "Ada Аnna"];
    for locale in &languages() {
        for name in relayed {
            let mut registered = registered(name, "ada@example.com", locale);
            registered.last_name = "Claim your prize".to_owned().try_into().unwrap();
            let verified = account_verified(name, locale);
            for (mail, harmless) in [
                (first_code(registered.clone()), verify_account("J.", locale)),
                (Event::Registered(Mailing::Notice, registered), account_exists("Ada", locale)),
                (verified, account_verified("J.", locale)),
            ] {
                assert_eq!(written(&mail), written(&harmless), "{name}");
            }
        }
    }
    for event in [verify_account("Ada", "de"), account_exists("Ada", "de"), account_verified("Ada", "de")] {
        let said = said(&event);
        // But for the line by which mail programs find the code.
        let said = said.replace("@signup.example.com #", "");
        assert!(!said.contains('@') || said.contains("@media") && said.matches('@').count() == 1, "{said}");
        assert!(!said.contains("Lovelace"), "{said}");
        let greeted = !matches!(event, Event::Registered(Mailing::Notice, _));
        assert_eq!(said.contains("Ada"), greeted, "{said}");
    }
}

#[test]
fn the_link_names_the_registration_and_is_short() {
    let mut letterhead = letterhead();
    letterhead.public_url = format!("https://{}", "a".repeat(52));
    let Event::Registered(_, event) = verify_account("Ada", "en") else { panic!() };
    let link = link(&event, &letterhead).unwrap();
    let (before, token) = link.split_once("&token=").unwrap();
    assert_eq!(before, format!("{}/#id={REGISTRATION}", letterhead.public_url));
    assert_eq!(token, "jGoS1gFwNSAYdJhbO6nyuQ");
    assert!(link.len() <= 200, "{link}");
}

fn languages() -> Vec<String> {
    letterhead().mails.now().languages().map(|language| language.tag().to_owned()).collect()
}

/// The unfolded `To:` header of this registration's mail.
fn to_header(name: &str, address: &str) -> String {
    let email = written(&first_code(registered(name, address, "en")));
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

/// The mails of a folder with these files, or its faults.
fn with_folder(files: &[(&str, &str)]) -> Result<Letterhead, Vec<String>> {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Ok(Letterhead { mails: kept(mails(Some(root.path()), URL, true)?), ..letterhead() })
}

fn parts_of(event: &Event, letterhead: &Letterhead) -> Parts {
    parts(event, letterhead, at("2026-11-21T10:00:01Z")).unwrap().1
}

#[test]
fn a_brand_stands_in_subject_header_and_footer_and_leads_to_its_application() {
    let brand = "name = 'Acme & Co'\nurl = 'https://app.acme.example/?a=1&b=2'\nhelp = 'help@acme.example'\n\
                 logo = 'https://acme.example/logo.png'\naccent = '#7a1f5c'\nfooter = \"Acme Inc.\\n1 <Main> St\"";
    let letterhead = with_folder(&[("brand.toml", brand)]).unwrap();
    let mail = parts_of(&verify_account("Ada", "en"), &letterhead);
    assert_eq!(mail.subject, "Acme & Co: Verify Account");
    assert!(mail.text.starts_with("272045\n\nHello Ada,\n"), "{}", mail.text);
    let end =
        "Need help? help@acme.example\n\nAcme & Co\n\nAcme Inc.\n1 <Main> St\n\n@signup.example.com #272045";
    assert!(mail.text.ends_with(end), "{}", mail.text);
    for part in [
        "<body>\n<div class=\"preview\">272045</div>\n<main>\n<p class=\"brand\"><img src=\"https://acme.example/logo.png\" alt=\"Acme &amp; Co\"></p>",
        "background: #7a1f5c; color: #ffffff;",
        "<a href=\"mailto:help@acme.example\"><bdi>help@acme.example</bdi></a>",
        "Acme &amp; Co<br>Acme Inc.<br>1 &lt;Main&gt; St</p>",
    ] {
        assert!(mail.html.contains(part), "{part}: {}", mail.html);
    }
    let confirmation = parts_of(&account_verified("Ada", "en"), &letterhead);
    assert!(confirmation.text.contains("\n\nhttps://app.acme.example/?a=1&b=2\n"), "{}", confirmation.text);
    assert!(
        confirmation.html.contains("href=\"https://app.acme.example/?a=1&amp;b=2\""),
        "{}",
        confirmation.html
    );
}

#[test]
fn templates_of_the_folder_replace_those_built_in() {
    let files = [
        (
            "mails/layout.html",
            "<html><i>{{ brand.name }}</i>{% block preview %}{% endblock %}{% block content %}{% endblock %}</html>\r\n",
        ),
        ("mails/own.txt", "{% block content %}{% endblock %}\n-- own"),
        (
            "mails/verify_account.txt",
            "{% extends \"own.txt\" %}{% block content %}{{ code }}\n{{ link }}{% endblock %}",
        ),
        ("languages/de.toml", "[mail.verify_account]\nbutton = 'Los <geht’s>'"),
    ];
    let letterhead = with_folder(&files).unwrap();
    let mail = parts_of(&verify_account("Ada", "de"), &letterhead);
    let link = format!("{URL}/#id={REGISTRATION}&token=jGoS1gFwNSAYdJhbO6nyuQ");
    assert_eq!(mail.text, format!("272045\n{link}\n-- own\n\n@signup.example.com #272045"));
    assert!(mail.html.starts_with("<html><i></i>\n<p class=\"code\">272045</p>"), "{}", mail.html);
    assert!(mail.html.contains(">Los &lt;geht’s&gt;</a>"), "{}", mail.html);
}

#[test]
fn a_template_that_would_make_a_wrong_mail_is_refused_once_with_its_file() {
    let large = format!("{{{{ code }}}}\n{{{{ link }}}}\n{}", "{{ lasts }}".repeat(200));
    for (files, expected, count) in [
        (
            &[("mails/verify_account.txt", "{{ link }}")][..],
            "mails/verify_account.txt: the mail in ar shows no {{ code }}",
            1,
        ),
        (
            &[("mails/verify_account.txt", "Hello\n{{ code }}\n{{ link }}")],
            "mails/verify_account.txt: expected {{ code }} first",
            1,
        ),
        (
            &[("mails/verify_account.html", "<p>Hello</p><!-- {{ code }} --><a href='{{ link }}'>go</a>")],
            "mails/verify_account.html: the mail in ar shows no {{ code }}",
            1,
        ),
        (
            &[("mails/verify_account.html", "<p data-x='{{ code }}'>Hello</p> {{ link }}")],
            "mails/verify_account.html: the mail in ar shows no {{ code }}",
            1,
        ),
        (
            &[("mails/verify_account.txt", "{{ code }}\nab{{ link }}cd")],
            "mails/verify_account.txt: the mail in ar shows no {{ link }} between spaces",
            1,
        ),
        (&[("mails/account_exists.txt", "\n")], "mails/account_exists.txt: becomes an empty mail in ar", 1),
        (
            &[("mails/account_exists.txt", "a\nb\u{1b}[31m")],
            "mails/account_exists.txt:2: has the invisible or private character U+001B",
            1,
        ),
        (
            &[
                (
                    "languages/nl.toml",
                    &format!("[mail]\nsubject_with_brand = '{}'", "{subject}{brand}".repeat(20)),
                ),
                ("brand.toml", "name = 'Acme'"),
            ],
            "languages/nl.toml: mail.subject_with_brand: the subject of verify_account becomes ",
            3,
        ),
        (
            &[
                ("mails/a.txt", "{% extends \"b.txt\" %}"),
                ("mails/b.txt", "{% extends \"a.txt\" %}"),
                ("mails/account_exists.txt", "{% extends \"a.txt\" %}"),
            ],
            "mails/a.txt:1: extends itself",
            3,
        ),
        (
            &[("mails/verify_account.html", "{{ code }}")],
            "mails/verify_account.html: the mail in ar shows no {{ link }}",
            1,
        ),
        (
            &[("mails/account_exists.html", "{{ code }}")],
            "mails/account_exists.html:1: there is no placeholder code; expected one of brand.accent,",
            1,
        ),
        (
            &[("mails/account_exists.txt", "\n{{ first_name }}")],
            "mails/account_exists.txt:2: there is no placeholder first_name;",
            1,
        ),
        (
            &[("mails/layout.html", "{% if link %}{% endif %}")],
            "mails/layout.html:1: there is no placeholder link;",
            1,
        ),
        (
            &[("mails/verify_acount.html", "{{ code }}")],
            "mails/verify_acount.html: no mail is made of this; expected one of layout.html,",
            1,
        ),
        (
            &[("mails/verify_account.html", "{% extends \"own.html\" %}")],
            "mails/verify_account.html:1: there is no file mails/own.html to extend",
            1,
        ),
        (
            &[("mails/verify_account.html", "{% block a %}{{ code }}")],
            "mails/verify_account.html:1: is no valid template: ",
            1,
        ),
        (
            &[("mails/verify_account.html", "\u{e001}{{ code }}")],
            "mails/verify_account.html:1: has the invisible or private character U+E001",
            1,
        ),
        (
            &[
                ("mails/verify_account.txt", large.as_str()),
                (
                    "languages/fr.toml",
                    &format!(
                        "[mail.verify_account]\nlasts = {{ one = '{0}', other = '{0}{{minutes}}' }}",
                        "x".repeat(900)
                    ),
                ),
            ],
            "mails/verify_account.txt: becomes larger than 100000 octets in fr",
            1,
        ),
    ] {
        let faults = with_folder(files).map(|_| ()).unwrap_err();
        assert!(faults[0].starts_with(expected), "{expected}: {faults:?}");
        assert_eq!(faults.len(), count, "{faults:#?}");
    }
}

#[test]
fn without_a_link_a_mail_speaks_of_none() {
    let letterhead = Letterhead { mails: kept(mails(None, URL, false).unwrap()), ..letterhead() };
    for locale in languages() {
        let Parts { text, html, .. } = parts_of(&verify_account("Ada", &locale), &letterhead);
        assert!(!text.contains("://") && !html.contains("href"), "{text}\n{html}");
        assert!(text.starts_with("272045\n") && text.ends_with("\n\n@signup.example.com #272045"), "{text}");
    }
}

#[test]
fn the_line_for_autofill_is_there_with_https_alone_and_names_the_host() {
    for (url, line) in [
        ("https://signup.example.com:8443/app", Some("@signup.example.com #272045")),
        ("http://localhost:3006", None),
    ] {
        let letterhead = Letterhead { mails: kept(mails(None, url, true).unwrap()), ..letterhead() };
        let text = parts_of(&verify_account("Ada", "ar"), &letterhead).text;
        assert_eq!(text.lines().last().filter(|last| last.starts_with('@')), line, "{text}");
    }
}

#[test]
fn a_hostile_name_stays_in_its_place_in_every_language() {
    // The longest names that are greeted, of each script; each with what HTML escapes.
    for name in ["O'Neill", "مُحَمَّد", "שָׂרָה", "कृष्ण", "Ἑλένη", "Wolfeschlegelsteinha"]
    {
        for locale in languages() {
            let [mail, other] =
                [name, "Xqzw"].map(|name| parts_of(&verify_account(name, &locale), &letterhead()));
            let escaped = name.replace('\'', "&#39;");
            assert_eq!(mail.text, other.text.replace("Xqzw", name), "{locale}");
            assert_eq!(
                mail.html,
                other.html.replace("<bdi>Xqzw</bdi>", &format!("<bdi>{escaped}</bdi>")),
                "{locale}"
            );
            assert_eq!(mail.subject, other.subject);
        }
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
        let name = if contract::person_name::PersonName::parse(&name).is_ok() { name } else { "Ada".to_owned() };
        let to = to_header(&name, address.as_str());
        prop_assert_eq!(EmailAddress::try_from(to).unwrap(), address.clone());
        let email = write(&first_code(registered(&name, address.as_str(), "en")), Some(trace()), &letterhead(), at("2026-11-21T10:00:01Z"));
        let envelope: Address = email.unwrap().to;
        prop_assert_eq!(envelope.to_string(), address.as_str());
    }

    #[test]
    fn a_codes_mail_has_nothing_of_the_names_but_such_a_first_name(
        first in "[\\pL\\pM .'’-]{1,30}|\\PC{1,30}|(buy|Ada|мир|مرح)[ '-](now|evil|中文)?", last in "[\\pL .'-]{1,30}",
        local in "[a-z]{1,20}(\\+[a-z]{1,20})?", locale in prop::sample::select(vec!["en", "de", "ja", "ar", "hi"]),
    ) {
        let (Ok(first_name), Ok(last_name)) = (PersonName::parse(&first), PersonName::parse(&last)) else { return Ok(()) };
        // A word that occurs in no mail stands for a name that is greeted.
        let harmless = if first_name.greeting().is_some() { "Xqzw" } else { "J." };
        let mut event = registered("Ada", &format!("{local}@example.com"), locale);
        (event.first_name, event.last_name) = (first_name.clone(), last_name);
        let mut other = registered(harmless, &format!("{local}@example.com"), locale);
        other.request_id = event.request_id.clone();
        let (mail, other) = (said(&first_code(event.clone())), said(&first_code(other)));
        let expected = match first_name.greeting() {
            Some(name) => {
                let escaped = name.replace('\'', "&#39;");
                other.replace("<bdi>Xqzw</bdi>", &format!("<bdi>{escaped}</bdi>")).replace("Xqzw", name)
            }
            None => other,
        };
        prop_assert_eq!(mail, expected);
        let notices = [event.clone(), registered("Ada", &format!("{local}@example.com"), locale)];
        let [notice, other] = notices.map(|event| said(&Event::Registered(Mailing::Notice, event)));
        prop_assert_eq!(notice, other);
    }

    #[test]
    fn a_mail_that_is_not_expired_says_at_least_a_minute_and_never_more_than_is_left(
        left_ms in prop_oneof![-7_200_000_i64..90_000_000, -100_000_i64..200_000],
    ) {
        let Event::Registered(_, event) = verify_account("Ada", "en") else { unreachable!() };
        let now = event.expires_at - SignedDuration::from_millis(left_ms);
        let (minutes, expired) = (minutes_left(event.expires_at, now), is_expired(&first_code(event), now));
        prop_assert_eq!(expired, minutes < 1);
        prop_assert!(expired || (minutes * 60_000 <= left_ms && left_ms < (minutes + 1) * 60_000));
    }

    #[test]
    fn no_octets_panic_on_their_way_into_an_email(
        name in prop::collection::vec(any::<u8>(), 0..40),
        address in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let texts = [name, address].map(|octets| String::from_utf8_lossy(&octets).into_owned());
        let [name, address] = texts.map(|text| text.replace('\u{fffd}', "é"));
        let mut registered = registered("Ada", "ada@example.com", "en");
        registered.first_name = name.try_into().unwrap_or(registered.first_name);
        registered.email = format!("{address}@example.com").try_into().unwrap_or(registered.email);
        prop_assert!(write(&first_code(registered), None, &letterhead(), at("2026-11-21T10:00:01Z")).is_ok());
    }

    #[test]
    fn no_name_or_address_adds_a_header_or_a_bare_line_end(name in "\\PC{1,40}", local in "\\PC{1,20}") {
        let (name, email) = (name, format!("{local}@example.com"));
        let Ok(first_name) = name.try_into() else { return Ok(()) };
        let mut registered = registered("Ada", "ada@example.com", "en");
        registered.first_name = first_name;
        if let Ok(email) = email.try_into() {
            registered.email = email;
        }
        let email = write(&first_code(registered), None, &letterhead(), at("2026-11-21T10:00:01Z")).unwrap();
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
