use rdkafka::consumer::CommitMode;

use super::*;

/// Much less than a session timeout: no test waits for one.
const REBALANCE: Duration = Duration::from_secs(3);

/// The strategy of the notification service, and that of a subscriber that can't stop.
pub(crate) const STRATEGIES: [&str; 2] = ["roundrobin", "cooperative-sticky"];

pub(crate) fn member(bootstrap: &str, group: &str, topic: &str, strategy: &str) -> BaseConsumer {
    join(settings(bootstrap, group, strategy), topic)
}

fn settings(bootstrap: &str, group: &str, strategy: &str) -> ClientConfig {
    let mut settings = client(bootstrap);
    settings
        .set("group.id", group)
        .set("partition.assignment.strategy", strategy)
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "200")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "50");
    settings
}

fn join(settings: ClientConfig, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = settings.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

pub(crate) fn poll_until(members: &[&BaseConsumer], reached: impl Fn() -> bool) -> Vec<String> {
    let started = Instant::now();
    let mut read = Vec::new();
    while !reached() {
        assert!(started.elapsed() < DEADLINE, "not reached in {DEADLINE:?}");
        for member in members {
            if let Some(record) = member.poll(Duration::from_millis(10)) {
                read.push(value(&record.unwrap()));
            }
        }
    }
    read
}

pub(crate) fn assigned(member: &BaseConsumer) -> usize {
    member.assignment().unwrap().count()
}

pub(crate) async fn two_members_share_the_partitions_and_the_one_left_takes_all(bootstrap: &str) {
    create_topic(bootstrap, topic("shared", 6)).await.unwrap();
    for strategy in STRATEGIES {
        let first = member(bootstrap, strategy, "shared", strategy);
        poll_until(&[&first], || assigned(&first) == 6);
        let started = Instant::now();
        let second = member(bootstrap, strategy, "shared", strategy);
        poll_until(&[&first, &second], || assigned(&first) == 3 && assigned(&second) == 3);
        assert!(started.elapsed() < REBALANCE, "{strategy}: joined in {:?}", started.elapsed());
        let started = Instant::now();
        drop(second);
        poll_until(&[&first], || assigned(&first) == 6);
        assert!(started.elapsed() < REBALANCE, "{strategy}: left in {:?}", started.elapsed());
    }
}

pub(crate) async fn a_static_member_comes_back_to_its_partitions(bootstrap: &str) {
    create_topic(bootstrap, topic("static", 2)).await.unwrap();
    let named = |name: &str| {
        let mut settings = settings(bootstrap, "static", STRATEGIES[0]);
        settings.set("group.instance.id", name);
        join(settings, "static")
    };
    let (first, second) = (named("first"), named("second"));
    poll_until(&[&first, &second], || assigned(&first) == 1 && assigned(&second) == 1);
    // Copied from librdkafka's list: while that list lives, its consumer does not close.
    let partitions = |of: &BaseConsumer| -> Vec<i32> {
        of.assignment().unwrap().elements().iter().map(|element| element.partition()).collect()
    };
    let before = partitions(&second);
    // A static member does not leave the group when it closes.
    drop(second);
    let second = named("second");
    poll_until(&[&first, &second], || assigned(&first) == 1 && assigned(&second) == 1);
    assert_eq!(partitions(&second), before);
}

fn commit(consumer: &BaseConsumer, topic: &str, offset: i64, metadata: &str) {
    let mut done = TopicPartitionList::new();
    let mut partition = done.add_partition(topic, 0);
    partition.set_offset(Offset::Offset(offset)).unwrap();
    partition.set_metadata(metadata);
    consumer.commit(&done, CommitMode::Sync).unwrap();
}

pub(crate) async fn commits_come_back_with_their_metadata(bootstrap: &str) {
    create_topic(bootstrap, topic("noted", 2)).await.unwrap();
    // While a group has no members, anybody may set its offsets.
    let consumer: BaseConsumer = settings(bootstrap, "noted", STRATEGIES[0]).create().unwrap();
    commit(&consumer, "noted", 7, "from the test");
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range("noted", 0, 1);
    let committed = consumer.committed_offsets(wanted, DEADLINE).unwrap();
    let committed: Vec<_> =
        committed.elements().iter().map(|found| (found.offset(), found.metadata().to_owned())).collect();
    assert_eq!(
        committed,
        [(Offset::Offset(7), "from the test".to_owned()), (Offset::Invalid, String::new())]
    );
}

pub(crate) async fn a_group_goes_on_after_what_it_committed(bootstrap: &str) {
    create_topic(bootstrap, topic("resumed", 1)).await.unwrap();
    let producer = producer(bootstrap);
    for number in 0..4 {
        send(&producer, "resumed", 0, "key", &number.to_string()).await;
    }
    let first = member(bootstrap, "resumed", "resumed", STRATEGIES[0]);
    poll_until(&[&first], || assigned(&first) == 1);
    commit(&first, "resumed", 3, "");
    drop(first);
    let second = member(bootstrap, "resumed", "resumed", STRATEGIES[0]);
    assert_eq!(next(&second), "3");
}

pub(crate) async fn groups_are_listed_with_their_members_and_deleted(bootstrap: &str) {
    create_topic(bootstrap, topic("listed", 1)).await.unwrap();
    let mut settings = settings(bootstrap, "listed", STRATEGIES[0]);
    settings.set("client.id", "the listed one");
    let consumer = join(settings, "listed");
    poll_until(&[&consumer], || assigned(&consumer) == 1);
    commit(&consumer, "listed", 0, "");
    let groups = consumer.fetch_group_list(Some("listed"), DEADLINE).unwrap();
    let group = &groups.groups()[0];
    assert_eq!((group.name(), group.state(), group.protocol()), ("listed", "Stable", STRATEGIES[0]));
    assert_eq!(group.members().len(), 1);
    assert_eq!(group.members()[0].client_id(), "the listed one");
    assert!(group.members()[0].assignment().is_some_and(|assignment| !assignment.is_empty()));

    let delete =
        async || admin(bootstrap).delete_groups(&["listed"], &AdminOptions::new()).await.unwrap().remove(0);
    assert_eq!(delete().await.unwrap_err().1, RDKafkaErrorCode::NonEmptyGroup);
    drop(consumer);
    delete().await.unwrap();
    assert_eq!(delete().await.unwrap_err().1, RDKafkaErrorCode::GroupIdNotFound);
}
