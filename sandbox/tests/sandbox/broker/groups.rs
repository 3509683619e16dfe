use super::*;

/// Much less than a session timeout: nobody waits for one to run out.
const REBALANCE: Duration = Duration::from_secs(3);

/// The notification service's, and that of a subscriber that can't stop.
const STRATEGIES: [&str; 2] = ["roundrobin", "cooperative-sticky"];

fn member(bootstrap: &str, group: &str, topic: &str, strategy: &str) -> BaseConsumer {
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", group)
        .set("partition.assignment.strategy", strategy)
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "200")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "50")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

fn poll_until(members: &[&BaseConsumer], reached: impl Fn() -> bool) -> Vec<String> {
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

fn assigned(member: &BaseConsumer) -> usize {
    member.assignment().unwrap().count()
}

#[tokio::test]
async fn two_members_share_the_partitions_and_the_one_left_takes_all() {
    let broker = Broker::start(Storage::Temporary, 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("shared", 6)).await.unwrap();
    for strategy in STRATEGIES {
        let first = member(&bootstrap, strategy, "shared", strategy);
        poll_until(&[&first], || assigned(&first) == 6);
        let started = Instant::now();
        let second = member(&bootstrap, strategy, "shared", strategy);
        poll_until(&[&first, &second], || assigned(&first) == 3 && assigned(&second) == 3);
        assert!(started.elapsed() < REBALANCE, "{strategy}: joined in {:?}", started.elapsed());
        let started = Instant::now();
        drop(second);
        poll_until(&[&first], || assigned(&first) == 6);
        assert!(started.elapsed() < REBALANCE, "{strategy}: left in {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn committed_offsets_survive_a_restart_of_the_broker() {
    let directory = TempDir::new().unwrap();
    let storage = Storage::Directory(directory.path().into());
    let broker = Broker::start(storage.clone(), 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("commits", 1)).await.unwrap();
    let producer = producer(&bootstrap);
    for number in 0..3 {
        send(&producer, "commits", 0, "key", &number.to_string()).await;
    }
    let consumer = member(&bootstrap, "committing", "commits", STRATEGIES[0]);
    poll_until(&[&consumer], || assigned(&consumer) == 1);
    let mut done = TopicPartitionList::new();
    done.add_partition_offset("commits", 0, Offset::Offset(2)).unwrap();
    consumer.commit(&done, rdkafka::consumer::CommitMode::Sync).unwrap();
    drop(consumer);
    broker.stop().await;

    let broker = Broker::start(storage, 0).await.unwrap();
    let consumer = member(&broker.bootstrap(), "committing", "commits", STRATEGIES[0]);
    let started = Instant::now();
    let next = loop {
        assert!(started.elapsed() < DEADLINE);
        if let Some(record) = consumer.poll(Duration::from_millis(50)) {
            break value(&record.unwrap());
        }
    };
    assert_eq!(next, "2");
}
