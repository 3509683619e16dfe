use super::*;

/// Enough for several rounds of a broker's cleaner on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic that is compacted as soon as the settings allow, except for its newest segment. Each batch gets a segment of its
/// own.
fn compacted(name: &str) -> NewTopic<'_> {
    topic(name, 1)
        .set("cleanup.policy", "compact")
        .set("segment.ms", "1")
        .set("min.cleanable.dirty.ratio", "0")
}

/// Offset, key and time of each record.
fn read(bootstrap: &str, topic: &str) -> Vec<(i64, String, Timestamp)> {
    read_to_end(&reader(bootstrap, topic, 0), |record| {
        let key = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
        (record.offset(), key, record.timestamp())
    })
}

fn has(bootstrap: &str, topic: &str, offset: i64) -> bool {
    read(bootstrap, topic).iter().any(|(found, ..)| *found == offset)
}

/// Writes records of another key, which ends segments, until this record is gone from the first topic.
async fn until_gone(bootstrap: &str, topics: &[&str], offset: i64) {
    let (producer, started) = (producer(bootstrap), Instant::now());
    while has(bootstrap, topics[0], offset) {
        assert!(started.elapsed() < PATIENCE, "offset {offset} of {} is still there", topics[0]);
        for topic in topics {
            send(&producer, topic, 0, "another", "value").await;
        }
    }
}

pub(crate) async fn compaction_keeps_the_newest_record_of_each_key_with_its_time(bootstrap: &str) {
    let mut sent = Vec::new();
    for (name, kind) in [("stamped-newest", "LogAppendTime"), ("newest", "CreateTime")] {
        create_topic(bootstrap, compacted(name).set("message.timestamp.type", kind)).await.unwrap();
        let records = [("ada", Some("1")), ("bob", Some("1")), ("eve", None), ("ada", Some("2"))];
        let times = send_batch(&batches(bootstrap), name, &records, 1_700_000_000_000).await;
        sent.push((name, times[0]));
    }
    until_gone(bootstrap, &["stamped-newest", "newest"], 0).await;
    until_gone(bootstrap, &["newest"], 0).await;
    for (name, time) in sent {
        let kept: Vec<_> = read(bootstrap, name).into_iter().filter(|(_, key, _)| key != "another").collect();
        let expected = [(1, "bob"), (2, "eve"), (3, "ada")];
        assert_eq!(kept, expected.map(|(offset, key)| (offset, key.to_owned(), time)));
    }
}

pub(crate) async fn a_record_younger_than_the_lag_is_not_compacted_away(bootstrap: &str) {
    create_topic(bootstrap, compacted("lag")).await.unwrap();
    create_topic(bootstrap, compacted("long-lag").set("min.compaction.lag.ms", "3600000")).await.unwrap();
    let producer = producer(bootstrap);
    // When the second key has been compacted, the first would have been compacted, too.
    for key in ["ada", "bob"] {
        let mut outdated = -1;
        for topic in ["lag", "long-lag"] {
            outdated = send(&producer, topic, 0, key, "1").await;
            send(&producer, topic, 0, key, "2").await;
        }
        until_gone(bootstrap, &["lag", "long-lag"], outdated).await;
    }
    let offsets: Vec<_> = read(bootstrap, "long-lag").into_iter().map(|(offset, ..)| offset).collect();
    assert_eq!(offsets, (0..i64::try_from(offsets.len()).unwrap()).collect::<Vec<_>>());
}

pub(crate) async fn a_tombstone_outlives_the_records_that_it_ends(bootstrap: &str) {
    let both = ["forgotten", "remembered"];
    for (name, kept_for) in both.into_iter().zip(["0", "3600000"]) {
        create_topic(bootstrap, compacted(name).set("delete.retention.ms", kept_for)).await.unwrap();
        send(&producer(bootstrap), name, 0, "ada", "1").await;
        let tombstone = FutureRecord::<_, ()>::to(name).partition(0).key("ada");
        assert_eq!(producer(bootstrap).send(tombstone, DEADLINE).await.unwrap().offset, 1);
    }
    until_gone(bootstrap, &["remembered", "forgotten"], 0).await;
    until_gone(bootstrap, &both, 1).await;
    assert!(has(bootstrap, "remembered", 1));
}
