//! This binary as a second process: what is measured beside the services has a CPU account of its own, as they have.
//!
//! Such a process first prints where it listens, and ends when its standard input does: it can't outlive the bench.

pub(crate) mod bare;
pub(crate) mod sink;

use anyhow::Context as _;
use std::{net::SocketAddr, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A process that listens; killed when it is dropped.
pub(crate) struct OwnProcess {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl OwnProcess {
    /// Starts this binary with these arguments, and waits until it listens.
    ///
    /// # Errors
    /// When it ends instead.
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

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("a process of the bench has ended")
    }

    /// Asks it something on a line, and reads its answer's first line.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        self.input.write_all(format!("{question}\n").as_bytes()).await?;
        self.next_line().await
    }

    /// Reads a further line of its answer.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn next_line(&mut self) -> anyhow::Result<String> {
        self.output.next_line().await?.context("a process of the bench has ended")
    }
}

/// Nanoseconds of a clock that all processes of a machine share.
pub(crate) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
