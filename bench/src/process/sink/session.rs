//! One SMTP session (RFC 5321) that accepts everything, with PIPELINING (RFC 2920).

use super::{Sink, monotonic_ns};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const CAPACITY: usize = 64 * 1024;
const END_OF_DATA: &[u8] = b"\r\n.\r\n";

/// A session and its unread bytes.
struct Session {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Replies that wait until all commands in the buffer have one.
    replies: Vec<u8>,
    recipients: Vec<String>,
    /// When the last mail was accepted; 0 before the first.
    answered_at: u64,
    began_at: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Command {
    Hello,
    Mail,
    Recipient(String),
    Data,
    Quit,
    Other,
}

/// Serves one connection to its end.
///
/// # Errors
/// When it breaks.
pub(super) async fn serve(sink: &Sink, stream: TcpStream) -> std::io::Result<()> {
    let unread = Vec::with_capacity(CAPACITY);
    let replies = b"220 sink ESMTP\r\n".to_vec();
    let mut session =
        Session { stream, unread, replies, recipients: Vec::new(), answered_at: 0, began_at: 0 };
    while let Some(line) = session.read_to(b"\r\n").await? {
        let reply: &[u8] = match Command::of(&line) {
            Command::Hello => b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            Command::Mail => {
                session.begin(sink);
                b"250 ok\r\n"
            }
            Command::Recipient(address) => {
                session.recipients.push(address);
                b"250 ok\r\n"
            }
            Command::Data => {
                session.replies.extend_from_slice(b"354 go on\r\n");
                if !session.take(sink).await? {
                    return Ok(());
                }
                b"250 taken\r\n"
            }
            Command::Quit => {
                session.replies.extend_from_slice(b"221 bye\r\n");
                return session.flush().await;
            }
            Command::Other => b"250 ok\r\n",
        };
        session.replies.extend_from_slice(reply);
    }
    Ok(())
}

impl Command {
    fn of(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(line);
        let verb = text.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" => Self::Hello,
            "MAIL" => Self::Mail,
            "RCPT" => {
                let path = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                Self::Recipient(path.map(|(address, _)| address.to_owned()).unwrap_or_default())
            }
            "DATA" => Self::Data,
            "QUIT" => Self::Quit,
            _ => Self::Other,
        }
    }
}

impl Session {
    fn begin(&mut self, sink: &Sink) {
        self.began_at = monotonic_ns();
        self.recipients.clear();
        if self.answered_at != 0 {
            let mut state = sink.lock();
            state.phases.follow_ups += 1;
            state.phases.between += self.began_at - self.answered_at;
        }
    }

    /// Accepts a mail; false if the client disconnected in its middle.
    async fn take(&mut self, sink: &Sink) -> std::io::Result<bool> {
        let Some(mail) = self.read_to(END_OF_DATA).await? else { return Ok(false) };
        let received_at = monotonic_ns();
        let delay = sink.lock().delay;
        wait(delay).await;
        self.answered_at = monotonic_ns();
        let mut state = sink.lock();
        state.count += 1;
        state.mails.extend(self.recipients.drain(..).map(|recipient| (self.answered_at, recipient)));
        state.phases.mails += 1;
        state.phases.octets += u64::try_from(mail.len()).unwrap_or(0);
        state.phases.dialogue += received_at - self.began_at;
        state.phases.reply += self.answered_at - received_at;
        Ok(true)
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        if !self.replies.is_empty() {
            self.stream.write_all(&self.replies).await?;
            self.replies.clear();
        }
        Ok(())
    }

    /// Reads up to and including `end`; `None` if the connection ends before it.
    async fn read_to(&mut self, end: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let found = self.unread[searched..].windows(end.len()).position(|window| window == end);
            if let Some(position) = found {
                let rest = self.unread.split_off(searched + position + end.len());
                return Ok(Some(std::mem::replace(&mut self.unread, rest)));
            }
            searched = self.unread.len().saturating_sub(end.len() - 1);
            self.flush().await?;
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Sleeps for this time on average: the runtime's timer rounds up to whole milliseconds. The phases have the real time.
async fn wait(delay: Duration) {
    let delay = delay.saturating_sub(Duration::from_micros(500));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipient_is_what_stands_in_the_brackets() {
        let command = |line: &str| Command::of(line.as_bytes());
        assert_eq!(
            command("RCPT TO:<a@b.example> NOTIFY=NEVER\r\n"),
            Command::Recipient("a@b.example".into())
        );
        assert_eq!(command("rcpt to:<a@b.example>\r\n"), Command::Recipient("a@b.example".into()));
        assert_eq!(command("MAIL FROM:<>\r\n"), Command::Mail);
        assert_eq!(command("x\r\n"), Command::Other);
    }
}
