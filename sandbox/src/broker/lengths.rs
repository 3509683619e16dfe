//! Lengths that a client states, held to what it has sent.
//!
//! `kafka_protocol` reserves memory for a list by the stated number of elements, before it reads the first one: some bytes
//! could ask for more memory than there is, which ends the process. Each element takes at least one byte, so a greater
//! number than bytes follow can't be true. [`Checked`] is what a request is read from first, and no such list can be
//! read from it.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::ByteBuf;

/// No number of variable length in a request has more bytes.
const LONGEST_VARINT: u32 = 5;

/// A request's bytes. What is read from them may have smaller numbers than they state, never greater ones.
pub(super) struct Checked {
    rest: Bytes,
    /// The number of variable length that is being read, and how many of its bytes were read.
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

    /// A length, or any other number. What can't be a length is read as one more than bytes follow: too many elements for
    /// a list, and no harm to another number, whose value is read again from the bytes themselves.
    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        let stated = self.rest.try_get_i32()?;
        Ok(stated.min(i32::try_from(self.rest.len() + 1).unwrap_or(i32::MAX)))
    }

    /// A byte of a number of variable length, which is a length or small, or a boolean. A boolean that is none is taken for
    /// such a number's first byte: that makes the number greater.
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
