//! A real broker: one Apache Kafka in a process of its own, run by `scripts/kafka.sh`.
//!
//! Its data and its port outlive a stop and a crash, as those of a broker do.

use crate::ports;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka.sh");

/// A broker with a folder and a port of its own; killed when it is dropped.
#[derive(Debug)]
pub struct Kafka {
    port: u16,
    folder: PathBuf,
}

impl Kafka {
    /// Chooses a port; nothing runs yet.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        // The script puts the controller 10,000 above.
        Self { port: ports::free_pair(11_000..20_000, 10_000), folder: folder.join("kafka") }
    }

    /// The bootstrap address.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it, and waits until it serves.
    pub async fn start(&self) {
        self.run("start").await;
    }

    /// Crashes it (SIGKILL), and waits until it has gone.
    pub async fn kill(&self) {
        self.run("kill").await;
    }

    /// Freezes it (SIGSTOP), until it is thawed.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = std::fs::read_to_string(self.folder.join("kafka.pid")).expect("it runs");
        let id = id.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("a signal can be sent");
    }

    async fn run(&self, command: &str) {
        let mut script = tokio::process::Command::from(self.script(command));
        succeeded(command, &script.output().await.expect("scripts/kafka.sh can be run"));
    }

    fn script(&self, command: &str) -> Command {
        let mut script = Command::new("bash");
        script.arg(SCRIPT).arg(command);
        script.arg("--port").arg(self.port.to_string()).arg("--dir").arg(&self.folder);
        script
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // Does nothing when it does not run.
        let ended = self.script("kill").output();
        if !std::thread::panicking() {
            succeeded("kill", &ended.expect("scripts/kafka.sh can be run"));
        }
    }
}

fn succeeded(command: &str, output: &Output) {
    assert!(output.status.success(), "kafka.sh {command}: {}", String::from_utf8_lossy(&output.stderr));
}
