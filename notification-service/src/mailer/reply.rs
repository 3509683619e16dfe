//! Parses a server's reply, by the code and the separator of each line alone (RFC 5321, section 4.2).
//!
//! Servers greet in Latin-1, refuse in GBK, omit the space after the code, or end a line without a carriage return. None of
//! that says anything about the mail, so it is all accepted. Bytes that are no reply, or a reply without an end, are an
//! error as soon as that is certain. Pure: bytes come in as the network cuts them.

use std::fmt;

/// The longest reply in octets, with all its lines. The longest useful one, to EHLO, has some hundred octets.
pub(super) const LONGEST_REPLY: usize = 64 * 1024;

/// A complete reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// 200 to 599; the code of the last line.
    pub(crate) code: u16,
    /// The enhanced status code of the first line, if its class matches the code's.
    pub(crate) enhanced: Option<EnhancedStatus>,
    /// The text after code and separator, with a line feed between lines and no other control characters. U+FFFD replaces
    /// what is not UTF-8, so this has up to three times [`LONGEST_REPLY`]. It often contains the recipient's address: not
    /// for the log.
    pub(crate) text: String,
}

/// The codes of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// 200 to 599.
    pub code: u16,
    /// The enhanced status code, if the reply has one.
    pub enhanced: Option<EnhancedStatus>,
}

impl Reply {
    pub(super) fn status(&self) -> Status {
        Status { code: self.code, enhanced: self.enhanced }
    }

    /// Whether the code's first digit is this one.
    pub(crate) fn is(&self, class: u16) -> bool {
        self.code / 100 == class
    }
}

/// `class.subject.detail` (RFC 3463, section 2; RFC 2034).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedStatus {
    /// 2, 4 or 5.
    pub(crate) class: u8,
    /// 0 to 999: 1 addressing, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 security or policy.
    pub(crate) subject: u16,
    /// 0 to 999.
    pub(crate) detail: u16,
}

/// Why the server's bytes can't be a reply. The session has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line does not begin with three digits from 200 to 599, or its class differs from that of the lines before.
    #[error("what it says is no SMTP reply")]
    NotAReply,
    /// It begins with a TLS record: an alert, or part of a handshake (RFC 8446, section 5.1).
    #[error("it speaks TLS from the first byte; set SMTP_ENCRYPTION=tls for this port")]
    Tls,
    /// The reply exceeds [`LONGEST_REPLY`].
    #[error("its reply is longer than 64 KiB")]
    TooLong,
}

/// A reply that is arriving.
#[derive(Debug, Default)]
pub(super) struct ReplyParser {
    /// Its octets so far, at most [`LONGEST_REPLY`].
    octets: Vec<u8>,
    /// The position of its last line.
    line: usize,
}

impl ReplyParser {
    /// Consumes the octets of this reply from the front of `input`: all of them, or those up to its end. The next reply may
    /// follow.
    ///
    /// # Errors
    /// [`ReplyError`]; then nothing that follows can be understood.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, ReplyError> {
        while !input.is_empty() {
            let end = input.iter().position(|octet| *octet == b'\n').map(|end| end + 1);
            let (piece, rest) = input.split_at(end.unwrap_or(input.len()));
            *input = rest;
            let fitting = piece.len().min(LONGEST_REPLY - self.octets.len());
            self.octets.extend_from_slice(&piece[..fitting]);
            if let Some(0x15 | 0x16) = self.octets.first() {
                return Err(ReplyError::Tls);
            }
            let line = &self.octets[self.line..];
            if !begins_a_line(line) || line.first() != self.octets.first() {
                return Err(ReplyError::NotAReply);
            }
            if fitting < piece.len() {
                return Err(ReplyError::TooLong);
            }
            if end.is_none() {
                return Ok(None);
            }
            if line.get(3) != Some(&b'-') {
                return Ok(Some(self.finish()));
            }
            self.line = self.octets.len();
        }
        Ok(None)
    }

    /// Whether no octet of a reply has come yet.
    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    fn finish(&mut self) -> Reply {
        let last = &self.octets[self.line..];
        let code = last.iter().take(3).fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        let lines = self.octets.split(|octet| *octet == b'\n');
        let texts: Vec<_> = lines.map(|line| line.get(4..).unwrap_or_default().trim_ascii_end()).collect();
        // Nothing stands after the last line feed.
        let texts = texts.split_last().map(|(_, texts)| texts.join(&b'\n')).unwrap_or_default();
        let text = String::from_utf8_lossy(&texts);
        let text = text.replace(|c: char| c.is_control() && c != '\n', " ");
        self.octets.clear();
        self.line = 0;
        Reply { code, enhanced: EnhancedStatus::of(code, &text), text }
    }
}

/// Whether a line of a reply can begin with this: three digits, and no fourth.
fn begins_a_line(line: &[u8]) -> bool {
    line.iter().zip(0..4).all(|(octet, place)| match place {
        0 => (b'2'..=b'5').contains(octet),
        1 | 2 => octet.is_ascii_digit(),
        _ => !octet.is_ascii_digit(),
    })
}

impl EnhancedStatus {
    /// Finds it at the beginning of the first line, or after `(#` anywhere in the line, where qmail writes it. It is not
    /// searched elsewhere: many replies repeat the address, and `#5.7.1@example.com` is one.
    fn of(code: u16, text: &str) -> Option<Self> {
        let line = text.lines().next()?;
        let beginning = line.strip_prefix('#').unwrap_or(line);
        let marked = line.split("(#").skip(1);
        let mut found = std::iter::once(beginning).chain(marked).filter_map(Self::parse);
        found.find(|status| u16::from(status.class) == code / 100)
    }

    /// Reads it from the beginning of a text. The next character must be one that no address contains.
    fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        if !text[end..].chars().take(1).all(|c| c.is_whitespace() || "()<>[]:;,".contains(c)) {
            return None;
        }
        let mut numbers = text[..end].trim_end_matches('.').split('.');
        let mut number = || numbers.next().filter(|number| (1..=3).contains(&number.len()))?.parse().ok();
        let (class, subject, detail) = (number()?, number()?, number()?);
        let class = u8::try_from(class).ok().filter(|class| [2, 4, 5].contains(class))?;
        numbers.next().is_none().then_some(Self { class, subject, detail })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        self.enhanced.map_or(Ok(()), |enhanced| write!(f, " {enhanced}"))
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests;
