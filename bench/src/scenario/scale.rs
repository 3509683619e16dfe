//! `scale`: one, two and four replicas of each service. Every user service follows the whole log, so each further one costs
//! CPU time per signup. The notification services share the partitions. It also measures the cost of a partition.

mod partitions;

use super::{delivery, register::new_people};
use crate::{
    arguments::Options,
    load::{self, Bodies, Target},
    process::sink::client::MailSink,
    progress,
    report::{Cell, Findings, Table},
    spread::Spread,
    stage::{self, Stage},
    usage,
};
use acceptance::service::Service;
use std::time::Duration;

const REPLICAS: [usize; 3] = [1, 2, 4];
/// The mails of the warm-up.
const FIRST_BACKLOG: u64 = 2000;

/// Measures both services.
///
/// # Errors
/// When something can't be started, a registration is refused, or a mail is missing.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Findings> {
    let mut findings = Findings::of("scale");
    findings.tables.push(registrations(options).await?);
    findings.tables.push(following(options).await?);
    findings.tables.push(mails(options).await?);
    findings.tables.push(partitions::measure().await?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    findings.notes.push(format!(
        "The broker, the load and all replicas share {cores} cores: rates don't tell here how the services scale; CPU time \
         per signup or mail tells what a replica costs."
    ));
    Ok(findings)
}

/// Rate, and CPU seconds per 1,000 of all replicas together.
type Turns = [Vec<[f64; 2]>; REPLICAS.len()];

async fn registrations(options: &Options) -> anyhow::Result<Table> {
    let stage = Stage::start().await;
    let mut turns = Turns::default();
    let people = new_people();
    warm_up(&stage, &people, options).await?;
    let bar = progress::bar("scale: registrations", u64::from(options.rounds) * 3);
    for round in 0..options.rounds {
        for (replicas, turns) in in_turn(round, &mut turns) {
            let mut services: Vec<_> =
                (0..replicas).map(|number| stage.user_service(&format!("user-service-{number}"))).collect();
            for service in &mut services {
                service.start_and_wait().await;
            }
            let addresses = services.iter().map(Service::address).collect();
            let target = Target { addresses, path: "/api/register" };
            let before = cpu_time(&services)?;
            let measured = load::closed_loop(&target, options.connections, options.seconds, &people).await?;
            let used = cpu_time(&services)? - before;
            let measured = measured.all_answered(202)?;
            let thousands = measured.rate() * measured.elapsed.as_secs_f64() / 1000.0;
            turns.push([measured.rate(), used.as_secs_f64() / thousands]);
            bar.inc(1);
        }
    }
    Ok(table("Registrations, closed loop over all replicas", "user-service", &turns))
}

/// The cost to a replica of another one's signups.
async fn following(options: &Options) -> anyhow::Result<Table> {
    let stage = Stage::start().await;
    let people = new_people();
    warm_up(&stage, &people, options).await?;
    let (mut asked, mut follows) = (stage.user_service("asked"), stage.user_service("follows"));
    asked.start_and_wait().await;
    follows.start_and_wait().await;
    let target = stage::target(&asked, "/api/register");
    let bar = progress::bar("scale: following", u64::from(options.rounds));
    let mut used = Vec::new();
    for _ in 0..options.rounds {
        let before = usage::cpu_time(follows.id())?;
        let measured = load::closed_loop(&target, options.connections, options.seconds, &people).await?;
        // The follower reads in portions.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let thousands = measured.rate() * measured.elapsed.as_secs_f64() / 1000.0;
        measured.all_answered(202)?;
        used.push((usage::cpu_time(follows.id())? - before).as_secs_f64() / thousands);
        bar.inc(1);
    }
    let mut table =
        Table::new("Registrations at one of two replicas, closed loop", &["CPU s per 1,000 of the other"]);
    table.row("2 × user-service", [Cell::from(Spread::of(used))]);
    Ok(table)
}

async fn mails(options: &Options) -> anyhow::Result<Table> {
    let stage = Stage::start().await;
    let mut sink = MailSink::start().await?;
    let mut turns = Turns::default();
    let (mut people, mails) = (0, u64::from(options.mails));
    let mut creates_topics = stage.notification_service("creates-topics", &sink);
    creates_topics.start_and_wait().await;
    creates_topics.stop().await;
    // Warms up the broker.
    delivery::write_backlog(&stage, people, FIRST_BACKLOG).await?;
    people += FIRST_BACKLOG;
    let mut first = [stage.notification_service("warm-up", &sink)];
    delivery::drain(&stage, &mut first, &mut sink, FIRST_BACKLOG).await?;
    let bar = progress::bar("scale: mails", u64::from(options.rounds) * 3);
    for round in 0..options.rounds {
        for (replicas, turns) in in_turn(round, &mut turns) {
            delivery::write_backlog(&stage, people, mails).await?;
            people += mails;
            let name = |number| stage.notification_service(&format!("notification-service-{number}"), &sink);
            let mut services: Vec<_> = (0..replicas).map(name).collect();
            let drained = delivery::drain(&stage, &mut services, &mut sink, mails).await?;
            turns.push([drained.rate, drained.cpu_ms]);
            bar.inc(1);
        }
    }
    Ok(table("Mails of a backlog, 16 sessions each", "notification-service", &turns))
}

/// The order alternates, as in a comparison of two.
fn in_turn(round: u32, turns: &mut Turns) -> impl Iterator<Item = (usize, &mut Vec<[f64; 2]>)> {
    let mut sides: Vec<_> = REPLICAS.into_iter().zip(turns).collect();
    if round % 2 == 1 {
        sides.reverse();
    }
    sides.into_iter()
}

/// The first registrations of a new broker are slow.
async fn warm_up(stage: &Stage, people: &Bodies, options: &Options) -> anyhow::Result<()> {
    let mut service = stage.user_service("warm-up");
    service.start_and_wait().await;
    let target = stage::target(&service, "/api/register");
    load::closed_loop(&target, options.connections, stage::WARM_UP, people).await?.all_answered(202)?;
    Ok(())
}

fn cpu_time(services: &[Service]) -> anyhow::Result<Duration> {
    services.iter().map(|service| usage::cpu_time(service.id())).sum()
}

fn table(title: &str, name: &str, turns: &Turns) -> Table {
    let mut table = Table::new(title, &["per second", "CPU s per 1,000, all replicas"]);
    for (replicas, turns) in REPLICAS.iter().zip(turns) {
        let figures = [0, 1].map(|figure| Cell::from(Spread::of(turns.iter().map(|turn| turn[figure]))));
        table.row(&format!("{replicas} × {name}"), figures);
    }
    table
}
