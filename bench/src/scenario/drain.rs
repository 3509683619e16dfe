//! `drain`: the rate at which a backlog is mailed, beside Postfix's `smtp-source`, which generates its mails. And the same
//! with a server that takes 50 ms for each mail, where only the number of sessions should matter.

mod smtp_source;

use super::delivery::{self, Drained};
use crate::{
    arguments::Options,
    process::sink::client::MailSink,
    progress,
    report::{Bound, Cell, Findings, Series, Table},
    spread::Spread,
    stage::Stage,
};
use smtp_source::SmtpSource;

/// The default of `SMTP_CONNECTIONS`.
const SESSIONS: u32 = 16;
/// The slow server's time for each mail, in milliseconds.
const DELAY_MS: u32 = 50;
/// The slow server's backlog: some ten seconds of work.
const SLOW_MAILS: u64 = 3200;

/// The turns of both sides. The second side has none if smtp-source is not installed.
struct Sides {
    service: Vec<Drained>,
    source: Vec<Drained>,
}

/// Measures both servers.
///
/// # Errors
/// When something can't be started, or mails are missing.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Findings> {
    let stage = Stage::start().await;
    let mut sink = MailSink::start().await?;
    create_topics(&stage, &sink).await;
    let source = SmtpSource::find(&options.smtp_source);
    let mut findings = Findings::of("drain");
    let mut people = 0;
    // A first backlog shows the size of a mail and warms up the broker.
    let first = turn(&stage, &mut sink, &mut people, options.mails.into()).await?;
    let octets = first.phases.octets;

    let quick =
        take_turns(&stage, &mut sink, source.as_ref(), options, &mut people, options.mails.into(), octets)
            .await?;
    findings
        .tables
        .push(quick.table(&format!("{} mails of {octets:.0} octets, {SESSIONS} sessions", options.mails)));
    sink.set_delay(DELAY_MS).await?;
    let slow =
        take_turns(&stage, &mut sink, source.as_ref(), options, &mut people, SLOW_MAILS, octets).await?;
    findings
        .tables
        .push(slow.table(&format!("{SLOW_MAILS} mails to a server that takes {DELAY_MS} ms for each")));
    if source.is_none() {
        findings
            .notes
            .push(format!("{} is not there: nothing to compare with.", options.smtp_source.display()));
    }
    set_goals(&mut findings, &quick, &slow);
    plot(&mut findings, &quick, &slow);
    Ok(findings)
}

/// Starts a service once to create the topics, because the backlog is written before the measured service starts.
async fn create_topics(stage: &Stage, sink: &MailSink) {
    let mut service = stage.notification_service("creates-topics", sink);
    service.start_and_wait().await;
    service.stop().await;
}

async fn take_turns(
    stage: &Stage,
    sink: &mut MailSink,
    source: Option<&SmtpSource>,
    options: &Options,
    people: &mut u64,
    mails: u64,
    octets: f64,
) -> anyhow::Result<Sides> {
    let mut sides = Sides { service: Vec::new(), source: Vec::new() };
    let bar = progress::bar("drain", options.rounds.into());
    for _ in 0..options.rounds {
        sides.service.push(turn(stage, sink, people, mails).await?);
        if let Some(source) = source {
            sides.source.push(source.send(sink, SESSIONS, mails, octets).await?);
        }
        bar.inc(1);
    }
    Ok(sides)
}

/// One backlog and one service.
async fn turn(stage: &Stage, sink: &mut MailSink, people: &mut u64, mails: u64) -> anyhow::Result<Drained> {
    delivery::write_backlog(stage, *people, mails).await?;
    *people += mails;
    let mut service = [stage.notification_service("notification-service", sink)];
    delivery::drain(stage, &mut service, sink, mails).await
}

impl Sides {
    fn table(&self, title: &str) -> Table {
        const FIGURES: [fn(&Drained) -> f64; 8] = [
            |turn| turn.rate,
            |turn| turn.cpu_ms,
            |turn| turn.broker_cpu_ms,
            |turn| turn.phases.sink_cpu_ms,
            |turn| turn.phases.between_ms,
            |turn| turn.phases.dialogue_ms,
            |turn| turn.phases.reply_ms,
            Drained::busy_sessions,
        ];
        let columns = [
            "mails per second",
            "its CPU ms per mail",
            "broker CPU ms per mail",
            "sink CPU ms per mail",
            "between mails ms",
            "dialogue ms",
            "server ms",
            "busy sessions",
        ];
        let mut table = Table::new(title, &columns);
        for (name, turns) in [("notification-service", &self.service), ("smtp-source", &self.source)] {
            if !turns.is_empty() {
                table.row(name, FIGURES.map(|figure| Cell::from(Spread::of(turns.iter().map(figure)))));
            }
        }
        table
    }

    fn ratio(&self, figure: fn(&Drained) -> f64) -> Spread {
        Spread::of_ratios(
            self.service.iter().zip(&self.source).map(|(first, second)| (figure(first), figure(second))),
        )
    }
}

fn set_goals(findings: &mut Findings, quick: &Sides, slow: &Sides) {
    if !quick.source.is_empty() {
        let rate = quick.ratio(|turn| turn.rate);
        findings.goal("drain: rate, of smtp-source's", rate, Bound::AtLeast(0.5), "×");
        let cpu = quick.ratio(|turn| turn.cpu_ms);
        findings.goal("drain: CPU time per mail, of smtp-source's", cpu, Bound::AtMost(4.0), "×");
    }
    let possible = f64::from(SESSIONS) * 1000.0 / f64::from(DELAY_MS);
    let share = Spread::of(slow.service.iter().map(|turn| turn.rate / possible));
    findings.goal("drain: slow server, of sessions / delay", share, Bound::AtLeast(0.9), "×");
}

/// Mails over time in the last turn of each server.
fn plot(findings: &mut Findings, quick: &Sides, slow: &Sides) {
    for (title, sides) in [("Mails over time, quick server", quick), ("Mails over time, slow server", slow)] {
        let turns = [("notification-service", &sides.service), ("smtp-source", &sides.source)];
        let lines = turns.into_iter().filter_map(|(name, turns)| {
            let mails = &turns.last()?.mails;
            let first = mails.first()?.at_ns;
            let every = (mails.len() / 200).max(1);
            #[expect(clippy::cast_precision_loss, reason = "seconds of a few minutes, some thousand mails")]
            let point = |(number, at): (usize, u64)| ((at - first) as f64 / 1e9, number as f64);
            let points = mails.iter().map(|mail| mail.at_ns).enumerate().step_by(every).map(point).collect();
            Some(Series { name: name.to_owned(), points })
        });
        findings.chart(title, "seconds", "mails", lines.collect());
    }
}
