//! Checks the lengths in a request against the bytes that the client has sent.
//!
//! `kafka_protocol` reserves memory for a list by its stated length before it reads the first element. A few bytes could
//! thus request more memory than there is, which would end the process. Each element takes at least one byte, so a length
//! above the number of remaining bytes is false. A request is first read from [`Checked`], which refuses such lists.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::ByteBuf;

/// The most bytes of a variable-length number in a request.
const LONGEST_VARINT: u32 = 5;

/// A request's bytes. Numbers that are read from it may be smaller than stated, never larger.
pub(super) struct Checked {
    rest: Bytes,
    /// The variable-length number that is being read, and the number of bytes read so far.
    number: u64,
    length: u32,
}

impl Checked {
    pub(super) fn new(bytes: Bytes) -> Checked {
        Checked { rest: bytes, number: 0, length: 0 }
    }
}

impl Buf for Checked {
    fn remaining(&self) -> usize {
        self.rest.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.rest.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.rest.advance(count);
    }

    /// Reads a length or another number. A number above the remaining bytes becomes one more than these. That is too long
    /// for a list, and harmless for other numbers, which are read again from the bytes themselves.
    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        let stated = self.rest.try_get_i32()?;
        Ok(stated.min(i32::try_from(self.rest.len() + 1).unwrap_or(i32::MAX)))
    }

    /// Reads a byte: of a variable-length number (a length, or a small number), or a boolean. An invalid boolean counts as
    /// the first byte of such a number, which only makes that number larger.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.rest.try_get_u8()?;
        self.number |= u64::from(byte & 0x7f) << (7 * self.length);
        self.length += 1;
        let (number, available) = (self.number, self.rest.len());
        let is_last = byte < 0x80;
        if is_last {
            (self.number, self.length) = (0, 0);
        }
        if self.length >= LONGEST_VARINT || is_last && number > available as u64 + 1 {
            return Err(TryGetError { requested: usize::try_from(number).unwrap_or(usize::MAX), available });
        }
        Ok(byte)
    }
}

impl ByteBuf for Checked {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.rest.peek_bytes(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.rest.get_bytes(size)
    }
}
