//! One start of a user service, from the start of the process until it is ready.

use super::{Cell, MIB, Spread, Stage, Table};
use crate::{load::Connection, progress, usage};
use anyhow::Context as _;
use std::{net::TcpListener, time::Duration};

/// The cost of a start.
pub(super) struct Start {
    ready_after: Duration,
    cpu: Duration,
    /// Resident memory when it is ready, and its peak until then, in octets.
    pub(super) resident: f64,
    pub(super) peak: f64,
    /// Records that it read before it was ready.
    replayed: f64,
}

impl Start {
    pub(super) fn seconds(&self) -> f64 {
        self.ready_after.as_secs_f64()
    }
}

/// Starts a service this many times. Each ends before the next begins.
///
/// # Errors
/// When its figures can't be read.
pub(super) async fn repeated(stage: &Stage, times: u32) -> anyhow::Result<Vec<Start>> {
    let bar = progress::bar("starting user services", times.into());
    let mut starts = Vec::new();
    for _ in 0..times {
        starts.push(once(stage).await?);
        bar.inc(1);
    }
    Ok(starts)
}

async fn once(stage: &Stage) -> anyhow::Result<Start> {
    let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut service = stage.user_service("user-service").with("USER_SERVICE_ADMIN_ADDR", &admin.to_string());
    service.start();
    let ready_after = service.ready().await;
    let (resident, peak) = usage::memory(service.id())?;
    let cpu = usage::cpu_time(service.id())?;
    let metrics = Connection::open(admin, "/metrics").await?.get().await?;
    let replayed = gauge(&String::from_utf8_lossy(&metrics), "user_service_replay_records_expected")?;
    service.stop().await;
    #[expect(clippy::cast_precision_loss, reason = "gigabytes at most")]
    let (resident, peak) = (resident as f64, peak as f64);
    Ok(Start { ready_after, cpu, resident, peak, replayed })
}

fn gauge(metrics: &str, name: &str) -> anyhow::Result<f64> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("no metric {name}"))?.trim().parse()?)
}

/// A table for starts.
pub(super) fn table(title: &str) -> Table {
    Table::new(title, &["ready after s", "CPU s", "resident MiB", "at most MiB", "records read"])
}

/// The row of these starts.
pub(super) fn row(table: &mut Table, name: &str, starts: &[Start]) {
    const FIGURES: [fn(&Start) -> f64; 5] = [
        Start::seconds,
        |start| start.cpu.as_secs_f64(),
        |start| start.resident / MIB,
        |start| start.peak / MIB,
        |start| start.replayed,
    ];
    table.row(name, FIGURES.map(|figure| Cell::from(Spread::of(starts.iter().map(figure)))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_found_by_its_whole_name() {
        let metrics = "# HELP a_total x\na_total_more 7\na_total 12\n";
        assert_eq!(gauge(metrics, "a_total").ok(), Some(12.0));
        assert!(gauge(metrics, "a").is_err());
    }
}
