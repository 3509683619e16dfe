use std::collections::BTreeMap;

use rdkafka::admin::{NewPartitions, ResourceSpecifier};

use super::*;

async fn settings(bootstrap: &str, topic: &str) -> BTreeMap<String, String> {
    let described = admin(bootstrap)
        .describe_configs([&ResourceSpecifier::Topic(topic)], &AdminOptions::new())
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let entries = described.entries.into_iter();
    entries.filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

fn partitions(bootstrap: &str, topic: &str) -> usize {
    let metadata = admin(bootstrap).inner().fetch_metadata(Some(topic), DEADLINE).unwrap();
    metadata.topics()[0].partitions().len()
}

pub(crate) async fn topics_are_created_with_partitions_and_configuration(bootstrap: &str) {
    let given = [
        ("cleanup.policy", "compact"),
        ("compression.type", "uncompressed"),
        ("delete.retention.ms", "172800000"),
        ("max.compaction.lag.ms", "259200000"),
        ("message.timestamp.type", "LogAppendTime"),
        ("min.compaction.lag.ms", "172800000"),
        ("segment.ms", "3600000"),
    ];
    let new = given.iter().fold(topic("configured", 6), |new, (name, value)| new.set(name, value));
    create_topic(bootstrap, new).await.unwrap();
    assert_eq!(partitions(bootstrap, "configured"), 6);
    let settings = settings(bootstrap, "configured").await;
    for (name, value) in given {
        assert_eq!(settings[name], value, "{name}");
    }
}

pub(crate) async fn settings_that_were_not_given_are_kafkas(bootstrap: &str) {
    create_topic(bootstrap, topic("plain", 1)).await.unwrap();
    let settings = settings(bootstrap, "plain").await;
    let defaults = [
        ("cleanup.policy", "delete"),
        ("compression.type", "producer"),
        ("delete.retention.ms", "86400000"),
        ("max.compaction.lag.ms", "9223372036854775807"),
        ("max.message.bytes", "1048588"),
        ("message.timestamp.type", "CreateTime"),
        ("min.cleanable.dirty.ratio", "0.5"),
        ("min.compaction.lag.ms", "0"),
        ("min.insync.replicas", "1"),
        ("retention.bytes", "-1"),
        ("retention.ms", "604800000"),
        ("segment.bytes", "1073741824"),
        ("segment.ms", "604800000"),
    ];
    for (name, default) in defaults {
        assert_eq!(settings[name], default, "{name}");
    }
}

pub(crate) async fn what_can_not_be_a_topic_is_refused_with_kafkas_error(bootstrap: &str) {
    use RDKafkaErrorCode as Code;
    let refused = [
        (topic("spaces are not allowed", 1), Code::InvalidTopic),
        (topic("..", 1), Code::InvalidTopic),
        (NewTopic::new("copies", 1, TopicReplication::Fixed(2)), Code::InvalidReplicationFactor),
        (topic("unknown-setting", 1).set("retention.hours", "1"), Code::InvalidConfig),
        (topic("wrong-value", 1).set("retention.ms", "soon"), Code::InvalidConfig),
        (topic("wrong-policy", 1).set("cleanup.policy", "burn"), Code::InvalidConfig),
        (
            topic("no-time-to-compact", 1)
                .set("min.compaction.lag.ms", "2")
                .set("max.compaction.lag.ms", "1"),
            Code::InvalidConfig,
        ),
        (topic("tiny-segments", 1).set("segment.bytes", "1000"), Code::InvalidConfig),
    ];
    for (new, expected) in refused {
        let (name, code) = create_topic(bootstrap, new).await.unwrap_err();
        assert_eq!(code, expected, "{name}");
    }
    let deleted = admin(bootstrap).delete_topics(&["never-there"], &AdminOptions::new()).await.unwrap();
    assert_eq!(deleted, [Err(("never-there".to_owned(), Code::UnknownTopicOrPartition))]);
}

pub(crate) async fn creating_a_topic_twice_answers_that_it_exists(bootstrap: &str) {
    create_topic(bootstrap, topic("twice", 1)).await.unwrap();
    let (name, code) = create_topic(bootstrap, topic("twice", 1)).await.unwrap_err();
    assert_eq!((name.as_str(), code), ("twice", RDKafkaErrorCode::TopicAlreadyExists));
}

pub(crate) async fn an_unknown_topic_is_unknown_and_is_not_made(bootstrap: &str) {
    for _ in 0..2 {
        let metadata = admin(bootstrap).inner().fetch_metadata(Some("unknown"), DEADLINE).unwrap();
        let error = metadata.topics()[0].error().map(RDKafkaErrorCode::from);
        assert_eq!(error, Some(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
}

pub(crate) async fn a_deleted_topic_is_empty_when_created_again(bootstrap: &str) {
    create_topic(bootstrap, topic("reborn", 1)).await.unwrap();
    send(&producer(bootstrap), "reborn", 0, "key", "before").await;
    admin(bootstrap).delete_topics(&["reborn"], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let started = Instant::now();
    // Kafka answers before it deletes.
    while let Err((_, code)) = create_topic(bootstrap, topic("reborn", 1)).await {
        assert_eq!(code, RDKafkaErrorCode::TopicAlreadyExists);
        assert!(started.elapsed() < DEADLINE, "not deleted");
    }
    assert!(read_to_end(&reader(bootstrap, "reborn", 0), value).is_empty());
}

pub(crate) async fn partitions_can_be_added(bootstrap: &str) {
    create_topic(bootstrap, topic("growing", 1)).await.unwrap();
    let grow = async |count| {
        let wanted = NewPartitions::new("growing", count);
        admin(bootstrap).create_partitions([&wanted], &AdminOptions::new()).await.unwrap().remove(0)
    };
    grow(3).await.unwrap();
    assert_eq!(partitions(bootstrap, "growing"), 3);
    let (_, code) = grow(2).await.unwrap_err();
    assert_eq!(code, RDKafkaErrorCode::InvalidPartitions);
}
