use super::*;

#[tokio::test]
async fn a_record_comes_back_with_key_value_headers_and_timestamp() {
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("whole", 1)).await.unwrap();
    let record = FutureRecord::to("whole")
        .key("ada")
        .payload("hello")
        .timestamp(1_700_000_000_123)
        .headers(owned_headers(&[("ce_type", "user_account_created"), ("ce_id", "1")]));
    producer(&bootstrap).send(record, DEADLINE).await.unwrap();

    let read = read_to_end(&reader(&bootstrap, "whole", 0), |record| {
        assert_eq!(record.key(), Some(&b"ada"[..]));
        assert_eq!(record.timestamp().to_millis(), Some(1_700_000_000_123));
        assert_eq!(
            headers(record),
            [("ce_type".to_owned(), b"user_account_created".to_vec()), ("ce_id".to_owned(), b"1".to_vec())]
        );
        value(record)
    });
    assert_eq!(read, ["hello"]);
}

#[tokio::test]
async fn a_null_value_stays_null() {
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("tombstones", 1).set("cleanup.policy", "compact")).await.unwrap();
    producer(&bootstrap).send(FutureRecord::<_, ()>::to("tombstones").key("ada"), DEADLINE).await.unwrap();
    let read = read_to_end(&reader(&bootstrap, "tombstones", 0), |record| record.payload().map(<[u8]>::len));
    assert_eq!(read, [None]);
}

#[tokio::test]
async fn an_idempotent_producer_writes_each_record_once_and_in_order() {
    const RECORDS: usize = 500;
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("ordered", 1)).await.unwrap();
    let producer = producer(&bootstrap);
    let values: Vec<String> = (0..RECORDS).map(|number| number.to_string()).collect();
    let sent: Vec<_> = values
        .iter()
        .map(|value| producer.send_result(FutureRecord::to("ordered").key("key").payload(value)).unwrap())
        .collect();
    for (number, ack) in sent.into_iter().enumerate() {
        assert_eq!(ack.await.unwrap().unwrap().offset, i64::try_from(number).unwrap());
    }
    assert_eq!(read_to_end(&reader(&bootstrap, "ordered", 0), value), values);
}

#[tokio::test]
async fn watermarks_tell_where_a_partition_ends() {
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("marks", 2)).await.unwrap();
    let producer = producer(&bootstrap);
    for _ in 0..3 {
        send(&producer, "marks", 1, "key", "value").await;
    }
    let consumer = reader(&bootstrap, "marks", 0);
    assert_eq!(consumer.fetch_watermarks("marks", 0, DEADLINE).unwrap(), (0, 0));
    assert_eq!(consumer.fetch_watermarks("marks", 1, DEADLINE).unwrap(), (0, 3));
}

#[tokio::test]
async fn offsets_are_found_by_time() {
    const FIRST: i64 = 1_700_000_000_000;
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("times", 1)).await.unwrap();
    let producer = producer(&bootstrap);
    for second in 0..5 {
        let record = FutureRecord::to("times").key("key").payload("value").timestamp(FIRST + second * 1_000);
        producer.send(record, DEADLINE).await.unwrap();
    }
    let consumer = reader(&bootstrap, "times", 0);
    let offset_at = |time: i64| {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset("times", 0, Offset::Offset(time)).unwrap();
        consumer.offsets_for_times(times, DEADLINE).unwrap().elements()[0].offset()
    };
    assert_eq!(offset_at(FIRST - 60_000), Offset::Offset(0));
    assert_eq!(offset_at(FIRST + 1_500), Offset::Offset(2));
    assert_eq!(offset_at(FIRST + 2_000), Offset::Offset(2));
    // Kafka answers `End`. Who starts there reads more than needed with this broker, never less.
    assert_eq!(offset_at(FIRST + 60_000), Offset::Offset(0));
}
