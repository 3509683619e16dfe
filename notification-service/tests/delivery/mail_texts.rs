//! The folder of texts while the service runs, and the command `mails`.

use crate::{
    PROGRAM,
    world::{DEADLINE, Service, World, created},
};
use sandbox::smtp::{ReceivedMail, SmtpServer};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

/// Two looks at the folder and some time more.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

fn write(root: &Path, name: &str, text: &str) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

async fn wait_for_metric(service: &Service, line: &str) {
    let began = Instant::now();
    loop {
        let metrics = service.metrics().await;
        if metrics.lines().any(|known| known == line) {
            return;
        }
        assert!(began.elapsed() < TAKEN_WITHIN, "{line} in {metrics}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn subject(mail: &ReceivedMail) -> String {
    let text = String::from_utf8(mail.data.clone()).unwrap();
    text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_folder_is_taken_and_a_broken_one_leaves_the_last_good_texts_in_use() {
    let (root, world) = (tempfile::tempdir().unwrap(), World::new(1).await);
    write(root.path(), "brand.toml", "name = 'Acme'");
    let service = world.start(&[("TEXTS_DIR", root.path().to_str().unwrap())]).await;
    world.publish(&[created(1)]).await;
    assert_eq!(subject(&world.wait_for_mails(1).await[0]), "Acme: Verify Account");

    write(root.path(), "mails/verify_account.txt", "{{ code");
    write(root.path(), "brand.toml", "name = 'Other'");
    wait_for_metric(&service, "notification_texts_outdated 1").await;
    assert!(service.metrics().await.lines().any(|line| line == "notification_texts_refused_total 1"));
    world.publish(&[created(2)]).await;
    assert_eq!(subject(&world.wait_for_mails(2).await[1]), "Acme: Verify Account");

    fs::remove_dir_all(root.path().join("mails")).unwrap();
    wait_for_metric(&service, "notification_texts_outdated 0").await;
    world.publish(&[created(3)]).await;
    assert_eq!(subject(&world.wait_for_mails(3).await[2]), "Other: Verify Account");
    service.stop().await;
}

/// Runs `mails` with these arguments and variables.
fn mails(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("mails").args(arguments).env_clear().envs(variables.iter().copied());
    command.current_dir("/").output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn check_lists_all_faults_and_ends_with_1_and_notes_what_is_perhaps_not_meant() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().to_str().unwrap();
    write(root.path(), "languages/hu.toml", "name = 'Magyar'\ndirection = 'ltr'");
    let output = mails(&["check", folder], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).starts_with("note: languages/hu.toml: "), "{output:?}");
    assert!(
        said(&output).ends_with("The folder can be used. There are mails in 15 languages.\n"),
        "{output:?}"
    );

    write(root.path(), "brand.toml", "accent = 'red'");
    write(root.path(), "languages/de.toml", "[mail]\ngreeting = 'Hallo {name},'");
    write(root.path(), "mails/account_exists.txt", "{% for %}");
    fs::create_dir(root.path().join("page")).unwrap();
    fs::write(root.path().join("page/page.css"), b"h1 {\n  content: \"\xff\" }").unwrap();
    let output = mails(&["check", folder], &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines: Vec<_> =
        said(&output).lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    let expected = ["brand.toml:1", "languages/de.toml:2", "mails/account_exists.txt:1", "page/page.css:2"];
    assert_eq!(lines, expected, "{output:?}");
}

#[test]
fn a_service_does_not_start_on_a_broken_folder_and_lists_its_faults_beside_those_of_the_configuration() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "brand.toml", "name = 1\nurl = 'x'");
    let output = Command::new(PROGRAM)
        .env_clear()
        .envs([("TEXTS_DIR", root.path().to_str().unwrap()), ("MAIL_LINK", "maybe")])
        .current_dir("/")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    for line in [
        "MAIL_LINK: expected on or off",
        "CODE_SECRETS: is required",
        "TEXTS_DIR: brand.toml:1: name: expected a text in quotes, got integer",
        "TEXTS_DIR: brand.toml:2: url: expected the application's address",
    ] {
        assert!(error.contains(&format!("the configuration can't be used: {line}")), "{line}: {error}");
    }
}

#[test]
fn preview_writes_every_mail_and_a_page_that_shows_them() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("new/out");
    write(root.path(), "texts/brand.toml", "name = '<Acme>'");
    let texts = root.path().join("texts");
    let output = mails(&["preview", "--out", out.to_str().unwrap(), "--texts", texts.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let files: BTreeSet<_> =
        fs::read_dir(&out).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files.len(), 3 * 14 * 4 + 1, "{files:?}");
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    for name in files.iter().filter(|name| name.ends_with(".html") && *name != "index.html") {
        assert!(page.contains(&format!("src=\"{name}\"")), "{name}");
    }
    assert!(page.contains("&lt;Acme&gt;: Verify Account") && !page.contains("<Acme>"), "{page}");
    let mail = fs::read_to_string(out.join("account_verified.ja.eml")).unwrap();
    assert!(mail.starts_with("From: ") && mail.contains("\r\nTo: ada@example.com\r\n"), "{mail}");
}

#[test]
fn preview_does_not_write_into_the_folder_of_texts_nor_below_it() {
    let root = tempfile::tempdir().unwrap();
    let texts = root.path().join("texts");
    write(&texts, "brand.toml", "name = 'Acme'");
    std::os::unix::fs::symlink(&texts, root.path().join("link")).unwrap();
    for out in ["texts", "texts/", "texts/new/out", "link", "link/new", "texts/../link"] {
        let out = root.path().join(out);
        let output =
            mails(&["preview", "--out", out.to_str().unwrap()], &[("TEXTS_DIR", texts.to_str().unwrap())]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1) && error.contains("it is in the folder of texts"),
            "{out:?}: {error}"
        );
        assert_eq!(fs::read_dir(&texts).unwrap().count(), 1, "{out:?}");
    }
    let beside = root.path().join("texts-preview");
    let arguments = ["preview", "--out", beside.to_str().unwrap(), "--texts", texts.to_str().unwrap()];
    assert_eq!(mails(&arguments, &[]).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_brings_samples_through_the_configured_server() {
    let smtp = SmtpServer::start(0).await.unwrap();
    let (host, port) = (smtp.address().ip().to_string(), smtp.address().port().to_string());
    let run = move |arguments: &'static [&'static str], port: String| {
        let host = host.clone();
        tokio::task::spawn_blocking(move || mails(arguments, &[("SMTP_HOST", &host), ("SMTP_PORT", &port)]))
    };
    let output = run(&["send", "Grace@example.org", "--language", "DE"], port.clone()).await.unwrap();
    assert_eq!(
        said(&output),
        "sent verify_account in de\nsent account_verified in de\nsent account_exists in de\n"
    );
    assert!(smtp.wait_for_count(3, DEADLINE).await);
    assert!(smtp.mails().iter().all(|mail| mail.recipients == ["Grace@example.org"]), "{:?}", smtp.mails());
    for (arguments, port, expected) in [
        (&["send", "nobody"][..], port.clone(), "the address must have one @"),
        (
            &["send", "a@example.org", "--language", "sv"],
            port,
            "there are no mails in sv; expected one of ar, de, en",
        ),
        (
            &["send", "a@example.org"],
            "1".to_owned(),
            "verify_account in ar was not sent: the mail server can't be used: ",
        ),
    ] {
        let output = run(arguments, port).await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && error.contains(expected), "{expected}: {error}");
    }
}
