//! One connection: commands out, replies in.
//!
//! A command is sent only while nothing is unread. Otherwise bytes that a server sends unasked, or a man in the middle
//! before the handshake, could pass for the reply to the next command.

use super::{
    failure::Cause,
    reply::{Reply, ReplyParser},
    tls,
};
use futures_util::FutureExt;
use std::io;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::unconstrained,
};

/// Octets per read. Most replies have less than a hundred.
const READ_SIZE: usize = 4096;

/// One SMTP connection. After an error it can only be dropped.
pub(super) struct Wire<S> {
    stream: S,
    input: Vec<u8>,
    /// The number of consumed octets of `input`.
    taken: usize,
    parser: ReplyParser,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, input: Vec::with_capacity(READ_SIZE), taken: 0, parser: ReplyParser::default() }
    }

    /// Sends one command, or several at once.
    ///
    /// # Errors
    /// The connection is closed, or the server has sent something unasked.
    pub(super) async fn say(&mut self, commands: &str) -> Result<(), Cause> {
        self.expect_quiet()?;
        let written = async {
            self.stream.write_all(commands.as_bytes()).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| broken(&error))
    }

    /// Waits for the next reply. Safe to cancel.
    ///
    /// # Errors
    /// The connection is closed, or the bytes are no reply.
    pub(super) async fn reply(&mut self) -> Result<Reply, Cause> {
        loop {
            let mut unread = &self.input[self.taken..];
            let reply = self.parser.take(&mut unread).map_err(Cause::Garbled)?;
            self.taken = self.input.len() - unread.len();
            if let Some(reply) = reply {
                return Ok(reply);
            }
            self.input.clear();
            self.taken = 0;
            match self.stream.read_buf(&mut self.input).await {
                Ok(1..) => {}
                Ok(0) => return Err(Cause::Broken),
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Sends a command and waits for the reply.
    pub(super) async fn ask(&mut self, command: &str) -> Result<Reply, Cause> {
        self.say(command).await?;
        self.reply().await
    }

    /// Whether the server has sent nothing since its last reply, and the connection is open as far as is known.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.expect_quiet().is_ok()
    }

    /// Returns the bare stream, for the handshake.
    ///
    /// # Errors
    /// As [`Wire::say`].
    pub(super) fn into_stream(mut self) -> Result<S, Cause> {
        self.expect_quiet()?;
        Ok(self.stream)
    }

    /// Costs no system call while nothing has arrived: Tokio knows that. The read is unconstrained: when the task's budget
    /// is used up, Tokio would return `Pending` although data have arrived, and that would count as quiet.
    fn expect_quiet(&mut self) -> Result<(), Cause> {
        if self.taken < self.input.len() || !self.parser.is_empty() {
            return Err(Cause::Unasked);
        }
        match unconstrained(self.stream.read(&mut [0])).now_or_never() {
            None => Ok(()),
            Some(Ok(1..)) => Err(Cause::Unasked),
            Some(Ok(0)) => Err(Cause::Broken),
            Some(Err(error)) => Err(broken(&error)),
        }
    }
}

fn broken(error: &io::Error) -> Cause {
    tls::alert(error).unwrap_or(Cause::Broken)
}
