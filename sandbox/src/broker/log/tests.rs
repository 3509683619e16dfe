use super::{batch::put_varint, *};
use std::{collections::BTreeMap, time::Duration};

const HOUR: i64 = 3_600_000;
const START: i64 = 1_700_000_000_000;

fn settings(given: &[(&str, &str)]) -> Settings {
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::parse(given.collect::<BTreeMap<_, _>>()).unwrap()
}

/// A batch of records, each with a key, an optional value and a timestamp.
fn batch(producer: (i64, i32), records: &[(&str, Option<&str>, i64)]) -> Vec<u8> {
    let mut body = Vec::new();
    let first = records.iter().map(|(.., time)| *time).min().unwrap();
    for (delta, (key, value, time)) in (0_i64..).zip(records) {
        let mut record = vec![0];
        put_varint(&mut record, time - first);
        put_varint(&mut record, delta);
        put_varint(&mut record, key.len() as i64);
        record.extend(key.as_bytes());
        put_varint(&mut record, value.map_or(-1, |value| value.len() as i64));
        record.extend(value.unwrap_or_default().as_bytes());
        put_varint(&mut record, 0);
        put_varint(&mut body, record.len() as i64);
        body.extend(record);
    }
    let count = i32::try_from(records.len()).unwrap();
    let mut checked = vec![0, 0];
    checked.extend((count - 1).to_be_bytes());
    checked.extend(first.to_be_bytes());
    checked.extend(records.iter().map(|(.., time)| *time).max().unwrap().to_be_bytes());
    checked.extend(producer.0.to_be_bytes());
    checked.extend(0_i16.to_be_bytes());
    checked.extend(producer.1.to_be_bytes());
    checked.extend(count.to_be_bytes());
    checked.extend(body);
    let mut batch = vec![0; 8];
    batch.extend(i32::try_from(9 + checked.len()).unwrap().to_be_bytes());
    batch.extend([0, 0, 0, 0, 2]);
    batch.extend(crc32c::crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

fn append(partition: &Partition, settings: &Settings, mut batch: Vec<u8>) -> Result<i64, ResponseError> {
    let header = Header::read(&batch).unwrap();
    partition.log().append(START, settings, header, &mut batch).map(|appended| appended.offset)
}

fn append_one(partition: &Partition, settings: &Settings, key: &str, value: Option<&str>, time: i64) -> i64 {
    append(partition, settings, batch((-1, -1), &[(key, value, time)])).unwrap()
}

/// Of all records: the offset, the key, and whether it is a tombstone.
fn read_all(partition: &Partition) -> Vec<(i64, String, bool)> {
    let log = partition.log();
    let (mut read, mut next) = (Vec::new(), log.start());
    while next < log.end() {
        let bytes = log.read(next, u64::MAX).unwrap();
        let mut rest = bytes.as_slice();
        if rest.is_empty() {
            return read;
        }
        while let Some(header) = Header::read(rest) {
            assert!(batch::is_intact(&rest[..header.length]));
            for record in batch::records(&header, &rest[..header.length]).unwrap() {
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                read.push((record.offset, key, record.tombstone));
            }
            next = header.last_offset() + 1;
            rest = &rest[header.length..];
        }
    }
    read
}

fn open(folder: &tempfile::TempDir) -> Partition {
    Partition::open(folder.path().join("0"), START).unwrap()
}

fn offsets(partition: &Partition) -> Vec<i64> {
    read_all(partition).into_iter().map(|(offset, ..)| offset).collect()
}

#[test]
fn what_is_torn_or_damaged_at_the_end_is_cut_off_and_the_rest_stays() {
    let whole = batch((-1, -1), &[("a", Some("1"), START), ("b", Some("2"), START)]);
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    batch::place(&mut damaged, 2);
    let mut again = whole.clone();
    batch::place(&mut again, 1);
    for tail in [&whole[..1], &whole[..70], &[0_u8; 200][..], &damaged, &again] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&[]);
        append(&open(&folder), &settings, whole.clone()).unwrap();
        let path = segment_path(&folder.path().join("0"), 0);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(tail);
        fs::write(&path, bytes).unwrap();
        let partition = open(&folder);
        assert_eq!(offsets(&partition), [0, 1]);
        assert_eq!(append_one(&partition, &settings, "c", None, START), 2);
        assert_eq!(offsets(&open(&folder)), [0, 1, 2]);
    }
}

#[test]
fn a_producer_is_known_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&[]);
    let sent = |sequence| batch((7, sequence), &[("a", Some("1"), START)]);
    assert_eq!(append(&open(&folder), &settings, sent(0)), Ok(0));
    let partition = open(&folder);
    assert_eq!(append(&partition, &settings, sent(0)), Ok(0));
    assert_eq!(append(&partition, &settings, sent(2)), Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(append(&partition, &settings, sent(1)), Ok(1));
    assert_eq!(offsets(&partition), [0, 1]);
}

#[test]
fn sequence_numbers_go_on_with_zero_after_the_greatest() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&[]);
    let partition = open(&folder);
    let records = [("a", None, START), ("b", None, START)];
    assert_eq!(append(&partition, &settings, batch((7, i32::MAX), &records)), Ok(0));
    assert_eq!(
        append(&partition, &settings, batch((7, 2), &records)),
        Err(ResponseError::OutOfOrderSequenceNumber)
    );
    assert_eq!(append(&partition, &settings, batch((7, 1), &records)), Ok(2));
}

#[test]
fn any_offset_and_time_is_found_through_the_index_of_any_segment() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&[("segment.bytes", "1048576")]);
    let partition = open(&folder);
    let value = "x".repeat(3_000);
    for second in 0..1_000 {
        append_one(&partition, &settings, "key", Some(&value), START + second * 1_000);
    }
    for partition in [partition, open(&folder)] {
        let log = partition.log();
        assert_eq!(log.sealed.len(), 2);
        for offset in (0..1_000).step_by(37).chain([999]) {
            let found = Header::read(&log.read(offset, 1).unwrap()).unwrap();
            assert_eq!(found.base_offset, offset);
            let time = START + offset * 1_000;
            assert_eq!(log.find_time(time).unwrap(), Some((offset, time)));
            assert_eq!(log.find_time(time - 999).unwrap(), Some((offset, time)));
        }
        assert_eq!(log.find_time(START + 1_000_000).unwrap(), None);
        assert_eq!(log.find_newest().unwrap(), Some((999, START + 999_000)));
        assert!(log.read(1_000, 1).unwrap().is_empty());
    }
}

#[test]
fn a_time_is_found_inside_of_a_batch_and_when_clocks_were_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let partition = open(&folder);
    let settings = settings(&[]);
    append(&partition, &settings, batch((-1, -1), &[("a", None, START), ("b", None, START + 10)])).unwrap();
    append_one(&partition, &settings, "c", None, START - HOUR);
    append_one(&partition, &settings, "d", None, START + 20);
    let log = partition.log();
    assert_eq!(log.find_time(START + 5).unwrap(), Some((1, START + 10)));
    assert_eq!(log.find_time(START + 11).unwrap(), Some((3, START + 20)));
    assert_eq!(log.find_time(0).unwrap(), Some((0, START)));
    assert_eq!(log.find_newest().unwrap(), Some((3, START + 20)));
}

#[test]
fn a_clock_that_was_set_back_loses_nothing_and_no_record_of_a_time_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let stamped = settings(&[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "86400000")]);
    let partition = open(&folder);
    let clock = [START, START + HOUR, START - 100 * HOUR, START - 99 * HOUR];
    for now in clock {
        let mut batch = batch((-1, -1), &[("key", Some("value"), 0)]);
        let header = Header::read(&batch).unwrap();
        let appended = partition.log().append(now, &stamped, header, &mut batch).unwrap();
        assert_eq!(appended.time, Some(now));
        partition.shorten(now, &stamped).unwrap();
    }
    for partition in [partition, open(&folder)] {
        assert_eq!(offsets(&partition), [0, 1, 2, 3]);
        // From the offset of a time on, a reader gets all records of that time or later.
        for (now, first) in [(START - 100 * HOUR, 0), (START, 0), (START + 1, 1), (START + HOUR, 1)] {
            assert_eq!(partition.log().find_time(now).unwrap().map(|(offset, _)| offset), Some(first));
        }
        assert_eq!(partition.log().find_time(START + HOUR + 1).unwrap(), None);
    }
}

#[test]
fn records_are_deleted_by_age_and_by_size_and_the_offsets_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let kept = settings(&[("retention.ms", "7200000"), ("segment.ms", "1800000")]);
    let partition = open(&folder);
    for hour in 0..4 {
        append_one(&partition, &kept, "key", None, START + hour * HOUR);
    }
    partition.shorten(START + 3 * HOUR, &kept).unwrap();
    assert_eq!((offsets(&partition), partition.log().start()), (vec![1, 2, 3], 1));
    // A clock that was set back deletes nothing.
    partition.shorten(START - 100 * HOUR, &kept).unwrap();
    assert_eq!(offsets(&partition), [1, 2, 3]);
    let small = settings(&[("retention.bytes", "100")]);
    partition.shorten(START, &small).unwrap();
    assert_eq!(offsets(&partition), [2, 3]);
    partition.shorten(START + 100 * HOUR, &kept).unwrap();
    let partition = open(&folder);
    assert!(offsets(&partition).is_empty());
    let ends = |log: &Log| (log.start(), log.end());
    assert_eq!(ends(&partition.log()), (4, 4));
    assert_eq!(append_one(&partition, &kept, "key", None, START), 4);
}

#[test]
fn compaction_keeps_the_newest_of_each_key_and_a_tombstone_for_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let compact = settings(&[
        ("cleanup.policy", "compact"),
        ("segment.ms", "1"),
        ("delete.retention.ms", "3600000"),
        ("min.cleanable.dirty.ratio", "0"),
    ]);
    let partition = open(&folder);
    let old =
        batch((-1, -1), &[("ada", Some("1"), START), ("bob", Some("1"), START), ("ada", Some("2"), START)]);
    append(&partition, &compact, old).unwrap();
    append_one(&partition, &compact, "bob", None, START + 10);
    append_one(&partition, &compact, "eve", Some("1"), START + 20);
    append_one(&partition, &compact, "ada", Some("3"), START + 30);
    // However old a tombstone is, its retention begins at its first compaction.
    let now = START + 100 * HOUR;
    partition.compact(now, &compact).unwrap();
    let newest = [(3, "bob", true), (4, "eve", false), (5, "ada", false)];
    let expected = newest.map(|(offset, key, tombstone)| (offset, key.to_owned(), tombstone));
    assert_eq!(read_all(&partition), expected);
    assert_eq!(read_all(&open(&folder)), expected);

    let partition = open(&folder);
    append_one(&partition, &compact, "eve", Some("2"), START + 40);
    partition.compact(now + HOUR - 1, &compact).unwrap();
    assert_eq!(offsets(&partition), [3, 5, 6]);
    // A rewrite does not begin its retention again, and a clock that was set back does not end it.
    append_one(&partition, &compact, "eve", Some("3"), START + 50);
    partition.compact(START, &compact).unwrap();
    assert_eq!(offsets(&partition), [3, 5, 6, 7]);
    append_one(&partition, &compact, "eve", Some("4"), START + 60);
    partition.compact(now + HOUR, &compact).unwrap();
    assert_eq!(offsets(&partition), [5, 8]);
    assert_eq!(offsets(&open(&folder)), [5, 8]);
    assert_eq!(append_one(&partition, &compact, "eve", Some("5"), START + 70), 9);
}

#[test]
fn a_record_keeps_its_time_when_its_batch_is_compacted() {
    for stamped in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let kind = if stamped { "LogAppendTime" } else { "CreateTime" };
        let compact = settings(&[
            ("cleanup.policy", "compact"),
            ("segment.ms", "1"),
            ("min.cleanable.dirty.ratio", "0"),
            ("message.timestamp.type", kind),
        ]);
        let partition = open(&folder);
        let mixed = [("ada", Some("1"), START - 9), ("bob", None, START - 7), ("eve", Some("1"), START - 5)];
        append(&partition, &compact, batch((-1, -1), &mixed)).unwrap();
        append_one(&partition, &compact, "ada", Some("2"), START + 10);
        append_one(&partition, &compact, "end", Some("1"), START + 20);
        partition.compact(START + HOUR, &compact).unwrap();
        let bytes = partition.log().read(0, u64::MAX).unwrap();
        let header = Header::read(&bytes).unwrap();
        let records = batch::records(&header, &bytes[..header.length]).unwrap();
        let times: Vec<_> = records.iter().map(|record| (record.offset, record.timestamp)).collect();
        assert_eq!(times, if stamped { [(1, START), (2, START)] } else { [(1, START - 7), (2, START - 5)] });
        assert_eq!(header.is_stamped(), stamped);
        assert_eq!(header.delete_horizon(), Some(START + HOUR + 24 * HOUR));
    }
}

#[test]
fn what_is_younger_than_the_lag_is_not_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let compact = settings(&[
        ("cleanup.policy", "compact"),
        ("segment.ms", "1"),
        ("min.cleanable.dirty.ratio", "0"),
        ("min.compaction.lag.ms", "3600000"),
    ]);
    let partition = open(&folder);
    for number in 0..4 {
        append_one(&partition, &compact, "ada", Some("1"), START + number * HOUR / 2);
    }
    partition.compact(START + HOUR, &compact).unwrap();
    assert_eq!(offsets(&partition), [0, 1, 2, 3]);
    partition.compact(START + HOUR + HOUR / 2, &compact).unwrap();
    assert_eq!(offsets(&partition), [1, 2, 3]);
}

#[test]
fn a_compaction_that_was_killed_is_finished_or_forgotten_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let compact = settings(&[("cleanup.policy", "compact"), ("segment.ms", "1")]);
    let partition = open(&folder);
    for number in 0..3 {
        append_one(&partition, &compact, "ada", Some("1"), START + number * 10);
    }
    drop(partition);
    let files = folder.path().join("0");
    // The first two segments were replaced by the content of the second.
    let (first, second) = (segment_path(&files, 0), segment_path(&files, 1));
    fs::copy(&second, files.join(format!("{:020}-{:020}.swap", 0, 1))).unwrap();
    fs::write(files.join("00000000000000000002.cleaned"), "half").unwrap();
    let partition = open(&folder);
    assert_eq!(offsets(&partition), [1, 2]);
    assert!(first.exists() && !second.exists());
    assert!(names(&files).unwrap().iter().all(|name| name.ends_with(".log")));
}

#[test]
fn a_write_that_fails_is_kafkas_storage_error_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&[]);
    let partition = open(&folder);
    append_one(&partition, &settings, "a", None, START);
    // Any write to this file fails, as on a full disk.
    let unwritable = File::open(segment_path(&folder.path().join("0"), 0)).unwrap();
    let sound = std::mem::replace(&mut partition.log().file, unwritable);
    let refused = append(&partition, &settings, batch((-1, -1), &[("b", None, START)]));
    assert_eq!(refused, Err(ResponseError::KafkaStorageError));
    partition.log().file = sound;
    assert_eq!(append_one(&partition, &settings, "c", None, START), 1);
    assert_eq!(offsets(&open(&folder)), [0, 1]);
}

#[test]
fn a_fetch_that_waits_is_woken_once_and_forgotten_when_it_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let partition = open(&folder);
    let (stays, goes) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    partition.log().wake(&goes);
    drop(goes);
    partition.log().wake(&stays);
    assert_eq!(partition.log().waiting.len(), 1);
    append_one(&partition, &settings(&[]), "a", None, START);
    assert!(partition.log().waiting.is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(1), stays.notified()).await }).unwrap();
}
