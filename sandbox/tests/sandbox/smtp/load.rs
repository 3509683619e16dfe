use sandbox::smtp::Keep;

use super::*;

const SESSIONS: usize = 4;
const MAILS_EACH: usize = 250;

#[tokio::test]
async fn envelopes_alone_are_kept_under_load() {
    let server = SmtpServer::start_keeping(0, Keep::Envelopes).await.unwrap();
    let mut sessions = tokio::task::JoinSet::new();
    for session in 0..SESSIONS {
        let mut client = Client::greeted(&server).await;
        sessions.spawn(async move {
            for number in 0..MAILS_EACH {
                let to = format!("{session}-{number}@example.com");
                client.send(&format!("MAIL FROM:<a@example.com>\r\nRCPT TO:<{to}>\r\nDATA")).await;
                client.expect("250").await;
                client.expect("250").await;
                client.expect("354").await;
                client.send(&format!("Message-ID: <{to}>\r\n\r\n{}\r\n.", "text ".repeat(200))).await;
                client.expect("250").await;
            }
        });
    }
    assert!(server.wait_for_count(SESSIONS * MAILS_EACH, Duration::from_secs(30)).await);

    let mails = server.mails();
    assert!(mails.iter().all(|mail| mail.data.is_empty()));
    assert!(mails.iter().all(|mail| mail.message_id == Some(format!("<{}>", mail.recipients[0]))));
    assert_eq!(server.sessions().peak, SESSIONS);
}
