//! Verifications at a ready replica while another one replays.

use super::{Findings, Stage, Table};
use crate::{
    latency::Latencies,
    load::{self, Measured, Schedule, Target},
    scenario::accounts,
};
use std::time::Duration;

const RATE: u32 = 100;
/// These people's numbers, apart from those of the pending ones.
const FIRST: u64 = 1_000_000_000;
/// The second replica starts this long after the load.
const BEFORE: Duration = Duration::from_secs(10);

/// Measures before and during the replay.
///
/// # Errors
/// When a verification is refused.
pub(super) async fn measure(findings: &mut Findings, stage: &Stage) -> anyhow::Result<()> {
    let mut first = stage.user_service("first");
    first.start_and_wait().await;
    let mut second = stage.user_service("second");
    // The time before the second start, and the slowest allowed start.
    let schedule = Schedule { per_second: RATE, length: BEFORE + Duration::from_secs(20) };
    let wanted = u64::from(RATE) * schedule.length.as_secs();
    let accounts = accounts::register(first.address(), FIRST..FIRST + wanted).await?;
    let bodies = accounts::verifications(accounts);
    let target = Target::new(first.address(), "/api/verify");
    let replay = async {
        tokio::time::sleep(BEFORE).await;
        second.start();
        BEFORE + second.ready().await
    };
    let (measured, ready_at) = tokio::join!(load::open_loop(&target, 64, schedule, &bodies), replay);
    let measured = measured?.all_answered(200)?;
    let mut table = Table::new(
        &format!("Verifications at a first replica, {RATE} per second"),
        &["n", "p50 ms", "p99 ms", "max ms"],
    );
    row(&mut table, "alone", &measured, Duration::ZERO..BEFORE)?;
    row(&mut table, "while a second replica replays", &measured, BEFORE..ready_at)?;
    findings.tables.push(table);
    Ok(())
}

fn row(
    table: &mut Table,
    name: &str,
    measured: &Measured,
    span: std::ops::Range<Duration>,
) -> anyhow::Result<()> {
    let within = measured.samples.iter().filter(|sample| span.contains(&sample.due));
    let latencies = Latencies::of(within.map(|sample| sample.latency))?;
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let count = latencies.count() as f64;
    let figures = [count, latencies.percentile_ms(50.0), latencies.percentile_ms(99.0), latencies.max_ms()];
    table.row(name, figures.map(Into::into));
    Ok(())
}
