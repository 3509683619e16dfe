use rdkafka::admin::ResourceSpecifier;

use super::*;

#[tokio::test]
async fn topics_are_created_with_partitions_and_configuration() {
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    let new = topic("configured", 6).set("cleanup.policy", "compact").set("segment.ms", "3600000");
    create_topic(&bootstrap, new).await.unwrap();

    let admin: AdminClient<DefaultClientContext> = client(&bootstrap).create().unwrap();
    let metadata = admin.inner().fetch_metadata(Some("configured"), DEADLINE).unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 6);
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic("configured")], &AdminOptions::new())
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let entry = |name: &str| described.get(name).and_then(|entry| entry.value.clone());
    assert_eq!(entry("cleanup.policy").as_deref(), Some("compact"));
    assert_eq!(entry("segment.ms").as_deref(), Some("3600000"));
}

#[tokio::test]
async fn creating_a_topic_twice_answers_that_it_exists() {
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    create_topic(&broker.bootstrap(), topic("twice", 1)).await.unwrap();
    let (name, code) = create_topic(&broker.bootstrap(), topic("twice", 1)).await.unwrap_err();
    assert_eq!((name.as_str(), code), ("twice", RDKafkaErrorCode::TopicAlreadyExists));
}

#[tokio::test]
async fn a_deleted_topic_is_empty_when_created_again() {
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("reborn", 1)).await.unwrap();
    send(&producer(&bootstrap), "reborn", 0, "key", "before").await;
    let admin: AdminClient<DefaultClientContext> = client(&bootstrap).create().unwrap();
    admin.delete_topics(&["reborn"], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    create_topic(&bootstrap, topic("reborn", 1)).await.unwrap();
    assert!(read_to_end(&reader(&bootstrap, "reborn", 0), value).is_empty());
}
