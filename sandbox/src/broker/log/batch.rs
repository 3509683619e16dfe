//! A record batch in Kafka's message format 2: its header, read and written in place, and its records as bytes.
//!
//! Batches are kept as clients sent them. The offset and the leader's epoch stand before the checksum and are not covered by
//! it, so they can be written without touching the records. Compressed records are never decoded.

use bytes::Buf as _;

/// Bytes before the first record.
pub(in crate::broker) const HEADER: usize = 61;
const MAGIC: i8 = 2;
const EPOCH_AT: usize = 12;
const CHECKSUM_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const FIRST_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const COUNT_AT: usize = 57;
/// Bytes before the part that the length field counts.
const BEFORE_LENGTH_COUNTS: usize = 12;

const COMPRESSION: i16 = 0b111;
const APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
/// The field of the first timestamp holds the time from which tombstones may be deleted (KIP-534).
const DELETE_HORIZON: i16 = 1 << 6;

/// The part of a batch before its records.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) struct Header {
    pub(in crate::broker) base_offset: i64,
    /// The length of the whole batch in bytes, including this header.
    pub(in crate::broker) length: usize,
    attributes: i16,
    last_delta: i32,
    first_timestamp: i64,
    pub(in crate::broker) max_timestamp: i64,
    pub(in crate::broker) producer: i64,
    pub(in crate::broker) epoch: i16,
    pub(in crate::broker) sequence: i32,
    pub(in crate::broker) count: i32,
}

/// One record of an uncompressed batch.
pub(in crate::broker) struct Record<'a> {
    pub(in crate::broker) offset: i64,
    pub(in crate::broker) timestamp: i64,
    pub(in crate::broker) key: Option<&'a [u8]>,
    /// Whether its value is null.
    pub(in crate::broker) tombstone: bool,
    /// The bytes after its timestamp.
    rest: &'a [u8],
}

impl Header {
    /// Reads a header; `None` if the bytes are not the beginning of a plausible batch of format 2.
    pub(in crate::broker) fn read(bytes: &[u8]) -> Option<Header> {
        let mut rest = bytes.get(..HEADER)?;
        let base_offset = rest.get_i64();
        let length = usize::try_from(rest.get_i32()).ok()?.checked_add(BEFORE_LENGTH_COUNTS)?;
        let _leader_epoch = rest.get_i32();
        let magic = rest.get_i8();
        let _checksum = rest.get_u32();
        let header = Header {
            base_offset,
            length,
            attributes: rest.get_i16(),
            last_delta: rest.get_i32(),
            first_timestamp: rest.get_i64(),
            max_timestamp: rest.get_i64(),
            producer: rest.get_i64(),
            epoch: rest.get_i16(),
            sequence: rest.get_i32(),
            count: rest.get_i32(),
        };
        (magic == MAGIC && length >= HEADER && header.last_delta >= 0).then_some(header)
    }

    pub(in crate::broker) fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_delta))
    }

    /// Whether a producer may send it: offsets without gaps, no transaction, no flags of the broker.
    pub(in crate::broker) fn is_a_producers(&self) -> bool {
        self.count >= 1
            && self.last_delta == self.count - 1
            && self.attributes & (TRANSACTIONAL | CONTROL | DELETE_HORIZON) == 0
            && (self.producer < 0 || self.epoch >= 0 && self.sequence >= 0)
    }

    pub(in crate::broker) fn is_compressed(&self) -> bool {
        self.attributes & COMPRESSION != 0
    }

    /// Whether its time is the broker's (`LogAppendTime`).
    pub(in crate::broker) fn is_stamped(&self) -> bool {
        self.attributes & APPEND_TIME != 0
    }

    /// When its tombstones may be deleted; `None` before the first compaction with tombstones.
    pub(in crate::broker) fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.first_timestamp)
    }
}

/// Whether a complete batch has the right checksum.
pub(in crate::broker) fn is_intact(batch: &[u8]) -> bool {
    batch.get(CHECKSUM_AT..ATTRIBUTES_AT).is_some_and(|sum| sum == checksum(batch))
}

fn checksum(batch: &[u8]) -> [u8; 4] {
    crc32c::crc32c(&batch[ATTRIBUTES_AT..]).to_be_bytes()
}

/// Writes a batch's offset, and the only epoch.
pub(in crate::broker) fn place(batch: &mut [u8], offset: i64) {
    batch[..8].copy_from_slice(&offset.to_be_bytes());
    batch[EPOCH_AT..EPOCH_AT + 4].copy_from_slice(&0_i32.to_be_bytes());
}

/// Gives all records of a batch the time of the append.
pub(in crate::broker) fn stamp(batch: &mut [u8], header: &mut Header, now: i64) {
    header.attributes |= APPEND_TIME;
    header.max_timestamp = now;
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&header.attributes.to_be_bytes());
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&now.to_be_bytes());
    let sum = checksum(batch);
    batch[CHECKSUM_AT..ATTRIBUTES_AT].copy_from_slice(&sum);
}

/// The records of an uncompressed batch; `None` if they contradict the header.
pub(in crate::broker) fn records<'a>(header: &Header, batch: &'a [u8]) -> Option<Vec<Record<'a>>> {
    let mut rest = batch.get(HEADER..)?;
    let mut records = Vec::new();
    for _ in 0..header.count {
        let length = usize::try_from(varint(&mut rest)?).ok()?;
        let mut body = rest.split_off(..length)?;
        body.try_get_i8().ok()?;
        let created = header.first_timestamp.saturating_add(varint(&mut body)?);
        let timestamp = if header.is_stamped() { header.max_timestamp } else { created };
        let after_timestamp = body;
        let delta = varint(&mut body)?;
        let key = match usize::try_from(varint(&mut body)?) {
            Ok(length) => Some(body.split_off(..length)?),
            Err(_) => None,
        };
        let tombstone = varint(&mut body)? < 0;
        let offset = header.base_offset.saturating_add(delta);
        records.push(Record { offset, timestamp, key, tombstone, rest: after_timestamp });
    }
    rest.is_empty().then_some(records)
}

/// The batch with only some of its records, and with the time from which its tombstones may be deleted. The offsets and
/// times of the records, and the first and last offset of the batch, stay the same.
pub(in crate::broker) fn with_records(
    batch: &[u8],
    header: &Header,
    kept: &[&Record<'_>],
    delete_horizon: Option<i64>,
) -> Vec<u8> {
    let mut smaller = batch[..HEADER].to_vec();
    let first_timestamp = delete_horizon.unwrap_or(header.first_timestamp);
    for record in kept {
        // The attributes byte; a record has none.
        let mut body = vec![0];
        put_varint(&mut body, record.timestamp.saturating_sub(first_timestamp));
        body.extend_from_slice(record.rest);
        put_varint(&mut smaller, body.len() as i64);
        smaller.append(&mut body);
    }
    let length = i32::try_from(smaller.len() - BEFORE_LENGTH_COUNTS).unwrap_or(i32::MAX);
    let count = i32::try_from(kept.len()).unwrap_or(i32::MAX);
    let attributes = header.attributes | if delete_horizon.is_some() { DELETE_HORIZON } else { 0 };
    smaller[8..EPOCH_AT].copy_from_slice(&length.to_be_bytes());
    smaller[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    smaller[FIRST_TIMESTAMP_AT..MAX_TIMESTAMP_AT].copy_from_slice(&first_timestamp.to_be_bytes());
    smaller[COUNT_AT..HEADER].copy_from_slice(&count.to_be_bytes());
    let sum = checksum(&smaller);
    smaller[CHECKSUM_AT..ATTRIBUTES_AT].copy_from_slice(&sum);
    smaller
}

/// Reads a signed variable-length number (zigzag) of up to 64 bits.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()));
        }
    }
    None
}

pub(in crate::broker) fn put_varint(bytes: &mut Vec<u8>, number: i64) {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while left >= 0x80 {
        bytes.push((left as u8 & 0x7f) | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}
