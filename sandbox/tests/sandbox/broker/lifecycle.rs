use super::*;
use crate::kafka::groups::{STRATEGIES, assigned, member, poll_until};
use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

#[tokio::test]
async fn brokers_of_one_process_know_nothing_of_each_other() {
    let first = Broker::start(Storage::Temporary, 0).await.unwrap();
    let second = Broker::start(Storage::Temporary, 0).await.unwrap();
    for (broker, text) in [(&first, "first"), (&second, "second")] {
        create_topic(&broker.bootstrap(), topic("same", 1)).await.unwrap();
        send(&producer(&broker.bootstrap()), "same", 0, "key", text).await;
    }
    assert_eq!(read_to_end(&reader(&first.bootstrap(), "same", 0), value), ["first"]);
    assert_eq!(read_to_end(&reader(&second.bootstrap(), "same", 0), value), ["second"]);
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Broker::start(Storage::Temporary, taken.local_addr().unwrap().port()).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot listen on 127.0.0.1"), "{error:#}");
}

#[tokio::test]
async fn a_producer_goes_on_when_the_broker_comes_back_on_its_port() {
    let directory = TempDir::new().unwrap();
    let storage = Storage::Directory(directory.path().into());
    let broker = Broker::start(storage.clone(), 0).await.unwrap();
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap, topic("again", 1)).await.unwrap();
    let producer = producer(&bootstrap);
    send(&producer, "again", 0, "key", "before").await;
    broker.stop().await;

    let pending = producer.send_result(FutureRecord::to("again").key("key").payload("during")).unwrap();
    let port = bootstrap.rsplit(':').next().unwrap().parse().unwrap();
    let _broker = Broker::start(storage, port).await.unwrap();
    pending.await.unwrap().unwrap();
    send(&producer, "again", 0, "key", "after").await;
    assert_eq!(read_to_end(&reader(&bootstrap, "again", 0), value), ["before", "during", "after"]);
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
    consumer.commit(&done, CommitMode::Sync).unwrap();
    drop(consumer);
    broker.stop().await;

    let broker = Broker::start(storage, 0).await.unwrap();
    let consumer = member(&broker.bootstrap(), "committing", "commits", STRATEGIES[0]);
    assert_eq!(next(&consumer), "2");
}

const CHILD_DIRECTORY: &str = "SANDBOX_TEST_BROKER_DIRECTORY";
/// The child writes it next to its data when it is ready.
const CHILD_BOOTSTRAP: &str = "bootstrap";

/// A process that is killed at the latest with the test.
struct Doomed(Child);

impl Doomed {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts this very test as a child process, which is the broker to be killed.
#[tokio::test]
async fn acknowledged_records_survive_a_sigkill() {
    if let Some(directory) = env::var_os(CHILD_DIRECTORY) {
        let directory = PathBuf::from(directory);
        let broker = Broker::start(Storage::Directory(directory.clone()), 0).await.unwrap();
        fs::write(directory.join("unfinished"), broker.bootstrap()).unwrap();
        fs::rename(directory.join("unfinished"), directory.join(CHILD_BOOTSTRAP)).unwrap();
        return std::future::pending().await;
    }
    let directory = TempDir::new().unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "broker::lifecycle::acknowledged_records_survive_a_sigkill"])
        .env(CHILD_DIRECTORY, directory.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Doomed(child);
    let started = Instant::now();
    let bootstrap = loop {
        if let Ok(bootstrap) = fs::read_to_string(directory.path().join(CHILD_BOOTSTRAP)) {
            break bootstrap;
        }
        assert!(started.elapsed() < DEADLINE && child.0.try_wait().unwrap().is_none(), "no broker");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    create_topic(&bootstrap, topic("crash", 1)).await.unwrap();
    let producer = producer(&bootstrap);
    let mut sent = Vec::new();
    for number in 0..2_000 {
        sent.push(
            producer.send_result(FutureRecord::to("crash").key("key").payload(&number.to_string())).unwrap(),
        );
    }
    let mut acknowledged = 0;
    for ack in sent {
        ack.await.unwrap().unwrap();
        acknowledged += 1;
        if acknowledged == 1_500 {
            break;
        }
    }
    child.kill();
    drop(producer);

    let broker = Broker::start(Storage::Directory(directory.path().into()), 0).await.unwrap();
    let read = read_to_end(&reader(&broker.bootstrap(), "crash", 0), value);
    assert!(read.len() >= acknowledged, "{acknowledged} acknowledged, {} there", read.len());
    assert!(read.iter().enumerate().all(|(position, value)| *value == position.to_string()));
}
