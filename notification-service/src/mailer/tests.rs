//! What goes over the wire, against a server that answers as it is told.

use super::*;
use crate::email::Email;
use lettre::Address;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

type Packets = Arc<Mutex<Vec<String>>>;

/// The reply to a command, by its number in the connection; without one it is accepted.
type Replies = fn(usize, &str) -> Option<&'static str>;

/// Starts a server, and answers a mailer for it and the packets that the server gets.
async fn server(replies: Replies) -> (Arc<Mailer>, Packets) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let packets = Packets::default();
    let seen = Arc::clone(&packets);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, replies, Arc::clone(&seen)));
        }
    });
    (Mailer::new(config(port), "example.com").unwrap(), packets)
}

fn config(port: u16) -> SmtpConfig {
    SmtpConfig {
        host: "127.0.0.1".to_owned(),
        port,
        connections: 1,
        timeout: Duration::from_secs(5),
        encryption: Encryption::None,
        trusted: Certificates::default(),
        credentials: None,
        max_rate: None,
    }
}

async fn serve(mut stream: TcpStream, replies: Replies, packets: Packets) {
    stream.write_all(b"220 here\r\n").await.unwrap();
    let mut packet = [0; 4096];
    let (mut in_content, mut number) = (false, 0);
    while let Ok(length @ 1..) = stream.read(&mut packet).await {
        let text = String::from_utf8_lossy(&packet[..length]).into_owned();
        packets.lock().unwrap().push(text.clone());
        let mut answer = String::new();
        for line in text.lines() {
            if in_content && line != "." {
                continue;
            }
            number += 1;
            let accepted = if line == "DATA" { "354" } else { "250" };
            let reply = replies(number, line).unwrap_or(accepted);
            in_content = line == "DATA" && reply == "354";
            answer += reply;
            answer += " x\r\n";
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn email() -> Email {
    let address = |text: &str| text.parse::<Address>().unwrap();
    Email {
        from: address("signup@example.com"),
        to: address("ada@example.org"),
        text: "Subject: x\r\n\r\nx".to_owned(),
    }
}

async fn send(mailer: &Arc<Mailer>) -> Result<(), SendError> {
    mailer.session().await.unwrap().send(&email()).await
}

const CONTENT: &str = "Subject: x\r\n\r\nx\r\n.\r\n";

fn take(packets: &Packets) -> Vec<String> {
    std::mem::take(&mut packets.lock().unwrap())
}

fn pipelining(_: usize, line: &str) -> Option<&'static str> {
    line.starts_with("EHLO").then_some("250-PIPELINING\r\n250")
}

#[tokio::test]
async fn an_envelope_is_one_packet_where_the_server_takes_that() {
    let (mailer, packets) = server(pipelining).await;
    send(&mailer).await.unwrap();
    let envelope = "MAIL FROM:<signup@example.com>\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n";
    assert_eq!(take(&packets)[2..], [envelope, CONTENT]);
}

#[tokio::test]
async fn a_server_that_does_not_take_that_gets_one_command_at_a_time() {
    let step_by_step =
        ["MAIL FROM:<signup@example.com>\r\n", "RCPT TO:<ada@example.org>\r\n", "DATA\r\n", CONTENT];
    let (mailer, packets) = server(|_, _| None).await;
    send(&mailer).await.unwrap();
    assert_eq!(take(&packets)[2..], step_by_step);

    // One that takes only one EHLO has not said that it does.
    let (mailer, packets) = server(|number, _| (number == 2).then_some("503")).await;
    send(&mailer).await.unwrap();
    assert_eq!(take(&packets)[2..], step_by_step);
}

#[tokio::test]
async fn a_refused_recipient_ends_the_transaction_and_not_the_session() {
    let (mailer, packets) = server(|number, line| match line {
        _ if line.starts_with("RCPT") => Some("550"),
        "DATA" => Some("503"),
        _ => pipelining(number, line),
    })
    .await;
    let refusal = Refusal { kind: RefusalKind::Recipient, status: 550 };
    assert_eq!(send(&mailer).await, Err(SendError::Refused(refusal.clone())));
    assert_eq!(take(&packets).last().unwrap(), "RSET\r\n");
    assert_eq!(send(&mailer).await, Err(SendError::Refused(refusal)));
    assert!(take(&packets)[0].starts_with("MAIL"), "the session is used again");
}

/// After a temporary refusal of the recipient nothing more is said in this session, and the next email gets another one.
async fn loses_the_session(replies: Replies) {
    let (mailer, packets) = server(replies).await;
    let refusal = Refusal { kind: RefusalKind::Temporary, status: 451 };
    assert_eq!(send(&mailer).await, Err(SendError::Refused(refusal.clone())));
    assert!(take(&packets).last().unwrap().ends_with("DATA\r\n"), "nothing else may follow");
    assert_eq!(send(&mailer).await, Err(SendError::Refused(refusal)));
    assert!(take(&packets)[0].starts_with("EHLO"), "a new session");
}

#[tokio::test]
async fn a_session_whose_server_owes_a_reply_is_not_used_again() {
    // What comes instead of the reply to DATA is none.
    loses_the_session(|number, line| match line {
        _ if line.starts_with("RCPT") => Some("451"),
        "DATA" => Some("x"),
        _ => pipelining(number, line),
    })
    .await;
}

#[tokio::test]
async fn a_server_that_waits_for_the_content_of_nobodys_email_loses_the_session() {
    loses_the_session(|number, line| match line {
        _ if line.starts_with("RCPT") => Some("451"),
        _ => pipelining(number, line),
    })
    .await;
}

/// What a server may say that does not know the protocol, or knows it too well.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    const KNOWN: [&str; 16] = [
        "250 ok\r\n",
        "250-PIPELINING\r\n250 x\r\n",
        "250-a\r\n",
        "250-a\r\n550 b\r\n",
        "354 go on\r\n",
        "421 bye\r\n",
        "451 4.3.0 later\r\n",
        "550 5.1.1 no\r\n",
        "250\r\n",
        "2500 x\r\n",
        "999 x\r\n",
        "25\r\n",
        "\r\n",
        "250 ok\n",
        "250 ok\r\n250 ok\r\n354 go on\r\n250 ok\r\n",
        "",
    ];
    let known = prop::sample::select(&KNOWN[..]).prop_map(|text| text.as_bytes().to_vec());
    let long = (1..200_000_usize).prop_map(|length| vec![b'2'; length]);
    prop_oneof![8 => known, 2 => prop::collection::vec(any::<u8>(), 0..60), 1 => long]
}

/// Sends one email to a server that says one of these after the other, whatever it hears, and then closes the connection.
async fn converse(replies: Vec<Vec<u8>>, encryption: Encryption) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut packet = [0; 4096];
        for reply in replies {
            let _ = stream.write_all(&reply).await;
            let _ = stream.read(&mut packet).await;
        }
    });
    let config = SmtpConfig { timeout: Duration::from_millis(20), encryption, ..config(port) };
    let mailer = Mailer::new(config, "example.com").unwrap();
    let session = mailer.session().await.map_err(|failure| failure.to_string())?;
    session.send(&email()).await.map_err(|error| format!("{error:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_server_says_an_email_is_accepted_by_a_positive_reply_or_not_at_all(
        replies in prop::collection::vec(reply(), 0..9), starttls in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let encryption = if starttls { Encryption::StartTls } else { Encryption::None };
        let sent = runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(10), converse(replies.clone(), encryption)).await
        });
        let sent = sent.expect("every phase has a time-out");
        // Greeting, EHLO twice, three for the envelope, one for the content.
        let positive = replies.concat().windows(3).filter(|code| matches!(*code, b"220" | b"250" | b"222" | b"354")).count();
        prop_assert!(sent.is_err() || positive >= 7, "{sent:?} after {positive} positive replies");
    }
}
