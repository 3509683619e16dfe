//! A backlog of mails, and the cost of emptying it.

use crate::{
    fill::{self, Person},
    process::sink::client::{self, MailSink, MeanPhases, TakenMail},
    stage::Stage,
    usage,
};
use acceptance::service::Service;
use jiff::Timestamp;
use std::time::Duration;

/// Longer than any drain may take.
const LIMIT: Duration = Duration::from_secs(600);

/// One drained backlog.
pub(crate) struct Drained {
    /// Mails per second, from the first to the last.
    pub(crate) rate: f64,
    /// CPU milliseconds per mail: of all senders since their start, and of the broker.
    pub(crate) cpu_ms: f64,
    pub(crate) broker_cpu_ms: f64,
    pub(crate) phases: MeanPhases,
    pub(crate) mails: Vec<TakenMail>,
}

/// Writes this many new registrations to the log, beginning with this person.
///
/// # Errors
/// When the broker does not acknowledge them.
pub(crate) async fn write_backlog(stage: &Stage, first: u64, mails: u64) -> anyhow::Result<()> {
    let event = |number| Person::numbered(number, Timestamp::now())?.created();
    fill::write(&stage.brokers(), first..first + mails, "writing a backlog", event).await
}

/// Starts these services and waits until they have mailed the backlog.
///
/// # Errors
/// When a mail does not arrive.
pub(crate) async fn drain(
    stage: &Stage,
    services: &mut [Service],
    sink: &mut MailSink,
    mails: u64,
) -> anyhow::Result<Drained> {
    sink.mails().await?;
    let (count, broker_before) = (sink.count().await?, stage.broker_cpu_time()?);
    for service in &mut *services {
        service.start();
    }
    sink.wait_for_count(count + mails, LIMIT).await?;
    let mut cpu = Duration::ZERO;
    for service in &mut *services {
        cpu += usage::cpu_time(service.id())?;
    }
    let broker = stage.broker_cpu_time()? - broker_before;
    for service in services {
        service.stop().await;
    }
    Drained::of(sink, cpu, broker).await
}

impl Drained {
    /// The mails in the sink since the last question, and the CPU time for them.
    ///
    /// # Errors
    /// When there are fewer than two mails.
    pub(crate) async fn of(sink: &mut MailSink, cpu: Duration, broker: Duration) -> anyhow::Result<Self> {
        let (mails, phases) = (sink.mails().await?, sink.phases().await?);
        let per_mail = |time: Duration| {
            time.as_secs_f64() * 1000.0 / f64::from(u32::try_from(mails.len()).unwrap_or(u32::MAX))
        };
        let (cpu_ms, broker_cpu_ms) = (per_mail(cpu), per_mail(broker));
        Ok(Self { rate: client::rate(&mails)?, cpu_ms, broker_cpu_ms, phases, mails })
    }

    /// Average number of busy sessions. It equals the number of sessions if none ever waits for a mail.
    pub(crate) fn busy_sessions(&self) -> f64 {
        let MeanPhases { between_ms, dialogue_ms, reply_ms, .. } = self.phases;
        self.rate * (between_ms + dialogue_ms + reply_ms) / 1000.0
    }
}
