//! Compaction: the sealed segments keep only the newest record of each key, and small files are joined.
//!
//! A tombstone stays for `delete.retention.ms` after its first compaction. A reader that has read an older record of the key
//! has this time to read the tombstone. Compressed batches stay unchanged. A new file replaces the old ones by a rename; its
//! name says which ones. If the process is killed between these steps, the next start completes them.

use crate::broker::log::{
    Log, Partition,
    batch::{self, Record},
    names,
    segment::Segment,
    segment_path,
    settings::Settings,
};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

/// The offset of the newest record of each key.
type Newest = HashMap<Box<[u8]>, i64>;

/// Compacts a partition if enough has changed. Readers and writers go on meanwhile.
pub(super) fn compact(partition: &Partition, now: i64, settings: &Settings) -> io::Result<()> {
    let Some(segments) = partition.log().worth_compacting(now, settings)? else { return Ok(()) };
    let newest = newest(&segments)?;
    let mut rest = segments.as_slice();
    while let Some(first) = rest.first() {
        let mut size = first.size;
        let fits = rest.iter().skip(1).take_while(|segment| {
            size += segment.size;
            size <= settings.segment_bytes
        });
        let (group, others) = rest.split_at(1 + fits.count());
        rest = others;
        let cleaned = rewrite(group, &newest, now, settings)?;
        partition.log().replace(group, cleaned)?;
    }
    let mut log = partition.log();
    log.compacted_to = segments.last().map_or(log.compacted_to, |segment| segment.next);
    Ok(())
}

impl Log {
    /// The sealed segments, if the share of new data is large enough or some of it has waited long enough.
    fn worth_compacting(&mut self, now: i64, settings: &Settings) -> io::Result<Option<Vec<Segment>>> {
        let age = |segment: &Segment| now.saturating_sub(segment.first_timestamp.unwrap_or(now));
        let longest = settings.segment_ms.min(settings.max_compaction_lag_ms);
        if !self.deleted && self.active.size > 0 && age(&self.active) > longest {
            self.roll()?;
        }
        let lag = settings.min_compaction_lag_ms;
        let may = |segment: &&Segment| lag == 0 || now.saturating_sub(segment.max_timestamp) >= lag;
        let segments: Vec<Segment> = self.sealed.iter().take_while(may).cloned().collect();
        let is_new = |segment: &&Segment| segment.next > self.compacted_to;
        let size = |segment: &Segment| segment.size;
        let fresh: u64 = segments.iter().filter(is_new).map(size).sum();
        let all: u64 = segments.iter().map(size).sum();
        let is_due = segments.iter().filter(is_new).any(|new| age(new) > settings.max_compaction_lag_ms);
        let is_enough = fresh as f64 >= settings.dirty_ratio * all as f64;
        Ok((!self.deleted && fresh > 0 && (is_due || is_enough)).then_some(segments))
    }

    /// Replaces several files by one.
    fn replace(&mut self, old: &[Segment], mut cleaned: Segment) -> io::Result<()> {
        let (Some(first), Some(last), false) = (old.first(), old.last(), self.deleted) else {
            return fs::remove_file(cleaned.path);
        };
        let swap = self.folder.join(format!("{:020}-{:020}.swap", first.base, last.base));
        fs::rename(&cleaned.path, swap)?;
        finish_swaps(&self.folder)?;
        cleaned.path = segment_path(&self.folder, first.base);
        let at = self.sealed.partition_point(|segment| segment.base < first.base);
        self.sealed.splice(at..at + old.len(), [cleaned]);
        Ok(())
    }
}

/// Completes what [`Log::replace`] began, and deletes unfinished files.
pub(super) fn finish_swaps(folder: &Path) -> io::Result<()> {
    for name in names(folder)? {
        if name.ends_with(".cleaned") {
            fs::remove_file(folder.join(&name))?;
        }
        let Some((first, last)) = name.strip_suffix(".swap").and_then(|range| range.split_once('-')) else {
            continue;
        };
        for old in names(folder)? {
            if old.strip_suffix(".log").is_some_and(|base| (first..=last).contains(&base)) {
                fs::remove_file(folder.join(old))?;
            }
        }
        fs::rename(folder.join(&name), folder.join(format!("{first}.log")))?;
    }
    Ok(())
}

fn newest(segments: &[Segment]) -> io::Result<Newest> {
    let mut newest = Newest::new();
    for segment in segments {
        let mut walk = segment.walk_to_offset(segment.base)?;
        while let Some((_, header)) = walk.next()? {
            let batch = if header.is_compressed() { Vec::new() } else { walk.batch()? };
            for record in batch::records(&header, &batch).unwrap_or_default() {
                if let Some(key) = record.key {
                    newest.insert(key.into(), record.offset);
                }
            }
        }
    }
    Ok(newest)
}

/// Writes the kept records of some segments to a new file beside them.
fn rewrite(group: &[Segment], newest: &Newest, now: i64, settings: &Settings) -> io::Result<Segment> {
    let (path, base) =
        group.first().map(|first| (first.path.with_extension("cleaned"), first.base)).unwrap_or_default();
    let mut file = io::BufWriter::new(File::create(&path)?);
    let mut cleaned = Segment::empty(path, base);
    for segment in group {
        let mut walk = segment.walk_to_offset(segment.base)?;
        while let Some((_, mut header)) = walk.next()? {
            let mut batch = walk.batch()?;
            if !header.is_compressed()
                && let Some(records) = batch::records(&header, &batch)
            {
                let mut horizon = header.delete_horizon();
                let is_over = horizon.is_some_and(|horizon| now >= horizon);
                let is_kept = |record: &&Record<'_>| match record.key {
                    Some(key) => newest.get(key) == Some(&record.offset) && !(record.tombstone && is_over),
                    None => true,
                };
                let kept: Vec<_> = records.iter().filter(is_kept).collect();
                if kept.is_empty() {
                    continue;
                }
                if horizon.is_none() && kept.iter().any(|record| record.tombstone) {
                    horizon = Some(now.saturating_add(settings.delete_retention_ms));
                }
                if kept.len() < records.len() || horizon != header.delete_horizon() {
                    batch = batch::with_records(&batch, &header, &kept, horizon);
                }
                header.length = batch.len();
            }
            file.write_all(&batch)?;
            cleaned.grow(&header);
        }
    }
    file.into_inner()?.sync_all()?;
    Ok(cleaned)
}
