//! One partition: a folder of segments. The newest one grows.
//!
//! ```text
//!   settings   a topic's settings
//!   batch      a record batch as bytes
//!   segment    one file of batches, and its index
//!   producers  which batches were sent before
//!   compact    the newest record of each key
//! ```
//!
//! An acknowledged record is in the page cache, so it survives any end of the process. Files are synced when they are full
//! and when the broker stops. A power cut can lose what the system has not written yet.

pub(super) mod batch;
mod compact;
mod producers;
mod segment;
pub(super) mod settings;

use crate::broker::log::{batch::Header, producers::Producers, segment::Segment, settings::Settings};
use kafka_protocol::ResponseError;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::sync::Notify;

/// Holds the first offset after a DeleteRecords request.
const START_FILE: &str = "start";

pub(super) struct Partition(Mutex<Log>);

pub(super) struct Log {
    folder: PathBuf,
    /// Full segments, oldest first.
    sealed: Vec<Segment>,
    active: Segment,
    file: File,
    start: i64,
    producers: Producers,
    /// Fetches that wait for the next record.
    waiting: Vec<Weak<Notify>>,
    /// The offset up to which the last compaction went.
    compacted_to: i64,
    deleted: bool,
}

/// The offset of a batch, and its time if the broker sets it.
pub(super) struct Appended {
    pub(super) offset: i64,
    pub(super) time: Option<i64>,
}

impl Partition {
    /// Opens a folder, or creates it.
    pub(super) fn open(folder: PathBuf, now: i64) -> io::Result<Partition> {
        Ok(Partition(Mutex::new(Log::open(folder, now)?)))
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes segments beyond the topic's retention. It must not run during a compaction.
    pub(super) fn shorten(&self, now: i64, settings: &Settings) -> io::Result<()> {
        let mut log = self.log();
        log.producers.forget_silent(now);
        if settings.deletes { log.delete_old(now, settings) } else { Ok(()) }
    }

    /// Compacts if the topic is compacted and enough has changed.
    pub(super) fn compact(&self, now: i64, settings: &Settings) -> io::Result<()> {
        if settings.compacts { compact::compact(self, now, settings) } else { Ok(()) }
    }
}

impl Log {
    fn open(folder: PathBuf, now: i64) -> io::Result<Log> {
        fs::create_dir_all(&folder)?;
        compact::finish_swaps(&folder)?;
        let mut bases: Vec<i64> =
            names(&folder)?.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect();
        bases.sort_unstable();
        let newest = bases.pop().unwrap_or(0);
        let mut producers = Producers::default();
        let mut sealed = Vec::new();
        for base in bases {
            let path = segment_path(&folder, base);
            sealed.push(Segment::open(path, base, false, |header| producers.note(header, now))?);
        }
        let path = segment_path(&folder, newest);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        let active = Segment::open(path, newest, true, |header| producers.note(header, now))?;
        let first = sealed.first().map_or(newest, |segment| segment.base);
        let start = fs::read_to_string(folder.join(START_FILE)).ok().and_then(|text| text.parse().ok());
        Ok(Log {
            start: start.unwrap_or(0).max(first),
            folder,
            sealed,
            active,
            file,
            producers,
            waiting: Vec::new(),
            compacted_to: 0,
            deleted: false,
        })
    }

    /// The first offset.
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// The offset that the next record gets.
    pub(super) fn end(&self) -> i64 {
        self.active.next
    }

    /// Appends a checked batch, unless it is a duplicate.
    pub(super) fn append(
        &mut self,
        now: i64,
        settings: &Settings,
        mut header: Header,
        batch: &mut [u8],
    ) -> Result<Appended, ResponseError> {
        if self.deleted {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        if let Some(repeated) = self.producers.check(&header)? {
            return Ok(repeated);
        }
        let time = settings.append_time.then_some(now);
        if time.is_some() {
            batch::stamp(batch, &mut header, now);
        }
        self.write(settings, &mut header, batch).map_err(|error| {
            log::error!("the broker can't write to {}: {error}", self.folder.display());
            ResponseError::KafkaStorageError
        })?;
        self.producers.note(&header, now);
        self.waiting.drain(..).filter_map(|fetch| fetch.upgrade()).for_each(|fetch| fetch.notify_one());
        Ok(Appended { offset: header.base_offset, time })
    }

    fn write(&mut self, settings: &Settings, header: &mut Header, batch: &mut [u8]) -> io::Result<()> {
        let first = self.active.first_timestamp.unwrap_or(header.max_timestamp);
        let is_full = self.active.size + batch.len() as u64 > settings.segment_bytes;
        let is_over = header.max_timestamp.saturating_sub(first) > settings.segment_ms;
        if self.active.size > 0 && (is_full || is_over) {
            self.roll()?;
        }
        let offset = self.active.next;
        batch::place(batch, offset);
        header.base_offset = offset;
        if let Err(error) = self.file.write_all_at(batch, self.active.size) {
            // If the rest of this batch can't be cut off, the next batch overwrites it.
            let _ = self.file.set_len(self.active.size);
            return Err(error);
        }
        self.active.grow(header);
        Ok(())
    }

    /// Seals the active segment and begins another.
    fn roll(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let path = segment_path(&self.folder, self.active.next);
        self.file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
        let next = Segment::empty(path, self.active.next);
        self.sealed.push(std::mem::replace(&mut self.active, next));
        Ok(())
    }

    /// Reads batches from this offset on: at most `max_bytes`, but at least one batch. None at the end.
    pub(super) fn read(&self, offset: i64, max_bytes: u64) -> io::Result<Vec<u8>> {
        let Some(segment) = self.segments().find(|segment| segment.next > offset) else {
            return Ok(Vec::new());
        };
        let mut walk = segment.walk_to_offset(offset)?;
        while let Some((position, header)) = walk.next()? {
            if header.last_offset() >= offset {
                // The last batch may be incomplete; clients ignore it. Kafka does the same.
                let length = max_bytes.min(segment.size - position).max(header.length as u64);
                let mut file = File::open(&segment.path)?;
                file.seek(SeekFrom::Start(position))?;
                let mut batches = Vec::new();
                file.take(length).read_to_end(&mut batches)?;
                return Ok(batches);
            }
        }
        Ok(Vec::new())
    }

    /// Offset and time of the first record of this time or later.
    pub(super) fn find_time(&self, time: i64) -> io::Result<Option<(i64, i64)>> {
        for segment in self.segments().filter(|segment| segment.max_timestamp >= time) {
            let mut walk = segment.walk_to_time(time)?;
            while let Some((_, header)) = walk.next()? {
                if header.max_timestamp < time || header.last_offset() < self.start {
                    continue;
                }
                if header.is_compressed() {
                    return Ok(Some((header.base_offset.max(self.start), header.max_timestamp)));
                }
                let batch = walk.batch()?;
                let records = batch::records(&header, &batch).unwrap_or_default();
                let mut records = records.iter().map(|record| (record.offset, record.timestamp));
                let found = records.find(|(offset, found)| *found >= time && *offset >= self.start);
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// Offset and time of the first record with the greatest timestamp.
    pub(super) fn find_newest(&self) -> io::Result<Option<(i64, i64)>> {
        let newest = self.segments().map(|segment| segment.max_timestamp).max();
        newest.filter(|_| self.start < self.end()).map_or(Ok(None), |newest| self.find_time(newest))
    }

    /// Wakes this fetch when the next record arrives.
    pub(super) fn wake(&mut self, fetch: &Arc<Notify>) {
        self.waiting.retain(|waiting| waiting.strong_count() > 0);
        self.waiting.push(Arc::downgrade(fetch));
    }

    /// Ends the partition: its folder is about to be deleted.
    pub(super) fn close(&mut self) {
        self.deleted = true;
        self.waiting.drain(..).filter_map(|fetch| fetch.upgrade()).for_each(|fetch| fetch.notify_one());
    }

    /// Makes the present records durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Makes this the first offset.
    pub(super) fn delete_before(&mut self, offset: i64) -> io::Result<()> {
        write_whole(&self.folder.join(START_FILE), offset.to_string().as_bytes())?;
        self.start = self.start.max(offset);
        while self.sealed.first().is_some_and(|first| first.next <= self.start) {
            fs::remove_file(self.sealed.remove(0).path)?;
        }
        Ok(())
    }

    fn delete_old(&mut self, now: i64, settings: &Settings) -> io::Result<()> {
        let is_old = |segment: &Segment| {
            settings.retention_ms.is_some_and(|kept| now.saturating_sub(segment.max_timestamp) > kept)
        };
        if !self.deleted && self.active.size > 0 && is_old(&self.active) {
            self.roll()?;
        }
        while let Some(first) = self.sealed.first() {
            let left = self.segments().skip(1).map(|segment| segment.size).sum::<u64>();
            if self.deleted || !is_old(first) && settings.retention_bytes.is_none_or(|kept| left < kept) {
                break;
            }
            fs::remove_file(&first.path)?;
            self.sealed.remove(0);
            let first = self.sealed.first().unwrap_or(&self.active);
            self.start = self.start.max(first.base);
        }
        Ok(())
    }

    fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.sealed.iter().chain([&self.active])
    }
}

/// Kafka's name for the file.
fn segment_path(folder: &Path, base: i64) -> PathBuf {
    folder.join(format!("{base:020}.log"))
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Writes a file atomically.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, content)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests;
