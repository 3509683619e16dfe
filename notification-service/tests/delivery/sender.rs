//! What the operator says about the sender, as the mail server gets it.

use crate::world::{World, created};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envelope_name_and_headers_are_the_operators() {
    let world = World::new(1).await;
    let service = world
        .start(&[
            ("MAIL_FROM", "Example <no-reply@example.com>"),
            ("MAIL_RETURN_PATH", "bounces@mail.example.org"),
            ("MAIL_REPLY_TO", "Support <support@example.com>"),
            ("MAIL_HEADERS", "X-SES-CONFIGURATION-SET: signup | Feedback-ID: a:b:c"),
            ("SMTP_HELLO_NAME", "signup-1.example.net"),
        ])
        .await;
    world.publish(&[created(1)]).await;
    let mails = world.wait_for_mails(1).await;
    assert_eq!(
        (mails[0].helo.as_str(), mails[0].from.as_str()),
        ("signup-1.example.net", "bounces@mail.example.org")
    );
    let text = String::from_utf8(mails[0].data.clone()).unwrap();
    let (headers, _) = text.split_once("\r\n\r\n").unwrap();
    for line in [
        "From: Example <no-reply@example.com>",
        "Reply-To: Support <support@example.com>",
        "X-SES-CONFIGURATION-SET: signup",
        "Feedback-ID: a:b:c",
    ] {
        assert_eq!(headers.lines().filter(|header| *header == line).count(), 1, "{line}\n{headers}");
    }
    assert!(mails[0].message_id.as_ref().unwrap().ends_with("@example.com>"), "{headers}");
    assert!(!text.contains("bounces@"), "{text}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_of_the_operator_all_of_it_is_the_authors() {
    let world = World::new(1).await;
    let service = world.start(&[("MAIL_FROM", "no-reply@example.com")]).await;
    world.publish(&[created(1)]).await;
    let mails = world.wait_for_mails(1).await;
    assert_eq!((mails[0].helo.as_str(), mails[0].from.as_str()), ("example.com", "no-reply@example.com"));
    assert!(!String::from_utf8_lossy(&mails[0].data).contains("Reply-To"));
    service.stop().await;
}
