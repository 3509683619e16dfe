//! Postfix's load generator: C, one thread, no content to render, no state. It does as little as a client can.

use crate::{process::sink::client::MailSink, scenario::delivery::Drained, usage};
use anyhow::{Context as _, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// An installed `smtp-source`.
pub(super) struct SmtpSource(PathBuf);

impl SmtpSource {
    /// The one at this path, if it exists.
    pub(super) fn find(path: &Path) -> Option<Self> {
        path.exists().then(|| Self(path.to_owned()))
    }

    /// Sends this many mails of this size over this many sessions, one mail after the other in each.
    ///
    /// # Errors
    /// When it fails.
    pub(super) async fn send(
        &self,
        sink: &mut MailSink,
        sessions: u32,
        mails: u64,
        octets: f64,
    ) -> anyhow::Result<Drained> {
        sink.mails().await?;
        let mut command = Command::new(&self.0);
        // -d: a session sends many mails; -N: each mail has its own recipient.
        command.args(["-d", "-N", "-f", "sender@example.com", "-t", "recipient@example.com"]);
        command.args(["-s", &sessions.to_string(), "-m", &mails.to_string(), "-l", &format!("{octets:.0}")]);
        command.arg(format!("inet:{}", sink.address())).stdin(Stdio::null());
        let cpu = tokio::task::spawn_blocking(move || run(command)).await??;
        Drained::of(sink, cpu, Duration::ZERO).await
    }
}

/// Runs a command to its end. Returns its CPU time.
fn run(mut command: Command) -> anyhow::Result<Duration> {
    let mut child = command.spawn().context("smtp-source can't be run")?;
    // The CPU time of an ended process can be read until the process is reaped.
    waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let cpu = usage::cpu_time(child.id());
    let status = child.wait()?;
    ensure!(status.success(), "smtp-source ended with {status}");
    cpu
}
