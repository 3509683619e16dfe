use super::*;

pub(crate) async fn a_record_comes_back_with_key_value_headers_and_timestamp(bootstrap: &str) {
    create_topic(bootstrap, topic("whole", 1)).await.unwrap();
    let record = FutureRecord::to("whole")
        .key("ada")
        .payload("hello")
        .timestamp(1_700_000_000_123)
        .headers(owned_headers(&[("ce_type", "user_account_created"), ("ce_id", "1")]));
    producer(bootstrap).send(record, DEADLINE).await.unwrap();

    let read = read_to_end(&reader(bootstrap, "whole", 0), |record| {
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

pub(crate) async fn a_null_value_stays_null(bootstrap: &str) {
    create_topic(bootstrap, topic("tombstones", 1).set("cleanup.policy", "compact")).await.unwrap();
    producer(bootstrap).send(FutureRecord::<_, ()>::to("tombstones").key("ada"), DEADLINE).await.unwrap();
    let read = read_to_end(&reader(bootstrap, "tombstones", 0), |record| record.payload().map(<[u8]>::len));
    assert_eq!(read, [None]);
}

pub(crate) async fn an_idempotent_producer_writes_each_record_once_and_in_order(bootstrap: &str) {
    const RECORDS: usize = 500;
    create_topic(bootstrap, topic("ordered", 1)).await.unwrap();
    let producer = producer(bootstrap);
    let values: Vec<String> = (0..RECORDS).map(|number| number.to_string()).collect();
    let sent: Vec<_> = values
        .iter()
        .map(|value| producer.send_result(FutureRecord::to("ordered").key("key").payload(value)).unwrap())
        .collect();
    for (number, ack) in sent.into_iter().enumerate() {
        assert_eq!(ack.await.unwrap().unwrap().offset, i64::try_from(number).unwrap());
    }
    assert_eq!(read_to_end(&reader(bootstrap, "ordered", 0), value), values);
}

pub(crate) async fn all_kinds_of_acks_are_written(bootstrap: &str) {
    create_topic(bootstrap, topic("acks", 1)).await.unwrap();
    for acks in ["0", "1", "all"] {
        let producer: FutureProducer = client(bootstrap).set("acks", acks).create().unwrap();
        send(&producer, "acks", 0, "key", acks).await;
        // Without an ack, only a read shows when the record is there.
        let started = Instant::now();
        while read_to_end(&reader(bootstrap, "acks", 0), value).last().map(String::as_str) != Some(acks) {
            assert!(started.elapsed() < DEADLINE, "acks={acks}");
        }
    }
    assert_eq!(read_to_end(&reader(bootstrap, "acks", 0), value), ["0", "1", "all"]);
}

pub(crate) async fn a_record_that_is_larger_than_the_topic_takes_is_refused(bootstrap: &str) {
    create_topic(bootstrap, topic("small", 1).set("max.message.bytes", "1000")).await.unwrap();
    let producer = producer(bootstrap);
    let large = "x".repeat(2_000);
    let record = FutureRecord::to("small").key("key").payload(&large);
    let (error, _) = producer.send(record, DEADLINE).await.unwrap_err();
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::MessageSizeTooLarge));
}

pub(crate) async fn a_compacted_topic_takes_no_record_without_a_key(bootstrap: &str) {
    create_topic(bootstrap, topic("keys", 1).set("cleanup.policy", "compact")).await.unwrap();
    let record = FutureRecord::<(), _>::to("keys").payload("value");
    let (error, _) = producer(bootstrap).send(record, DEADLINE).await.unwrap_err();
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::InvalidRecord));
}

pub(crate) async fn records_in_compressed_batches_come_back(bootstrap: &str) {
    create_topic(bootstrap, topic("compressed", 1)).await.unwrap();
    let producer: FutureProducer =
        client(bootstrap).set("compression.type", "lz4").set("linger.ms", "50").create().unwrap();
    let values: Vec<String> = (0..100).map(|number| format!("{number} of the same words")).collect();
    let sent: Vec<_> = values
        .iter()
        .map(|value| producer.send_result(FutureRecord::to("compressed").key("key").payload(value)).unwrap())
        .collect();
    for ack in sent {
        ack.await.unwrap().unwrap();
    }
    assert_eq!(read_to_end(&reader(bootstrap, "compressed", 0), value), values);
}

pub(crate) async fn watermarks_tell_where_a_partition_ends(bootstrap: &str) {
    create_topic(bootstrap, topic("marks", 2)).await.unwrap();
    let producer = producer(bootstrap);
    for _ in 0..3 {
        send(&producer, "marks", 1, "key", "value").await;
    }
    let consumer = reader(bootstrap, "marks", 0);
    assert_eq!(consumer.fetch_watermarks("marks", 0, DEADLINE).unwrap(), (0, 0));
    assert_eq!(consumer.fetch_watermarks("marks", 1, DEADLINE).unwrap(), (0, 3));
}

pub(crate) async fn deleted_records_move_the_start(bootstrap: &str) {
    create_topic(bootstrap, topic("shortened", 1)).await.unwrap();
    let producer = producer(bootstrap);
    for number in 0..3 {
        send(&producer, "shortened", 0, "key", &number.to_string()).await;
    }
    let mut before = TopicPartitionList::new();
    before.add_partition_offset("shortened", 0, Offset::Offset(2)).unwrap();
    let deleted = admin(bootstrap).delete_records(&before, &AdminOptions::new()).await.unwrap();
    deleted.elements()[0].error().unwrap();
    let consumer = reader(bootstrap, "shortened", 0);
    assert_eq!(consumer.fetch_watermarks("shortened", 0, DEADLINE).unwrap(), (2, 3));
    assert_eq!(read_to_end(&consumer, value), ["2"]);
}
