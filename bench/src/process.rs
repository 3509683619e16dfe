//! This binary as a second process. The counterparts of the services thus have CPU time of their own, as the services have.
//!
//! Such a process first prints its address. It ends with its standard input, so it can't outlive the bench.

pub(crate) mod bare;
pub(crate) mod sink;

use anyhow::Context as _;
use std::{net::SocketAddr, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A listening process. Dropping it kills it.
pub(crate) struct OwnProcess {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl OwnProcess {
    /// Starts this binary with these arguments and waits until it listens.
    ///
    /// # Errors
    /// When the process ends instead.
    pub(crate) async fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("no standard input")?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let address = output.next_line().await?.context("a process of the bench did not start")?.parse()?;
        Ok(Self { child, input, output, address })
    }

    /// The address at which it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("a process of the bench has ended")
    }

    /// Sends a question as a line, and returns the first line of the answer.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) async fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        self.input.write_all(format!("{question}\n").as_bytes()).await?;
        self.next_line().await
    }

    /// Returns a further line of the answer.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) async fn next_line(&mut self) -> anyhow::Result<String> {
        self.output.next_line().await?.context("a process of the bench has ended")
    }
}

/// Nanoseconds of a clock that is the same for all processes of the machine.
pub(crate) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
