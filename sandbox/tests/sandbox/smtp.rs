//! The SMTP server, driven line by line and by lettre.

use sandbox::smtp::{Action, Script, SmtpServer, Stage};
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpStream,
    time::timeout,
};

mod lettre;
mod load;
mod protocol;
mod scripts;
mod sessions;

const DEADLINE: Duration = Duration::from_secs(5);

async fn server() -> SmtpServer {
    SmtpServer::start(0).await.unwrap()
}

/// A client that sends lines and reads replies.
struct Client(BufStream<TcpStream>);

impl Client {
    async fn connect(server: &SmtpServer) -> Client {
        Client(BufStream::new(TcpStream::connect(server.address()).await.unwrap()))
    }

    /// A client after greeting and EHLO.
    async fn greeted(server: &SmtpServer) -> Client {
        let mut client = Client::connect(server).await;
        client.expect("220").await;
        client.say("EHLO client.example", "250").await;
        client
    }

    /// A client whose next command would be DATA.
    async fn addressed(server: &SmtpServer) -> Client {
        let mut client = Client::greeted(server).await;
        client.say("MAIL FROM:<from@example.com>", "250").await;
        client.say("RCPT TO:<to@example.com>", "250").await;
        client
    }

    /// A client that has sent its mail up to before the final dot.
    async fn mailing(server: &SmtpServer) -> Client {
        let mut client = Client::addressed(server).await;
        client.say("DATA", "354").await;
        client.send("Subject: hello\r\n\r\nhello").await;
        client
    }

    async fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// All lines of the next reply; empty if the server has closed the connection.
    async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            let read = timeout(DEADLINE, self.0.read_line(&mut line)).await.expect("no reply in time");
            reply.push_str(&line);
            if matches!(read, Ok(0) | Err(_)) || line.as_bytes().get(3) == Some(&b' ') {
                return reply;
            }
        }
    }

    async fn expect(&mut self, code: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(code), "expected {code}, got {reply:?}");
        reply
    }

    async fn say(&mut self, line: &str, code: &str) -> String {
        self.send(line).await;
        self.expect(code).await
    }

    async fn expect_closed(&mut self) {
        assert_eq!(self.reply().await, "");
    }

    /// Whether no reply comes within a time that is long for a local server.
    async fn is_left_waiting(&mut self) -> bool {
        let mut line = String::new();
        timeout(Duration::from_millis(80), self.0.read_line(&mut line)).await.is_err()
    }
}
