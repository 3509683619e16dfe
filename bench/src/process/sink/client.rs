//! The sink as the bench sees it: what it is asked, and what it answers.

use crate::{process::OwnProcess, usage};
use anyhow::{Context as _, bail};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A mail that the sink has taken.
#[derive(Debug, Clone)]
pub(crate) struct TakenMail {
    /// When it was answered, in nanoseconds of the machine's monotonic clock.
    pub(crate) at_ns: u64,
    pub(crate) recipient: String,
}

/// Where the time of a session goes, per mail on average.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeanPhases {
    /// Size of a mail.
    pub(crate) octets: f64,
    /// From the reply to a mail until the session's next `MAIL FROM`, in milliseconds.
    pub(crate) between_ms: f64,
    /// From `MAIL FROM` until the final dot, in milliseconds.
    pub(crate) dialogue_ms: f64,
    /// From the final dot until its reply, in milliseconds.
    pub(crate) reply_ms: f64,
    /// CPU time of the sink itself, in milliseconds.
    pub(crate) sink_cpu_ms: f64,
}

/// A running sink.
pub(crate) struct MailSink {
    process: OwnProcess,
    /// CPU time that it had used when it was last asked for its phases.
    cpu_before: Duration,
}

impl MailSink {
    /// Starts a sink.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let process = OwnProcess::start(&["process-sink"]).await?;
        Ok(Self { process, cpu_before: Duration::ZERO })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// How many mails it has taken since its start.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn count(&mut self) -> anyhow::Result<u64> {
        Ok(self.process.ask("count").await?.parse()?)
    }

    /// Waits until it has taken so many mails since its start.
    ///
    /// # Errors
    /// When they are not there in time.
    pub(crate) async fn wait_for_count(&mut self, mails: u64, limit: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let count = self.count().await?;
            if count >= mails {
                return Ok(());
            }
            if began.elapsed() > limit {
                bail!("only {count} of {mails} mails arrived within {limit:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The mails that it has taken since it was last asked, in the order of their arrival.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn mails(&mut self) -> anyhow::Result<Vec<TakenMail>> {
        let count: usize = self.process.ask("mails").await?.parse()?;
        let mut mails = Vec::with_capacity(count);
        for _ in 0..count {
            let line = self.process.next_line().await?;
            let (at, recipient) = line.split_once(' ').context("not a mail")?;
            mails.push(TakenMail { at_ns: at.parse()?, recipient: recipient.to_owned() });
        }
        Ok(mails)
    }

    /// The phases of the mails since it was last asked.
    ///
    /// # Errors
    /// When there were none.
    pub(crate) async fn phases(&mut self) -> anyhow::Result<MeanPhases> {
        let line = self.process.ask("phases").await?;
        let figures: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [mails, octets, follow_ups, between, dialogue, reply] = figures[..] else {
            bail!("not the phases: {line}")
        };
        let mean_ms = |sum: f64, count: f64| sum / count / 1e6;
        let cpu = usage::cpu_time(self.process.id()?)?;
        let sink_cpu = cpu - std::mem::replace(&mut self.cpu_before, cpu);
        Ok(MeanPhases {
            sink_cpu_ms: sink_cpu.as_secs_f64() * 1000.0 / mails,
            octets: octets / mails,
            between_ms: mean_ms(between, follow_ups),
            dialogue_ms: mean_ms(dialogue, mails),
            reply_ms: mean_ms(reply, mails),
        })
    }

    /// Makes it take so long for each mail.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn set_delay(&mut self, milliseconds: u32) -> anyhow::Result<()> {
        self.process.ask(&format!("delay {milliseconds}")).await.map(drop)
    }

    /// Opens it, or closes its port and all sessions.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn set_open(&mut self, open: bool) -> anyhow::Result<()> {
        self.process.ask(if open { "open" } else { "close" }).await.map(drop)
    }
}

/// Mails a second between the first and the last.
///
/// # Errors
/// When there are fewer than two.
pub(crate) fn rate(mails: &[TakenMail]) -> anyhow::Result<f64> {
    let (Some(first), Some(last), true) = (mails.first(), mails.last(), mails.len() > 1) else {
        bail!("too few mails for a rate");
    };
    #[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of minutes")]
    let (mails, nanoseconds) = ((mails.len() - 1) as f64, (last.at_ns - first.at_ns) as f64);
    Ok(mails / (nanoseconds / 1e9))
}
