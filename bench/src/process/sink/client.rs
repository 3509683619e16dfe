//! The bench's side of the sink: its questions and their answers.

use crate::{process::OwnProcess, usage};
use anyhow::{Context as _, bail};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A mail that the sink has accepted.
#[derive(Debug, Clone)]
pub(crate) struct TakenMail {
    /// When it was accepted, in nanoseconds of the machine's monotonic clock.
    pub(crate) at_ns: u64,
    pub(crate) recipient: String,
}

/// How the time of a session is spent, per mail on average.
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
    /// Its CPU time at the last question about phases.
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

    /// The address at which it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// The number of mails since its start.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn count(&mut self) -> anyhow::Result<u64> {
        Ok(self.process.ask("count").await?.parse()?)
    }

    /// Waits for this many mails since its start.
    ///
    /// # Errors
    /// When they do not arrive in time.
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

    /// The mails since the last question about them, in the order of arrival.
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

    /// The phases of the mails since the last question about them.
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

    /// Sets its delay for each mail.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn set_delay(&mut self, milliseconds: u32) -> anyhow::Result<()> {
        self.process.ask(&format!("delay {milliseconds}")).await.map(drop)
    }

    /// Opens its port, or closes it with all sessions.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn set_open(&mut self, open: bool) -> anyhow::Result<()> {
        self.process.ask(if open { "open" } else { "close" }).await.map(drop)
    }
}

/// Mails per second between the first and the last.
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
