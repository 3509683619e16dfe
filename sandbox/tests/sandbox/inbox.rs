//! The inbox: the page and MailHog's API show what lettre sends.

use ::lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor, message::MultiPart};
use sandbox::inbox::{CAPACITY, Inbox};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

async fn send(inbox: &Inbox, subject: &str) {
    let mail = Message::builder()
        .from("Signup <signup@example.com>".parse().unwrap())
        .to("Ada <ada@example.com>".parse().unwrap())
        .subject(subject)
        .multipart(MultiPart::alternative_plain_html(
            "Your code:\n\n123456\n\nGrüße".to_owned(),
            "<p>Your code: <b>123456</b></p><script>document.title = 'executed'</script>".to_owned(),
        ))
        .unwrap();
    let port = inbox.smtp_address().port();
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(port).build();
    transport.send(mail).await.unwrap();
}

fn url(inbox: &Inbox, path: &str) -> String {
    format!("http://{}{path}", inbox.web_address())
}

async fn get(inbox: &Inbox, path: &str) -> Value {
    reqwest::get(url(inbox, path)).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_multipart_mail_is_decoded() {
    let inbox = Inbox::start(0, 0).await.unwrap();
    send(&inbox, "Grüße aus Köln").await;
    let mail = inbox.mails().remove(0);
    assert_eq!(mail.subject, "Grüße aus Köln");
    assert_eq!((mail.from.as_str(), mail.to[0].as_str()), ("signup@example.com", "ada@example.com"));
    assert!(mail.text.as_ref().unwrap().contains("\n123456"), "{:?}", mail.text);
    assert!(mail.html.as_ref().unwrap().contains("<b>123456</b>"), "{:?}", mail.html);
}

#[tokio::test]
async fn observers_hear_of_each_mail_before_its_sender_is_answered() {
    let inbox = Inbox::start(0, 0).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = heard.clone();
    inbox.on_mail(move |mail| hearing.lock().unwrap().push(mail.subject.clone()));
    send(&inbox, "first").await;
    send(&inbox, "second").await;
    assert_eq!(*heard.lock().unwrap(), ["first", "second"]);
}

#[tokio::test]
async fn the_page_lists_mails_newest_first_and_shows_one() {
    let inbox = Inbox::start(0, 0).await.unwrap();
    send(&inbox, "first").await;
    send(&inbox, "second").await;
    let list = get(&inbox, "/api/mails").await;
    let subjects: Vec<_> = list["mails"].as_array().unwrap().iter().map(|mail| &mail["subject"]).collect();
    assert_eq!(subjects, ["second", "first"]);
    let mail = get(&inbox, &format!("/api/mails/{}", list["mails"][1]["number"])).await;
    assert_eq!(mail["subject"], "first");
    assert!(mail["text"].as_str().unwrap().contains("123456"));

    let known = url(&inbox, &format!("/api/mails?version={}", list["version"]));
    assert_eq!(reqwest::get(known).await.unwrap().status(), 204);
    assert_eq!(reqwest::get(url(&inbox, "/api/mails/99")).await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_page_is_served_with_a_policy_that_allows_no_foreign_script() {
    let inbox = Inbox::start(0, 0).await.unwrap();
    let response = reqwest::get(url(&inbox, "/")).await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    assert!(
        response.text().await.unwrap().contains(r#"sandbox="allow-popups allow-popups-to-escape-sandbox""#)
    );
    for file in ["/page.css", "/page.js"] {
        assert_eq!(reqwest::get(url(&inbox, file)).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn mailhogs_list_has_its_shape() {
    let inbox = Inbox::start(0, 0).await.unwrap();
    for subject in ["first", "second", "third"] {
        send(&inbox, subject).await;
    }
    let list = get(&inbox, "/api/v2/messages?start=1&limit=1").await;
    assert_eq!((&list["total"], &list["count"], &list["start"]), (&3.into(), &1.into(), &1.into()));
    let item = &list["items"][0];
    assert_eq!(item["Content"]["Headers"]["Subject"][0], "second");
    assert!(item["Content"]["Headers"]["Content-Type"][0].as_str().unwrap().contains("; boundary="));
    assert!(item["Content"]["Body"].as_str().unwrap().contains("123456"));
    assert_eq!(item["Content"]["Size"], item["Raw"]["Data"].as_str().unwrap().len());
    assert_eq!(
        (&item["From"]["Mailbox"], &item["From"]["Domain"]),
        (&"signup".into(), &"example.com".into())
    );
    assert_eq!((&item["To"][0]["Mailbox"], &item["To"][0]["Domain"]), (&"ada".into(), &"example.com".into()));
    assert_eq!(
        (&item["Raw"]["From"], &item["Raw"]["To"][0]),
        (&"signup@example.com".into(), &"ada@example.com".into())
    );
    assert_eq!((&item["MIME"], &item["Content"]["MIME"]), (&Value::Null, &Value::Null));
    assert!(item["ID"].is_string() && item["Created"].is_string() && item["Raw"]["Helo"].is_string());
}

#[tokio::test]
async fn mailhogs_search_finds_by_sender_recipient_and_text() {
    let inbox = Inbox::start(0, 0).await.unwrap();
    for subject in ["first", "second", "third"] {
        send(&inbox, subject).await;
    }
    let found = async |search: &str| {
        let list = get(&inbox, &format!("/api/v2/search?{search}")).await;
        let subject = |item: &Value| item["Content"]["Headers"]["Subject"][0].as_str().unwrap().to_owned();
        let subjects: Vec<_> = list["items"].as_array().unwrap().iter().map(subject).collect();
        (list["total"].as_u64().unwrap(), subjects.join(" "))
    };
    let all = (3, "third second first".to_owned());
    assert_eq!(found("kind=to&query=ADA@example.com").await, all);
    assert_eq!(found("kind=from&query=signup@").await, all);
    assert_eq!(found("kind=containing&query=second").await, (1, "second".to_owned()));
    assert_eq!(found("kind=to&query=ada&start=1&limit=1").await, (3, "second".to_owned()));
    assert_eq!(found("kind=to&query=signup@").await, (0, String::new()));
    let unknown = reqwest::get(url(&inbox, "/api/v2/search?kind=subject&query=first")).await.unwrap();
    assert_eq!(unknown.status(), 400);
}

#[tokio::test]
async fn all_mails_can_be_deleted() {
    let inbox = Inbox::start(0, 0).await.unwrap();
    send(&inbox, "gone").await;
    let response = reqwest::Client::new().delete(url(&inbox, "/api/v1/messages")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(inbox.mails().is_empty());
    assert_eq!(get(&inbox, "/api/v2/messages").await["total"], 0);
}

#[tokio::test]
async fn the_oldest_mails_make_room() {
    let inbox = Inbox::start(0, 0).await.unwrap();
    let mut client = TcpStream::connect(inbox.smtp_address()).await.unwrap();
    let mut commands = "EHLO client\r\n".to_owned();
    for number in 0..=CAPACITY {
        commands += "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";
        commands += &format!("Subject: {number}\r\n\r\n.\r\n");
    }
    commands += "QUIT\r\n";
    let (mut replies, mut requests) = client.split();
    let mut answered = String::new();
    let (sent, _) =
        tokio::join!(requests.write_all(commands.as_bytes()), replies.read_to_string(&mut answered));
    sent.unwrap();
    let mails = inbox.mails();
    assert_eq!(mails.len(), CAPACITY);
    assert_eq!((mails[0].subject.as_str(), mails[CAPACITY - 1].subject.as_str()), ("1000", "1"));
}

#[tokio::test]
async fn a_stopped_inbox_frees_both_ports() {
    let inbox = Inbox::start(0, 0).await.unwrap();
    let (smtp, web) = (inbox.smtp_address(), inbox.web_address());
    inbox.stop().await;
    Inbox::start(smtp.port(), web.port()).await.unwrap().stop().await;
}
