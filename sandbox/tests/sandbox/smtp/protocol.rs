use super::*;

#[tokio::test]
async fn a_mail_is_kept_with_its_envelope_and_exact_data() {
    let server = server().await;
    let mut client = Client::greeted(&server).await;
    client.say("MAIL FROM:<from@example.com> SIZE=40 BODY=8BITMIME", "250").await;
    client.say("RCPT TO:<one@example.com>", "250").await;
    client.say("RCPT TO:<two@example.com>", "250").await;
    client.say("DATA", "354").await;
    client.send("Message-ID: <1@example.com>\r\n\r\n..a dot\r\nend").await;
    client.say(".", "250").await;
    client.say("QUIT", "221").await;
    client.expect_closed().await;

    assert!(server.wait_for(|mails| mails.len() == 1, DEADLINE).await);
    let mail = server.mails().remove(0);
    assert_eq!(mail.helo, "client.example");
    assert_eq!(mail.from, "from@example.com");
    assert_eq!(mail.recipients, ["one@example.com", "two@example.com"]);
    assert_eq!(mail.message_id.as_deref(), Some("<1@example.com>"));
    assert_eq!(mail.data, b"Message-ID: <1@example.com>\r\n\r\n.a dot\r\nend\r\n");
}

#[tokio::test]
async fn ehlo_advertises_what_the_server_can_do() {
    let server = server().await;
    let mut client = Client::connect(&server).await;
    client.expect("220").await;
    let reply = client.say("EHLO client.example", "250").await;
    for extension in ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10485760"] {
        assert!(reply.contains(extension), "{reply}");
    }
}

#[tokio::test]
async fn pipelined_commands_are_all_answered_in_order() {
    let server = server().await;
    let mut client = Client::greeted(&server).await;
    client.send("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA").await;
    client.expect("250").await;
    client.expect("250").await;
    client.expect("354").await;
    client.send("hello\r\n.\r\nMAIL FROM:<a@example.com>\r\nRSET\r\nQUIT").await;
    for code in ["250", "250", "250", "221"] {
        client.expect(code).await;
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn commands_out_of_order_or_malformed_are_refused() {
    let server = server().await;
    let mut client = Client::greeted(&server).await;
    for (line, code) in [
        ("RCPT TO:<b@example.com>", "503"),
        ("DATA", "503"),
        ("MAIL FROM:nobody", "501"),
        ("STARTTLS", "502"),
        ("MAIL FROM:<a@example.com>", "250"),
        ("MAIL FROM:<a@example.com>", "503"),
        ("NOOP", "250"),
    ] {
        client.say(line, code).await;
    }
}

#[tokio::test]
async fn a_mail_beyond_the_advertised_size_is_refused_and_the_session_goes_on() {
    let server = server().await;
    let mut client = Client::addressed(&server).await;
    client.say("DATA", "354").await;
    let line = "x".repeat(1_000);
    for _ in 0..11_000 {
        client.0.write_all(line.as_bytes()).await.unwrap();
        client.0.write_all(b"\r\n").await.unwrap();
    }
    client.say(".", "552").await;
    client.say("NOOP", "250").await;
    assert_eq!(server.count(), 0);
}
