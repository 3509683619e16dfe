//! What goes over the wire, against a server with scripted replies.

use super::*;
use crate::email::Email;
use lettre::Address;
use proptest::prelude::*;
use std::sync::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

type Packets = Arc<Mutex<Vec<String>>>;

/// The reply to a command, by its number in the connection. `None` accepts it.
type Replies = fn(usize, &str) -> Option<&'static str>;

/// Starts a server. Returns a mailer for it, and the packets that the server gets.
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
    (Mailer::new(config(port)).unwrap(), packets)
}

fn config(port: u16) -> SmtpConfig {
    SmtpConfig {
        number: ServerNumber::FIRST,
        host: "127.0.0.1".to_owned(),
        port,
        hello: "example.com".to_owned(),
        connections: 1,
        timeout: Duration::from_secs(5),
        reply_timeout: Duration::from_secs(5),
        final_timeout: Duration::from_secs(5),
        encryption: Encryption::None,
        trusted: Certificates::default(),
        client_key: None,
        credentials: None,
        mail_interval: None,
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

fn status(code: u16) -> Status {
    Status { code, enhanced: None }
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
    mailer.session().await.unwrap().send(&email(), &CancellationToken::new()).await.map(|_| ())
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
    assert_eq!(take(&packets)[1..], [envelope, CONTENT]);
}

#[tokio::test]
async fn a_server_that_does_not_take_that_gets_one_command_at_a_time() {
    let step_by_step =
        ["MAIL FROM:<signup@example.com>\r\n", "RCPT TO:<ada@example.org>\r\n", "DATA\r\n", CONTENT];
    let (mailer, packets) = server(|_, _| None).await;
    send(&mailer).await.unwrap();
    assert_eq!(take(&packets)[1..], step_by_step);

    // This server does not know EHLO, either.
    let (mailer, packets) = server(|_, line| line.starts_with("EHLO").then_some("502")).await;
    send(&mailer).await.unwrap();
    let packets = take(&packets);
    assert_eq!(packets[..2], ["EHLO example.com\r\n", "HELO example.com\r\n"]);
    assert_eq!(packets[2..], step_by_step);
}

#[tokio::test]
async fn a_refused_recipient_ends_the_transaction_and_not_the_session() {
    let (mailer, packets) = server(|number, line| match line {
        _ if line.starts_with("RCPT") => Some("550"),
        "DATA" => Some("503"),
        _ => pipelining(number, line),
    })
    .await;
    let refusal = Refusal { kind: RefusalKind::RecipientUnclear, status: Some(status(550)) };
    assert_eq!(send(&mailer).await, Err(SendError::Refused(refusal.clone())));
    assert_eq!(take(&packets).last().unwrap(), "RSET\r\n");
    assert_eq!(send(&mailer).await, Err(SendError::Refused(refusal)));
    assert!(take(&packets)[0].starts_with("MAIL"), "the session is used again");
}

/// After a temporary refusal of the recipient this session is over, and the next email gets another one.
async fn loses_the_session(replies: Replies) {
    let (mailer, packets) = server(replies).await;
    let refusal = Refusal { kind: RefusalKind::ForNow, status: Some(status(451)) };
    assert_eq!(send(&mailer).await, Err(SendError::Refused(refusal.clone())));
    assert!(take(&packets).last().unwrap().ends_with("DATA\r\n"), "nothing else may follow");
    assert_eq!(send(&mailer).await, Err(SendError::Refused(refusal)));
    assert!(take(&packets)[0].starts_with("EHLO"), "a new session");
}

#[tokio::test]
async fn a_session_whose_server_owes_a_reply_is_not_used_again() {
    // The answer to DATA is no reply.
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

/// The time-out in tests about time-outs. All others use those of `config`.
const QUICK: Duration = Duration::from_millis(300);

/// A mailer with this time-out, and a server that sends these replies, one for each command, whole or octet by octet, and
/// nothing else.
async fn says(
    replies: &'static [&'static str],
    pause: Duration,
    patience: Option<Duration>,
) -> (Arc<Mailer>, Packets) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let packets = Packets::default();
    let seen = Arc::clone(&packets);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut packet = [0; 4096];
                for reply in replies {
                    for octets in reply.as_bytes().chunks(if pause.is_zero() { 4096 } else { 1 }) {
                        tokio::time::sleep(pause).await;
                        let _ = stream.write_all(octets).await;
                    }
                    let length = stream.read(&mut packet).await.unwrap_or(0);
                    seen.lock().unwrap().push(String::from_utf8_lossy(&packet[..length]).into_owned());
                }
                // The connection stays open, but nothing more is read.
                std::future::pending::<()>().await;
            });
        }
    });
    let mut config = config(port);
    if let Some(patience) = patience {
        config = SmtpConfig { timeout: patience, reply_timeout: patience, final_timeout: patience, ..config };
    }
    (Mailer::new(config).unwrap(), packets)
}

async fn failed(mailer: &Arc<Mailer>) -> ServerFailure {
    match mailer.session().await {
        Err(failure) => failure,
        Ok(session) => match session.send(&email(), &CancellationToken::new()).await {
            Err(SendError::Server(failure)) => failure,
            other => panic!("{other:?}"),
        },
    }
}

#[tokio::test]
async fn a_reply_that_comes_before_its_command_ends_the_session_and_no_content_is_sent() {
    let cases: [(&[&str], Phase); 4] = [
        // The reply to EHLO comes in one packet with the greeting, before the command.
        (&["220 x\r\n250 x\r\n", ""], Phase::Greeting),
        (&["220 x\r\n", "250 x\r\n250 ok\r\n", ""], Phase::MailFrom),
        (&["220 x\r\n", "250 x\r\n", "250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n", ""], Phase::Recipient),
        (
            &["220 x\r\n", "250-x\r\n250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n", ""],
            Phase::Content,
        ),
    ];
    for (replies, phase) in cases {
        let replies = Box::leak(replies.to_vec().into_boxed_slice());
        let (mailer, packets) = says(replies, Duration::ZERO, None).await;
        assert_eq!(failed(&mailer).await, ServerFailure { phase, cause: Cause::Unasked }, "{replies:?}");
        assert!(!packets.lock().unwrap().iter().any(|packet| packet.contains("Subject")));
    }
}

#[tokio::test]
async fn a_reply_of_the_wrong_kind_is_neither_taken_for_another_nor_for_a_refusal() {
    let cases: [(&[&str], Phase, Cause); 8] = [
        (&["354 x\r\n"], Phase::Greeting, Cause::Reply(status(354))),
        (&["150 x\r\n"], Phase::Greeting, Cause::Garbled(reply::ReplyError::NotAReply)),
        (&["220 x\r\n", "650 x\r\n"], Phase::Greeting, Cause::Garbled(reply::ReplyError::NotAReply)),
        (&["220 x\r\n", "250 x\r\n", "354 x\r\n"], Phase::MailFrom, Cause::Reply(status(354))),
        (
            &["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n"],
            Phase::Data,
            Cause::Reply(status(250)),
        ),
        (
            &["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n", "354 x\r\n"],
            Phase::Content,
            Cause::Reply(status(354)),
        ),
        (
            &["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n", "250-x\r\n550 x\r\n"],
            Phase::Content,
            Cause::Garbled(reply::ReplyError::NotAReply),
        ),
        (&["220 x\r\n", "250 x\r\n", "250 x\r\n", "25"], Phase::Recipient, Cause::Timeout),
    ];
    for (replies, phase, cause) in cases {
        let replies = Box::leak(replies.to_vec().into_boxed_slice());
        let patience = (cause == Cause::Timeout).then_some(QUICK);
        let (mailer, _) = says(replies, Duration::ZERO, patience).await;
        assert_eq!(failed(&mailer).await, ServerFailure { phase, cause }, "{replies:?}");
        assert_eq!(mailer.sessions(), (0, 0, 1), "the session is gone");
    }
}

#[tokio::test]
async fn the_time_out_of_a_reply_counts_from_its_first_octet_to_its_last() {
    // Each octet comes in time, the whole reply does not.
    let (mailer, _) = says(&["220 slow but steady\r\n"], Duration::from_millis(100), Some(QUICK)).await;
    let started = Instant::now();
    assert_eq!(failed(&mailer).await.cause, Cause::NoGreeting);
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_reply_without_an_end_takes_no_memory() {
    let endless: &'static str = Box::leak("250-x\r\n".repeat(10_000).into_boxed_str());
    let (mailer, _) = says(Box::leak(Box::new(["220 x\r\n", endless])), Duration::ZERO, None).await;
    let too_long = Cause::Garbled(reply::ReplyError::TooLong);
    assert_eq!(failed(&mailer).await, ServerFailure { phase: Phase::Greeting, cause: too_long });
}

#[tokio::test]
async fn an_email_can_be_recalled_until_its_content_is_on_its_way() {
    const ENVELOPE: &[&str] = &["220 x\r\n", "250 x\r\n", "250 x\r\n"];
    const CONTENT_TOO: &[&str] = &["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n"];
    // The last command that the server gets, and does not answer, and what the email ends in.
    let no_answer = SendError::Server(ServerFailure { phase: Phase::Content, cause: Cause::Timeout });
    for (replies, last, expected) in
        [(ENVELOPE, "RCPT TO:<ada@example.org>\r\n", SendError::Recalled), (CONTENT_TOO, CONTENT, no_answer)]
    {
        let (mailer, packets) = says(replies, Duration::ZERO, None).await;
        let final_timeout = QUICK;
        let mailer = Mailer::new(SmtpConfig { final_timeout, ..mailer.config.clone() }).unwrap();
        let session = mailer.session().await.unwrap();
        let recall = CancellationToken::new();
        let asked = async {
            while packets.lock().unwrap().last().is_none_or(|packet| packet != last) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            recall.cancel();
        };
        let email = email();
        let (sent, ()) = tokio::join!(session.send(&email, &recall), asked);
        assert_eq!(sent, Err(expected), "{last}");
    }
}

#[tokio::test]
async fn a_server_that_reads_nothing_loses_the_session_before_the_dot() {
    let (mailer, _) =
        says(&["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n"], Duration::ZERO, Some(QUICK))
            .await;
    let (session, recall) = (mailer.session().await.unwrap(), CancellationToken::new());
    let large = Email { text: "x".repeat(32 << 20), ..email() };
    let sent = tokio::time::timeout(Duration::from_secs(5), session.send(&large, &recall)).await.unwrap();
    let timeout = ServerFailure { phase: Phase::Content, cause: Cause::Timeout };
    assert_eq!(sent, Err(SendError::Server(timeout)));
}

#[tokio::test]
async fn what_comes_after_a_mail_is_no_reply_to_the_next() {
    let (mailer, packets) = server(|number, line| match line {
        "." => Some("250 taken\r\n550 5.1.1"),
        _ => pipelining(number, line),
    })
    .await;
    for _ in 0..2 {
        send(&mailer).await.unwrap();
        assert!(take(&packets)[0].starts_with("EHLO"), "a new session for each");
    }
}

#[tokio::test]
async fn a_wait_for_the_rate_that_is_called_off_takes_no_email_from_it() {
    let (slow, _) = server(|_, _| None).await;
    let mailer =
        Mailer::new(SmtpConfig { mail_interval: Some(Duration::from_millis(500)), ..slow.config.clone() })
            .unwrap();
    send(&mailer).await.unwrap();
    for _ in 0..10 {
        let waited = tokio::time::timeout(Duration::from_millis(1), mailer.session()).await;
        assert!(waited.is_err(), "the next is allowed after half a second");
    }
    let started = Instant::now();
    send(&mailer).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_was_not_asked_for_is_found_also_when_the_task_has_done_much() {
    let (client, mut server) = tokio::io::duplex(100);
    let mut wire = wire::Wire::new(client);
    server.write_all(b"250 taken\r\n").await.unwrap();
    // Uses up this task's budget, so that Tokio wants to switch to others.
    while tokio::task::coop::has_budget_remaining() {
        let mut spend = std::pin::pin!(tokio::task::coop::consume_budget());
        assert!(futures_util::FutureExt::now_or_never(&mut spend).is_some());
    }
    assert!(!wire.is_quiet());
}

type LoggedIn = (Result<(), ServerFailure>, Vec<String>);

/// Logs in with a password. Returns the result and what the client sent.
async fn log_in(ehlo: &'static str, answers: Replies) -> LoggedIn {
    log_in_by(Mechanism::OF_PASSWORDS, ehlo, answers).await
}

async fn log_in_by(mechanisms: &'static [Mechanism], ehlo: &'static str, answers: Replies) -> LoggedIn {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let packets = Packets::default();
    let seen = Arc::clone(&packets);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 x\r\n").await.unwrap();
        let (mut packet, mut number) = ([0; 4096], 0);
        while let Ok(length @ 1..) = stream.read(&mut packet).await {
            let line = String::from_utf8_lossy(&packet[..length]).trim_end().to_owned();
            let reply = if number == 0 { ehlo } else { answers(number, &line).unwrap_or("235 ok") };
            number += 1;
            seen.lock().unwrap().push(line);
            stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
        }
    });
    let credentials = SmtpCredentials::new("ada".to_owned(), "s3cret".to_owned().into(), mechanisms);
    let credentials = Some(credentials);
    let mailer = Mailer::new(SmtpConfig { credentials, ..config(port) }).unwrap();
    (mailer.session().await.map(drop), take(&packets)[1..].to_vec())
}

#[tokio::test]
async fn a_login_is_said_as_the_server_offers_it() {
    const PLAIN: &str = "AGFkYQBzM2NyZXQ=";
    let (ended, said) = log_in("250-x\r\n250 auth login plain", |_, _| None).await;
    assert_eq!((ended, said), (Ok(()), vec![format!("AUTH PLAIN {PLAIN}")]));

    let (ended, said) = log_in("250 AUTH=PLAIN", |number, _| (number == 1).then_some("334")).await;
    assert_eq!((ended, said), (Ok(()), vec![format!("AUTH PLAIN {PLAIN}"), PLAIN.to_owned()]));

    let asks: Replies = |number, _| (number < 3).then_some("334 wer da?");
    let (ended, said) = log_in("250-x\r\n250 AUTH=LOGIN", asks).await;
    assert_eq!((ended, said), (Ok(()), ["AUTH LOGIN", "YWRh", "czNjcmV0"].map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_login_that_is_refused_or_not_known_here_says_so() {
    let refused = |code| Err(ServerFailure { phase: Phase::Login, cause: Cause::Reply(code) });
    assert_eq!(log_in("250 AUTH PLAIN", |_, _| Some("535 no")).await.0, refused(status(535)));
    assert_eq!(log_in("250 AUTH PLAIN", |_, _| Some("334 and?")).await.0, refused(status(334)));

    let (ended, said) = log_in("250-x\r\n250-AUTH XOAUTH2\r\n250 AUTH=GSSAPI", |_, _| None).await;
    let told = ended.unwrap_err().to_string();
    assert!(told.starts_with("login: ") && told.ends_with("it offers: XOAUTH2 GSSAPI"), "{told}");
    assert_eq!(said, [""; 0], "no password goes out");
    let told = log_in("250 x", |_, _| None).await.0.unwrap_err().to_string();
    assert!(told.ends_with("it offers: none"), "{told}");
}

#[tokio::test]
async fn a_token_is_said_as_the_server_offers_it() {
    const XOAUTH2: &str = "dXNlcj1hZGEBYXV0aD1CZWFyZXIgczNjcmV0AQE=";
    let tokens = Mechanism::OF_TOKENS;
    let (ended, said) = log_in_by(tokens, "250 AUTH PLAIN XOAUTH2", |_, _| None).await;
    assert_eq!((ended, said), (Ok(()), vec![format!("AUTH XOAUTH2 {XOAUTH2}")]));
    // This server ignores the initial response and asks for it.
    let asks: Replies = |number, _| (number == 1).then_some("334 ");
    let (ended, said) = log_in_by(tokens, "250 AUTH XOAUTH2", asks).await;
    assert_eq!((ended, said), (Ok(()), vec![format!("AUTH XOAUTH2 {XOAUTH2}"), XOAUTH2.to_owned()]));

    let (ended, said) = log_in_by(tokens, "250 AUTH XOAUTH2 OAUTHBEARER", |_, _| None).await;
    let said = said[0].strip_prefix("AUTH OAUTHBEARER ").unwrap();
    let said =
        String::from_utf8(base64::Engine::decode(&base64::prelude::BASE64_STANDARD, said).unwrap()).unwrap();
    assert_eq!(ended, Ok(()));
    assert!(said.starts_with("n,a=ada,\x01host=127.0.0.1\x01port="), "{said:?}");
    assert!(said.ends_with("\x01auth=Bearer s3cret\x01\x01"), "{said:?}");
}

#[tokio::test]
async fn a_refused_token_is_told_with_the_servers_word_for_it() {
    // {"status":"invalid_token","scope":"mail"}
    const ERROR: &str = "334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJtYWlsIn0=";
    let refuses: Replies = |number, _| Some(if number == 1 { ERROR } else { "535 5.7.8 no" });
    for (ehlo, end) in [("250 AUTH XOAUTH2", ""), ("250 AUTH OAUTHBEARER", "AQ==")] {
        let (ended, said) = log_in_by(Mechanism::OF_TOKENS, ehlo, refuses).await;
        let told = ended.unwrap_err().to_string();
        assert_eq!(
            told,
            "login: reply 535 5.7.8 to the token of SMTP_TOKEN_FILE (invalid_token): it has expired, or is not for this user"
        );
        assert_eq!(said[1..], [end]);
    }
    let (ended, _) = log_in_by(Mechanism::OF_TOKENS, "250 AUTH XOAUTH2", |_, _| Some("535 5.7.3 no")).await;
    assert!(
        ended.unwrap_err().to_string().contains("reply 535 5.7.3 to the token of SMTP_TOKEN_FILE: it has")
    );
    let (ended, _) = log_in_by(Mechanism::OF_TOKENS, "250 AUTH XOAUTH2", |_, _| Some("421 later")).await;
    assert_eq!(ended, Err(ServerFailure { phase: Phase::Login, cause: Cause::Reply(status(421)) }));
}

/// Replies of a server that does not know the protocol, or knows it too well.
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

/// Sends one email to a server that sends these replies one after the other, whatever it receives, and then closes the
/// connection.
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
    let limit = Duration::from_millis(20);
    let limits = SmtpConfig { timeout: limit, reply_timeout: limit, final_timeout: limit, ..config(port) };
    let config = SmtpConfig { encryption, ..limits };
    let mailer = Mailer::new(config).unwrap();
    let session = mailer.session().await.map_err(|failure| failure.to_string())?;
    session.send(&email(), &CancellationToken::new()).await.map(|_| ()).map_err(|error| format!("{error:?}"))
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
        // Greeting, EHLO, three for the envelope, one for the content.
        let positive = replies.concat().windows(3).filter(|code| matches!(code[0], b'2' | b'3') && code[1..].iter().all(u8::is_ascii_digit)).count();
        prop_assert!(sent.is_err() || positive >= 6, "{sent:?} after {positive} positive replies");
    }
}
