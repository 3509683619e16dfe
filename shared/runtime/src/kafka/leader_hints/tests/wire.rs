//! The few encodings of Kafka's protocol that this broker needs: big-endian numbers, and the lengths of KIP-482.

/// A reply that is being written.
#[derive(Default)]
pub(super) struct Reply(Vec<u8>);

impl Reply {
    /// Begins with the correlation id and, where the version has them, no header tags.
    pub(super) fn to(correlation: i32, header_tags: bool) -> Self {
        let reply = Self::default().int32(correlation);
        if header_tags { reply.bytes(&[0]) } else { reply }
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn int16(self, number: i16) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn int32(self, number: i32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn int64(self, number: i64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// Seven bits an octet, the lowest first.
    pub(super) fn varint(mut self, mut number: usize) -> Self {
        while number > 0x7f {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    /// The length of an array, a string or a block of bytes; zero would stand for null.
    pub(super) fn length(self, length: usize) -> Self {
        self.varint(length + 1)
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.length(text.len()).bytes(text.as_bytes())
    }

    /// An array of numbers.
    pub(super) fn int32s(self, numbers: &[i32]) -> Self {
        numbers.iter().fold(self.length(numbers.len()), |reply, number| reply.int32(*number))
    }

    /// A tagged field with its number. The number of such fields stands before the first.
    pub(super) fn tag(self, number: usize, content: &[u8]) -> Self {
        self.varint(number).varint(content.len()).bytes(content)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A request that is being read.
pub(super) struct Request<'a>(pub(super) &'a [u8]);

impl Request<'_> {
    pub(super) fn int16(&mut self) -> i16 {
        i16::from_be_bytes(self.array())
    }

    pub(super) fn int32(&mut self) -> i32 {
        i32::from_be_bytes(self.array())
    }

    pub(super) fn int64(&mut self) -> i64 {
        i64::from_be_bytes(self.array())
    }

    pub(super) fn varint(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let [octet] = self.array();
            number |= usize::from(octet & 0x7f) << shift;
            shift += 7;
            if octet < 0x80 {
                return number;
            }
        }
    }

    /// How many elements follow.
    pub(super) fn length(&mut self) -> usize {
        self.varint() - 1
    }

    pub(super) fn skip(&mut self, octets: usize) {
        self.0 = &self.0[octets..];
    }

    pub(super) fn skip_tags(&mut self) {
        for _ in 0..self.varint() {
            self.varint();
            let length = self.varint();
            self.skip(length);
        }
    }

    fn array<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let (array, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        *array
    }
}
