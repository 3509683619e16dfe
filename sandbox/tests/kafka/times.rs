use std::time::SystemTime;

use rdkafka::Timestamp;

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
    let offset_at = |time: i64| {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset("times", 0, Offset::Offset(time)).unwrap();
        consumer.offsets_for_times(times, DEADLINE).unwrap().elements()[0].offset()
    };
    assert_eq!(offset_at(FIRST - 60_000), Offset::Offset(0));
    assert_eq!(offset_at(FIRST + 1_500), Offset::Offset(2));
    assert_eq!(offset_at(FIRST + 2_000), Offset::Offset(2));
    assert_eq!(offset_at(FIRST + 60_000), Offset::End);
}

pub(crate) async fn the_broker_stamps_records_when_the_topic_says_so(bootstrap: &str) {
    let stamped = topic("stamped", 1).set("message.timestamp.type", "LogAppendTime");
    create_topic(bootstrap, stamped).await.unwrap();
    let now = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        i64::try_from(since.as_millis()).unwrap()
    };
    let before = now();
    let record = FutureRecord::to("stamped").key("key").payload("value").timestamp(1_700_000_000_000);
    producer(bootstrap).send(record, DEADLINE).await.unwrap();
    let read = read_to_end(&reader(bootstrap, "stamped", 0), |record| match record.timestamp() {
        Timestamp::LogAppendTime(time) => time,
        other => panic!("{other:?}"),
    });
    assert!(read.len() == 1 && (before..=now()).contains(&read[0]), "{read:?}");
}

pub(crate) async fn a_waiting_fetch_is_answered_by_the_next_record(bootstrap: &str) {
    create_topic(bootstrap, topic("prompt", 1)).await.unwrap();
    let producer = producer(bootstrap);
    let consumer = reader_with(bootstrap, "prompt", 0, "10000");
    for number in 0..5 {
        // Long enough for the fetch to be at the broker.
        assert!(!matches!(consumer.poll(Duration::from_millis(200)), Some(Ok(_))));
        let started = Instant::now();
        send(&producer, "prompt", 0, "key", &number.to_string()).await;
        assert_eq!(next(&consumer), number.to_string());
        let took = started.elapsed();
        // The first acknowledgement takes a moment longer.
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
