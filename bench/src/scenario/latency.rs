//! `latency`: from the time at which a registration was due until the mail server has accepted its mail, on an idle system.
//! Beside it the unavoidable parts: one trip through the broker, and one SMTP dialogue.

mod bare;

use crate::{
    arguments::Options,
    fill::Person,
    latency::Latencies,
    load::{self, Bodies, Schedule, Target},
    process::sink::client::MailSink,
    progress,
    report::{Bound, Cell, Findings, Series, Table},
    scenario::{
        accounts::registration,
        idle::{self, Idle},
    },
    spread::Spread,
    stage::{self, Stage},
};
use std::{collections::HashMap, sync::Arc, time::Duration};

const RATE: u32 = 50;
const CONNECTIONS: u16 = 16;
/// How long a mail may take before it counts as lost.
const LIMIT: Duration = Duration::from_secs(30);
const NAMES: [&str; 5] = [
    "register → mail accepted",
    "register → 202",
    "bare: broker, produce → consume",
    "bare: SMTP dialogue",
    "the two bare ones",
];

/// One round: the times of all NAMES but the last.
struct Round([Latencies; 4]);

/// Measures the way of a mail.
///
/// # Errors
/// When something can't be started, or a mail is missing.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Findings> {
    let stage = Stage::start().await;
    let mut sink = MailSink::start().await?;
    let mut user_service = stage.user_service("user-service");
    user_service.start_and_wait().await;
    let mut notification_service = stage.notification_service("notification-service", &sink);
    notification_service.start_and_wait().await;
    bare::create_topic(&stage).await?;
    let target = stage::target(&user_service, "/api/register");
    let mut findings = Findings::of("latency");
    set_idle(&mut findings, idle::measure([&user_service, &notification_service]).await?);

    let warm_up = Schedule { per_second: 4 * RATE, length: Duration::from_secs(4) };
    let mut people = 0;
    mailed(&target, &mut sink, warm_up, &mut people).await?;
    let octets = sink.phases().await?.octets;
    let schedule = Schedule { per_second: RATE, length: options.seconds };
    let bar = progress::bar("latency: 50/s", u64::from(options.rounds) * 3);
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let [mail, answer] = mailed(&target, &mut sink, schedule, &mut people).await?;
        bar.inc(1);
        let broker = bare::broker_trips(&stage, schedule).await?;
        bar.inc(1);
        let dialogue = bare::dialogues(sink.address(), schedule, octets).await?;
        bar.inc(1);
        sink.mails().await?;
        rounds.push(Round([mail, answer, broker, dialogue]));
    }
    set_figures(&mut findings, &rounds);
    Ok(findings)
}

impl Round {
    /// A percentile of each of NAMES. The percentile of the sum is taken as the sum of both percentiles. For a tail that is
    /// too high; a better value is not known.
    fn percentiles(&self, percent: f64) -> [f64; 5] {
        let [mail, answer, broker, dialogue] = self.0.each_ref().map(|times| times.percentile_ms(percent));
        [mail, answer, broker, dialogue, broker + dialogue]
    }
}

fn set_idle(findings: &mut Findings, services: [Idle; 2]) {
    let title = format!("Idle for {} s", idle::LENGTH.as_secs());
    let mut table = Table::new(&title, &["resident MB", "% of a core"]);
    for (name, Idle { megabytes, percent }) in
        ["user-service", "notification-service"].into_iter().zip(services)
    {
        table.row(name, [megabytes.into(), percent.into()]);
        findings.goal(&format!("idle {name}: resident"), Spread::of([megabytes]), Bound::AtMost(20.0), "MB");
        findings.goal(&format!("idle {name}: of a core"), Spread::of([percent]), Bound::AtMost(1.0), "%");
    }
    findings.tables.push(table);
}

fn set_figures(findings: &mut Findings, rounds: &[Round]) {
    let percents = [50.0, 90.0, 99.0];
    let mut table = Table::new("50 registrations a second, idle system", &["p50 ms", "p90 ms", "p99 ms"]);
    for (index, name) in NAMES.into_iter().enumerate() {
        let spread = |percent| Spread::of(rounds.iter().map(|round| round.percentiles(percent)[index]));
        table.row(name, percents.map(|percent| Cell::from(spread(percent))));
    }
    findings.tables.push(table);
    let medians = rounds.iter().map(|round| round.percentiles(50.0));
    let ratio = Spread::of_ratios(medians.map(|[mail, _, _, _, bare]| (mail, bare)));
    findings.goal("latency: p50, of the two bare ones'", ratio, Bound::AtMost(2.0), "×");
    let of_mail = |percent| Spread::of(rounds.iter().map(|round| round.percentiles(percent)[0]));
    findings.goal("latency: p50", of_mail(50.0), Bound::AtMost(5.0), "ms");
    findings.goal("latency: p99", of_mail(99.0), Bound::AtMost(25.0), "ms");
    if let Some(Round(last)) = rounds.last() {
        let lines = NAMES.iter().zip(last);
        let lines = lines.map(|(name, times)| Series { name: (*name).to_owned(), points: times.curve() });
        findings.chart("Latency at 50/s, last round", "percentile", "ms", lines.collect());
    }
}

/// Registers, and waits for the mails. Returns the times from each request's due time to its mail and to its answer.
async fn mailed(
    target: &Target,
    sink: &mut MailSink,
    schedule: Schedule,
    people: &mut u64,
) -> anyhow::Result<[Latencies; 2]> {
    let first = *people;
    let bodies: Bodies = Arc::new(move |number| Some(registration(first + number)));
    let before = sink.count().await?;
    let measured = load::open_loop(target, CONNECTIONS, schedule, &bodies).await?.all_answered(202)?;
    let count = u64::try_from(measured.samples.len())?;
    *people += count;
    sink.wait_for_count(before + count, LIMIT).await?;
    let taken: HashMap<_, _> =
        sink.mails().await?.into_iter().map(|mail| (mail.recipient, mail.at_ns)).collect();
    let mut times = Vec::with_capacity(measured.samples.len());
    for sample in &measured.samples {
        let email = Person::email(first + sample.number);
        let Some(taken_at) = taken.get(&email) else {
            anyhow::bail!("no mail to person {}", first + sample.number)
        };
        let due = Duration::from_nanos(measured.began_ns) + sample.due;
        times.push(Duration::from_nanos(*taken_at).saturating_sub(due));
    }
    Ok([Latencies::of(times)?, Latencies::of(measured.latencies())?])
}
