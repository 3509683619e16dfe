//! `register`: signups per second, their latency and their cost, beside a route that only parses and publishes.

mod addresses;

use super::{
    accounts::registration,
    comparison::{self, Comparison, Load, Side},
};
use crate::{
    arguments::Options,
    load::{Bodies, Schedule},
    progress,
    report::{Bound, Findings, Series},
    stage::{self, Stage},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const PATH: &str = "/api/register";
const ACCEPTED: u16 = 202;
/// The rate at which latencies are compared, per second.
const RATE: u32 = 500;
/// The rates of the sweep, per second, as far as the closed loop shows that they can be reached.
const SWEEP: [u32; 8] = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000];

/// Measures registrations.
///
/// # Errors
/// When something can't be started, or a registration is refused.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Findings> {
    let stage = Stage::start().await;
    let mut service = stage.user_service("user-service");
    service.start_and_wait().await;
    let bare = stage.bare_route().await?;
    let bodies = new_people();
    let side = |name, address, process| Side {
        name,
        target: crate::load::Target::new(address, PATH),
        process,
        bodies: Arc::clone(&bodies),
        status: ACCEPTED,
    };
    let sides = [
        side("user-service", service.address(), service.id()),
        side("bare route", bare.address(), bare.id()?),
    ];
    let mut findings = Findings::of("register");
    let closed = Load::Closed { connections: options.connections, length: options.seconds };
    let warm_up = Load::Closed { connections: options.connections, length: stage::WARM_UP };
    comparison::compare(&stage, &sides, warm_up, 1, "register: warming up").await?;

    let closed = comparison::compare(&stage, &sides, closed, options.rounds, "register: closed loop").await?;
    findings.tables.push(closed.table(&format!("Closed loop, {} connections", options.connections)));
    let open = Load::Open(Schedule { per_second: RATE, length: options.seconds });
    let open = comparison::compare(&stage, &sides, open, options.rounds, "register: 500/s").await?;
    findings.tables.push(open.table("Open loop, 500 per second"));
    findings.tables.push(closed.threads("CPU time in the closed loop by threads"));
    set_goals(&mut findings, &closed, &open);
    findings.plot_tails("Latency at 500/s, last turn", &open);
    findings.plot_seconds("Latency over time at 500/s, last turn", &open);
    sweep(&mut findings, &stage, &sides, slowest_rate(&closed)).await?;
    addresses::compare(&mut findings, stage::target(&service, PATH), options).await?;
    Ok(findings)
}

/// A registration of a new person for each number.
pub(crate) fn new_people() -> Bodies {
    let people = AtomicU64::new(0);
    Arc::new(move |_| Some(registration(people.fetch_add(1, Ordering::Relaxed))))
}

fn set_goals(findings: &mut Findings, closed: &Comparison, open: &Comparison) {
    let rate = closed.ratio(|turn| turn.measured.rate());
    findings.goal("register: rate, of the bare route's", rate, Bound::AtLeast(0.7), "×");
    let cpu = closed.ratio(|turn| turn.cpu[0]);
    findings.goal("register: CPU time, of the bare route's", cpu, Bound::AtMost(1.5), "×");
    let cpu = open.ratio(|turn| turn.cpu[0]);
    findings.goal("register: CPU time at 500/s, of the bare route's", cpu, Bound::AtMost(1.5), "×");
    let tail = open.ratio(|turn| turn.latencies.percentile_ms(99.0));
    findings.goal("register: p99 at 500/s, of the bare route's", tail, Bound::AtMost(2.0), "×");
}

fn slowest_rate(closed: &Comparison) -> f64 {
    let rates = closed.turns.iter().flatten().map(|turn| turn.measured.rate());
    rates.fold(f64::INFINITY, f64::min)
}

/// p99 by rate, up to nine tenths of the slower side's rate in the closed loop.
async fn sweep(
    findings: &mut Findings,
    stage: &Stage,
    sides: &[Side; 2],
    reached: f64,
) -> anyhow::Result<()> {
    let rates: Vec<_> = SWEEP.into_iter().filter(|rate| f64::from(*rate) <= reached * 0.9).collect();
    let bar = progress::bar("register: sweep of rates", rates.len() as u64);
    let mut lines = sides.each_ref().map(|side| Series { name: side.name.to_owned(), points: Vec::new() });
    for per_second in rates {
        for (side, line) in sides.iter().zip(&mut lines) {
            let load = Load::Open(Schedule { per_second, length: Duration::from_secs(3) });
            let turn = comparison::turn(stage, side, load).await?;
            line.points.push((per_second.into(), turn.latencies.percentile_ms(99.0)));
        }
        bar.inc(1);
    }
    findings.chart("Rate against p99 (3 s each)", "registrations per second", "p99 ms", lines.into());
    Ok(())
}
