//! A real broker: an Apache Kafka process, run by `scripts/kafka.sh`.
//!
//! It keeps its data and its port over a stop and a crash.

use crate::ports;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Output},
};

mod certificates;
pub mod mutual_tls;
mod policy;
pub mod sasl_ssl;

/// The controller's port is this far above the broker's, as in the script.
const CONTROLLER: u16 = 10_000;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka.sh");

/// A broker with its own folder and port. Dropping it kills it.
#[derive(Debug)]
pub struct Kafka {
    port: u16,
    folder: PathBuf,
    cluster: String,
    settings: Vec<String>,
    scram_users: Vec<String>,
    classes: Option<PathBuf>,
}

impl Kafka {
    /// Chooses a port, without starting the broker.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            port: ports::free_pair(ports::BROKERS, CONTROLLER),
            folder: folder.join("kafka"),
            cluster: format!("{:021}A", rand::random::<u64>()),
            settings: Vec::new(),
            scram_users: Vec::new(),
            classes: None,
        }
    }

    /// A second broker in this one's cluster, which clients reach at `advertised`. Returns it and the address at which it
    /// really listens. Start it after this one.
    #[must_use]
    pub fn second(&self, folder: &Path, advertised: SocketAddr) -> (Self, SocketAddr) {
        let mut second = Self::new(&folder.join("second"));
        let listener = SocketAddr::from((Ipv4Addr::LOCALHOST, second.port));
        second.cluster.clone_from(&self.cluster);
        second.settings = vec![
            "node.id=2".to_owned(),
            "process.roles=broker".to_owned(),
            format!("controller.quorum.voters=1@127.0.0.1:{}", self.port + CONTROLLER),
            format!("listeners=PLAINTEXT://{listener}"),
            format!("advertised.listeners=PLAINTEXT://{advertised}"),
        ];
        (second, listener)
    }

    /// Adds a listener for each of these proxies, and returns the listeners' addresses. Such a listener advertises the
    /// proxy's address, so its clients always go through the proxy.
    pub fn behind(&mut self, proxies: &[SocketAddr]) -> Vec<SocketAddr> {
        let (port, controller) = (self.port, self.port + CONTROLLER);
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}");
        let mut advertised = format!("PLAINTEXT://127.0.0.1:{port}");
        let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
        let mut behind = Vec::new();
        for (number, proxy) in proxies.iter().enumerate() {
            let listener = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
            listeners += &format!(",PROXY{number}://{listener}");
            advertised += &format!(",PROXY{number}://{proxy}");
            protocols += &format!(",PROXY{number}:PLAINTEXT");
            behind.push(listener);
        }
        self.settings = vec![
            format!("listeners={listeners}"),
            format!("advertised.listeners={advertised}"),
            format!("listener.security.protocol.map={protocols}"),
        ];
        behind
    }

    /// The bootstrap address.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the broker and waits until it serves.
    pub async fn start(&self) {
        self.run("start", &[]).await;
    }

    /// Stops it gracefully (SIGTERM) and waits for its end.
    pub async fn stop(&self) {
        self.run("stop", &[]).await;
    }

    /// Crashes it (SIGKILL) and waits for its end.
    pub async fn kill(&self) {
        self.run("kill", &[]).await;
    }

    /// Raises a topic's number of partitions to this one.
    pub async fn add_partitions(&self, topic: &str, partitions: u32) {
        self.run("topics", &["--alter", "--topic", topic, "--partitions", &partitions.to_string()]).await;
    }

    /// Creates a topic; each setting is `name=value`.
    pub async fn create_topic(&self, topic: &str, partitions: u32, settings: &[&str]) {
        let partitions = partitions.to_string();
        let mut arguments = vec!["--create", "--topic", topic, "--partitions", &partitions];
        arguments.extend(settings.iter().flat_map(|setting| ["--config", setting]));
        self.run("topics", &arguments).await;
    }

    /// Runs `kafka-configs.sh` with these arguments.
    pub async fn configs(&self, arguments: &[&str]) {
        self.run("configs", arguments).await;
    }

    /// Places a broker that was never started in a zone, and lets readers choose a replica in theirs.
    pub fn place_in(&mut self, zone: &str) {
        self.settings.extend([
            format!("broker.rack={zone}"),
            "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector".to_owned(),
        ]);
    }

    /// Creates a topic of one partition that broker 1 leads and broker 2 follows.
    pub async fn create_led_by_first(&self, topic: &str) {
        self.run("topics", &["--create", "--topic", topic, "--replica-assignment", "1:2"]).await;
    }

    /// Makes a broker that was never started check rights: nobody has any, until [`Kafka::allow`].
    pub fn check_rights(&mut self) {
        self.settings.extend([
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
            // Who comes without a login: the broker itself, at the controller.
            "super.users=User:ANONYMOUS".to_owned(),
        ]);
    }

    /// Gives a user these rights; the arguments are those of `kafka-acls.sh`.
    pub async fn allow(&self, user: &str, rights: &[&str]) {
        let principal = format!("User:{user}");
        let mut arguments = vec!["--add", "--allow-principal", &principal];
        arguments.extend(rights);
        self.run("acls", &arguments).await;
    }

    /// The id of the broker's process.
    #[must_use]
    pub fn id(&self) -> u32 {
        u32::try_from(self.pid().as_raw_nonzero().get()).expect("a process id is positive")
    }

    /// Freezes it (SIGSTOP) until [`Kafka::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Continues a frozen broker (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a signal can be sent");
    }

    fn pid(&self) -> Pid {
        let id = std::fs::read_to_string(self.folder.join("kafka.pid")).expect("it runs");
        id.trim().parse().ok().and_then(Pid::from_raw).expect("a process id")
    }

    async fn run(&self, command: &str, arguments: &[&str]) {
        let mut script = tokio::process::Command::from(self.script(command));
        script.args(arguments);
        succeeded(command, &script.output().await.expect("scripts/kafka.sh can be run"));
    }

    fn script(&self, command: &str) -> Command {
        let mut script = Command::new("bash");
        script.arg(SCRIPT).arg(command);
        script.arg("--port").arg(self.port.to_string()).arg("--dir").arg(&self.folder);
        script.arg("--cluster").arg(&self.cluster);
        if let Some(classes) = &self.classes {
            script.env("KAFKA_MORE_CLASSES", classes);
        }
        for setting in &self.settings {
            script.arg("--set").arg(setting);
        }
        for user in &self.scram_users {
            script.arg("--add-scram").arg(user);
        }
        script
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // Does nothing if the broker does not run.
        let ended = self.script("kill").output();
        if !std::thread::panicking() {
            succeeded("kill", &ended.expect("scripts/kafka.sh can be run"));
        }
    }
}

fn succeeded(command: &str, output: &Output) {
    assert!(output.status.success(), "kafka.sh {command}: {}", String::from_utf8_lossy(&output.stderr));
}
