//! `outage`: signups at a rate while the mail server is away, and then while the broker is. It shows how the backlog grows
//! and shrinks, and that every accepted signup is mailed.
//!
//! People here don't repeat a refused request. It is counted as refused, and no mail is expected for it.

mod backlog;

use crate::{
    arguments::Options,
    fill::Person,
    latency::Latencies,
    load::{self, Bodies, Measured, Schedule},
    process::{monotonic_ns, sink::client::MailSink},
    progress,
    report::{Bound, Findings, Series, Table},
    scenario::accounts::registration,
    spread::Spread,
    stage::{self, Stage},
};
use backlog::Backlog;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const RATE: u32 = 200;
/// Enough for all requests that wait until they are refused.
const CONNECTIONS: u16 = 1000;
const BEFORE: Duration = Duration::from_secs(5);
/// How long the load goes on after the return.
const AFTER: Duration = Duration::from_secs(20);
/// The longest start of a broker on a busy machine.
const AT_MOST: Duration = Duration::from_secs(300);
/// Every mail must have arrived this long after the load.
const LIMIT: Duration = Duration::from_secs(60);

/// The part that goes away.
#[derive(Debug, Clone, Copy)]
enum Away {
    MailServer,
    Broker,
}

/// Measures both outages.
///
/// # Errors
/// When something can't be started.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Findings> {
    let mut findings = Findings::of("outage");
    let columns = [
        "accepted",
        "refused",
        "lost",
        "duplicates",
        "away s",
        "backlog at most",
        "caught up after s",
        "register p99 ms",
    ];
    let title = format!("Away under {RATE} registrations a second");
    let mut table = Table::new(&title, &columns);
    let mut lines = Vec::new();
    let mut lost = 0.0;
    let bar = progress::bar("outages", 2);
    for away in [Away::MailServer, Away::Broker] {
        let backlog = one(away, options.seconds).await?;
        let name = match away {
            Away::MailServer => "mail server",
            Away::Broker => "broker",
        };
        table.row(name, backlog.figures().map(Into::into));
        lines.push(Series { name: format!("{name} away"), points: backlog.curve() });
        lost += backlog.lost();
        bar.inc(1);
    }
    findings.tables.push(table);
    findings.goal("outage: accepted signups without a mail", Spread::of([lost]), Bound::AtMost(0.0), "");
    findings.chart("Backlog over time", "seconds", "mails", lines);
    findings.notes.push(
        "Caught up: after the return, the moment when no more mails are waiting than come in within a tenth of a second. \
         The broker is away from its SIGKILL until its start script says that it serves."
            .to_owned(),
    );
    Ok(findings)
}

/// One outage of this length, with a stage of its own.
async fn one(away: Away, length: Duration) -> anyhow::Result<Backlog> {
    let stage = Stage::start().await;
    let mut sink = MailSink::start().await?;
    let mut user_service = stage.user_service("user-service");
    user_service.start_and_wait().await;
    let mut notification_service = stage.notification_service("notification-service", &sink);
    notification_service.start_and_wait().await;
    let over = Arc::new(AtomicBool::new(false));
    let bodies: Bodies = Arc::new({
        let over = Arc::clone(&over);
        move |number| (!over.load(Ordering::Relaxed)).then(|| registration(number))
    });
    let target = stage::target(&user_service, "/api/register");
    let schedule = Schedule { per_second: RATE, length: BEFORE + length + AT_MOST };
    let outage = async {
        tokio::time::sleep(BEFORE).await;
        let gone_at = monotonic_ns();
        match away {
            Away::MailServer => sink.set_open(false).await?,
            Away::Broker => stage.world.kafka.kill().await,
        }
        tokio::time::sleep(length).await;
        match away {
            Away::MailServer => sink.set_open(true).await?,
            Away::Broker => stage.world.kafka.start().await,
        }
        let away = gone_at..monotonic_ns();
        tokio::time::sleep(AFTER).await;
        over.store(true, Ordering::Relaxed);
        anyhow::Ok(away)
    };
    let (measured, away) =
        tokio::try_join!(load::open_loop(&target, CONNECTIONS, schedule, &bodies), outage)?;
    let taken = all_mails(&measured, &mut sink).await?;
    Backlog::of(&measured, taken, away)
}

/// Waits for the mails of all accepted signups, at most for `LIMIT`. Returns all mails by their recipients' numbers.
async fn all_mails(measured: &Measured, sink: &mut MailSink) -> anyhow::Result<HashMap<u64, Vec<u64>>> {
    let numbers: HashMap<_, _> =
        measured.samples.iter().map(|sample| (Person::email(sample.number), sample.number)).collect();
    let mut taken: HashMap<u64, Vec<u64>> = HashMap::new();
    let began = Instant::now();
    loop {
        for mail in sink.mails().await? {
            if let Some(number) = numbers.get(&mail.recipient) {
                taken.entry(*number).or_default().push(mail.at_ns);
            }
        }
        let missing =
            measured.samples.iter().any(|sample| sample.status == 202 && !taken.contains_key(&sample.number));
        if !missing || began.elapsed() > LIMIT {
            return Ok(taken);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// p99 of the 202s, in milliseconds.
fn accepted_p99(measured: &Measured) -> anyhow::Result<f64> {
    let accepted = measured.samples.iter().filter(|sample| sample.status == 202);
    Ok(Latencies::of(accepted.map(|sample| sample.latency))?.percentile_ms(99.0))
}
