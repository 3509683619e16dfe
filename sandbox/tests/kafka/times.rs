use std::time::SystemTime;

use super::*;

pub(crate) async fn offsets_are_found_by_time(bootstrap: &str) {
    const FIRST: i64 = 1_700_000_000_000;
    create_topic(bootstrap, topic("times", 1)).await.unwrap();
    let producer = producer(bootstrap);
    for second in 0..5 {
        let record = FutureRecord::to("times").key("key").payload("value").timestamp(FIRST + second * 1_000);
        producer.send(record, DEADLINE).await.unwrap();
    }
    let consumer = reader(bootstrap, "times", 0);
    let offset_at = |time| offset_at(&consumer, "times", time);
    assert_eq!(offset_at(FIRST - 60_000), Offset::Offset(0));
    assert_eq!(offset_at(FIRST + 1_500), Offset::Offset(2));
    assert_eq!(offset_at(FIRST + 2_000), Offset::Offset(2));
    assert_eq!(offset_at(FIRST + 60_000), Offset::End);
}

fn offset_at(consumer: &BaseConsumer, topic: &str, time: i64) -> Offset {
    let mut times = TopicPartitionList::new();
    times.add_partition_offset(topic, 0, Offset::Offset(time)).unwrap();
    consumer.offsets_for_times(times, DEADLINE).unwrap().elements()[0].offset()
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

pub(crate) async fn the_broker_stamps_records_when_the_topic_says_so(bootstrap: &str) {
    const LONG_AGO: i64 = 1_700_000_000_000;
    let stamped = topic("stamped", 1).set("message.timestamp.type", "LogAppendTime");
    create_topic(bootstrap, stamped).await.unwrap();
    let before = now();
    let reported =
        send_batch(&batches(bootstrap), "stamped", &[("ada", Some("1")), ("bob", None)], LONG_AGO).await;
    let after = now();
    let read = read_to_end(&reader(bootstrap, "stamped", 0), |record| record.timestamp());
    assert_eq!(read, reported, "a delivery report has the time that readers see");
    let Timestamp::LogAppendTime(time) = read[0] else { panic!("{read:?}") };
    assert_eq!(read[0], read[1], "they came in one batch");
    assert!((before..=after).contains(&time), "{time} is not from {before} to {after}");

    let consumer = reader(bootstrap, "stamped", 0);
    let offset_at = |time| offset_at(&consumer, "stamped", time);
    assert_eq!(offset_at(LONG_AGO + 60_000), Offset::Offset(0));
    assert_eq!(offset_at(time), Offset::Offset(0));
    assert_eq!(offset_at(time + 1), Offset::End);
}

pub(crate) async fn a_waiting_fetch_is_answered_by_the_next_record(bootstrap: &str) {
    create_topic(bootstrap, topic("prompt", 1)).await.unwrap();
    let producer = producer(bootstrap);
    let consumer = reader_with(bootstrap, "prompt", 0, "10000");
    for number in 0..5 {
        // Long enough for the fetch to reach the broker.
        assert!(!matches!(consumer.poll(Duration::from_millis(200)), Some(Ok(_))));
        let started = Instant::now();
        send(&producer, "prompt", 0, "key", &number.to_string()).await;
        assert_eq!(next(&consumer), number.to_string());
        let took = started.elapsed();
        // The first ack takes a moment longer.
        assert!(took < Duration::from_secs(3), "read after {took:?}, with 10 s to wait");
    }
}

pub(crate) async fn a_fetch_with_nothing_to_read_takes_its_time(bootstrap: &str) {
    create_topic(bootstrap, topic("quiet", 1)).await.unwrap();
    let started = Instant::now();
    let (error, end) = raw::Client::connect(bootstrap).fetch("quiet", 0, 0, 400);
    assert_eq!((error, end), (0, 0));
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(400), "{took:?}");
    let started = Instant::now();
    let (error, _) = raw::Client::connect(bootstrap).fetch("quiet", 0, 7, 10_000);
    assert_eq!(error, 1, "the offset is out of range");
    assert!(started.elapsed() < Duration::from_secs(5), "an error is answered at once");
}
