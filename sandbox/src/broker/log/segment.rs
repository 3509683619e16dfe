//! One file of a partition's log: complete batches, one after the other, with a sparse index in memory.
//!
//! Opening a file walks over the headers and builds the index. The walk also finds a write that a killed process left
//! incomplete: everything after the last complete batch is cut off.

use crate::broker::log::batch::{self, HEADER, Header};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

/// The least number of bytes between two index entries (Kafka's `index.interval.bytes`).
const INDEX_INTERVAL: u64 = 4_096;

#[derive(Clone, Debug)]
pub(in crate::broker) struct Segment {
    pub(in crate::broker) path: PathBuf,
    /// The lowest offset that it can contain.
    pub(in crate::broker) base: i64,
    /// The offset after its last record.
    pub(in crate::broker) next: i64,
    pub(in crate::broker) size: u64,
    /// The timestamp of its first record.
    pub(in crate::broker) first_timestamp: Option<i64>,
    pub(in crate::broker) max_timestamp: i64,
    index: Vec<Entry>,
}

/// A batch: its last offset, and the greatest timestamp of the segment up to its end.
#[derive(Clone, Copy, Debug)]
struct Entry {
    position: u64,
    last_offset: i64,
    max_timestamp: i64,
}

impl Segment {
    pub(in crate::broker) fn empty(path: PathBuf, base: i64) -> Segment {
        Segment {
            path,
            base,
            next: base,
            size: 0,
            first_timestamp: None,
            max_timestamp: i64::MIN,
            index: Vec::new(),
        }
    }

    /// Indexes an existing file and calls `each` with every header. With `thorough` it also checks the checksums.
    pub(in crate::broker) fn open(
        path: PathBuf,
        base: i64,
        thorough: bool,
        mut each: impl FnMut(&Header),
    ) -> io::Result<Segment> {
        let mut segment = Segment::empty(path, base);
        let mut walk = Walk::from(&segment.path, 0)?;
        while let Some((_, header)) = walk.next()? {
            if header.base_offset < segment.next || thorough && !batch::is_intact(&walk.batch()?) {
                break;
            }
            segment.grow(&header);
            each(&header);
        }
        if segment.size < walk.end {
            let (torn, path) = (walk.end - segment.size, segment.path.display());
            log::warn!("the broker cuts {torn} bytes off {path}: they are no whole record batch");
            OpenOptions::new().write(true).open(&segment.path)?.set_len(segment.size)?;
        }
        Ok(segment)
    }

    /// Notes an appended batch.
    pub(in crate::broker) fn grow(&mut self, header: &Header) {
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
        self.first_timestamp.get_or_insert(header.max_timestamp);
        self.next = header.last_offset() + 1;
        if self.index.last().is_none_or(|last| self.size - last.position >= INDEX_INTERVAL) {
            self.index.push(Entry {
                position: self.size,
                last_offset: header.last_offset(),
                max_timestamp: self.max_timestamp,
            });
        }
        self.size += header.length as u64;
    }

    /// Walks from a batch at or before this offset.
    pub(in crate::broker) fn walk_to_offset(&self, offset: i64) -> io::Result<Walk> {
        self.walk_after(|entry| entry.last_offset < offset)
    }

    /// Walks from a batch at or before the first one of this time or later.
    pub(in crate::broker) fn walk_to_time(&self, time: i64) -> io::Result<Walk> {
        self.walk_after(|entry| entry.max_timestamp < time)
    }

    fn walk_after(&self, is_before: impl Fn(&Entry) -> bool) -> io::Result<Walk> {
        let before = self.index.partition_point(is_before).checked_sub(1);
        let position = before.and_then(|last| self.index.get(last)).map_or(0, |entry| entry.position);
        Walk::from(&self.path, position)
    }
}

/// A walk over the batches of a file.
pub(in crate::broker) struct Walk {
    file: BufReader<File>,
    position: u64,
    end: u64,
    head: [u8; HEADER],
    /// Unread bytes of the current batch.
    unread: usize,
}

impl Walk {
    fn from(path: &Path, position: u64) -> io::Result<Walk> {
        let mut file = File::open(path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(position))?;
        Ok(Walk { file: BufReader::new(file), position, end, head: [0; HEADER], unread: 0 })
    }

    /// The next batch's position and header; `None` if no complete batch follows.
    pub(in crate::broker) fn next(&mut self) -> io::Result<Option<(u64, Header)>> {
        self.file.seek_relative(self.unread as i64)?;
        self.unread = 0;
        let left = self.end.saturating_sub(self.position);
        if left < HEADER as u64 {
            return Ok(None);
        }
        self.file.read_exact(&mut self.head)?;
        let Some(header) = Header::read(&self.head).filter(|header| header.length as u64 <= left) else {
            return Ok(None);
        };
        let at = self.position;
        self.unread = header.length - HEADER;
        self.position += header.length as u64;
        Ok(Some((at, header)))
    }

    /// The whole batch of the last header.
    pub(in crate::broker) fn batch(&mut self) -> io::Result<Vec<u8>> {
        let mut batch = self.head.to_vec();
        batch.resize(HEADER + self.unread, 0);
        self.unread = 0;
        self.file.read_exact(&mut batch[HEADER..])?;
        Ok(batch)
    }
}
