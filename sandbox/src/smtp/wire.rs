//! Lines in, replies out, over any byte stream.
//!
//! While more commands are in the buffer, replies are collected. They are written together, so a pipelining client (RFC
//! 2920) costs few writes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The largest mail, in bytes; advertised as `SIZE`.
pub(super) const MAX_MAIL: usize = 10 * 1024 * 1024;
/// The longest command line, in bytes; RFC 5321 asks for 512 and more with extensions.
const MAX_LINE: usize = 4_096;
/// The most bytes that are read ahead from a client that waits for a reply.
const MAX_AHEAD: usize = 64 * 1024;
const READ_SIZE: usize = 8 * 1024;

pub(super) struct Wire<S> {
    stream: S,
    /// Bytes read; those before `taken` are consumed.
    input: Vec<u8>,
    taken: usize,
    /// Replies that are not written yet.
    output: Vec<u8>,
    /// Octets that replace the next reply.
    instead: Option<Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Wire { stream, input: Vec::new(), taken: 0, output: Vec::new(), instead: None }
    }

    /// Adds a reply with as many lines as the text has. It is written before the next read that has to wait.
    pub(super) fn reply(&mut self, code: u16, text: &str) {
        if let Some(octets) = self.instead.take() {
            self.output.extend_from_slice(&octets);
            return;
        }
        let mut lines = text.lines().peekable();
        loop {
            let line = lines.next().unwrap_or_default();
            let more = lines.peek().is_some();
            let separator = if more { '-' } else { ' ' };
            self.output.extend_from_slice(format!("{code}{separator}{line}\r\n").as_bytes());
            if !more {
                return;
            }
        }
    }

    /// Replaces the next reply by these octets.
    pub(super) fn instead(&mut self, octets: Vec<u8>) {
        self.instead = Some(octets);
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.output.clear();
        }
        Ok(())
    }

    /// The next command line, without its end.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.line_end() {
                let line = String::from_utf8_lossy(&self.input[self.taken..end]).trim_end().to_owned();
                self.taken = end;
                return Ok(line);
            }
            if self.input.len() - self.taken > MAX_LINE {
                return Err(io::Error::other("the client's line is too long"));
            }
            self.read().await?;
        }
    }

    /// Reads a mail up to its final dot, and removes the dots that transparency adds (RFC 5321, 4.5.2). `None` if it is
    /// larger than [`MAX_MAIL`].
    pub(super) async fn body(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut data = Vec::with_capacity(READ_SIZE);
        let mut fits = true;
        loop {
            while let Some(end) = self.line_end() {
                let line = &self.input[self.taken..end];
                self.taken = end;
                if matches!(line, b".\r\n" | b".\n") {
                    return Ok(fits.then_some(data));
                }
                let line = line.strip_prefix(b".").unwrap_or(line);
                fits = fits && data.len() + line.len() <= MAX_MAIL;
                if fits {
                    data.extend_from_slice(line);
                }
            }
            if self.input.len() - self.taken > MAX_MAIL {
                return Err(io::Error::other("the mail's line is too long"));
            }
            self.read().await?;
        }
    }

    /// Waits until the client disconnects, and returns the error. Bytes that arrive meanwhile are kept for later.
    pub(super) async fn client_gone(&mut self) -> io::Error {
        while self.input.len() - self.taken < MAX_AHEAD {
            if let Err(error) = self.read_more().await {
                return error;
            }
        }
        std::future::pending().await
    }

    /// The position after the first complete line.
    fn line_end(&self) -> Option<usize> {
        let rest = &self.input[self.taken..];
        rest.iter().position(|byte| *byte == b'\n').map(|end| self.taken + end + 1)
    }

    /// Writes the collected replies, then reads at least one byte.
    async fn read(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.read_more().await
    }

    async fn read_more(&mut self) -> io::Result<()> {
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.reserve(READ_SIZE);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
