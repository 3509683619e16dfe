//! The time of an answer must not show who has an account: a new, a pending and a verified address, side by side.
//!
//! The three alternate request by request in one open loop, so that only the address differs.

use super::{ACCEPTED, PATH, RATE};
use crate::{
    arguments::Options,
    latency::Latencies,
    load::{self, Bodies, Schedule, Target},
    report::{Findings, Series, Table},
    scenario::accounts::{self, registration},
};
use std::sync::Arc;

/// These people's numbers, apart from those of the rest of the scenario.
const PENDING: u64 = 1_000_000_000;
const VERIFIED: u64 = 2_000_000_000;
const NEW: u64 = 3_000_000_000;
/// The number of pending and of verified addresses, which are registered again and again.
const KNOWN: u64 = 2000;
const KINDS: [&str; 3] = ["new address", "pending address", "verified address"];

/// Measures the three kinds of addresses.
///
/// # Errors
/// When a request is refused.
pub(super) async fn compare(
    findings: &mut Findings,
    target: Target,
    options: &Options,
) -> anyhow::Result<()> {
    let address = target.addresses[0];
    accounts::register(address, PENDING..PENDING + KNOWN).await?;
    let verified = accounts::register(address, VERIFIED..VERIFIED + KNOWN).await?;
    accounts::verify(address, &verified).await?;
    let bodies: Bodies = Arc::new(|number| {
        let turn = number / 3;
        Some(registration(match number % 3 {
            0 => NEW + turn,
            1 => PENDING + turn % KNOWN,
            _ => VERIFIED + turn % KNOWN,
        }))
    });
    let length = options.seconds * options.rounds;
    let schedule = Schedule { per_second: RATE, length };
    let measured = load::open_loop(&Target::new(address, PATH), 256, schedule, &bodies).await?;
    let measured = measured.all_answered(ACCEPTED)?;
    let mut table = Table::new(
        "Three kinds of addresses in turn, 500 per second",
        &["n", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms"],
    );
    let mut lines = Vec::new();
    for (kind, name) in (0..).zip(KINDS) {
        let of_kind = measured.samples.iter().filter(|sample| sample.number % 3 == kind);
        let latencies = Latencies::of(of_kind.map(|sample| sample.latency))?;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let count = latencies.count() as f64;
        let percentiles = [50.0, 90.0, 99.0, 99.9].map(|percent| latencies.percentile_ms(percent));
        table.row(name, std::iter::once(count).chain(percentiles).map(Into::into));
        lines.push(Series { name: name.to_owned(), points: latencies.curve() });
    }
    findings.tables.push(table);
    findings.chart("Latency by kind of address, 500/s", "percentile", "ms", lines);
    Ok(())
}
