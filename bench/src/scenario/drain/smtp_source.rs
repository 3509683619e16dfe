//! Postfix's load generator: C, one thread, no content to make, nothing to remember. As little as a client can do.

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
    /// The one at this path, if there is one.
    pub(super) fn find(path: &Path) -> Option<Self> {
        path.exists().then(|| Self(path.to_owned()))
    }

    /// Sends so many mails of this size over so many sessions, each session one mail after the other.
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
        // -d: sessions stay open over their mails; -N: a recipient of its own for each.
        command.args(["-d", "-N", "-f", "sender@example.com", "-t", "recipient@example.com"]);
        command.args(["-s", &sessions.to_string(), "-m", &mails.to_string(), "-l", &format!("{octets:.0}")]);
        command.arg(format!("inet:{}", sink.address())).stdin(Stdio::null());
        let cpu = tokio::task::spawn_blocking(move || run(command)).await??;
        Drained::of(sink, cpu, Duration::ZERO).await
    }
}

/// Runs a command to its end, and answers the CPU time that it used.
fn run(mut command: Command) -> anyhow::Result<Duration> {
    let mut child = command.spawn().context("smtp-source can't be run")?;
    // What it has used can be read as long as it is not reaped.
    waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let cpu = usage::cpu_time(child.id());
    let status = child.wait()?;
    ensure!(status.success(), "smtp-source ended with {status}");
    cpu
}
