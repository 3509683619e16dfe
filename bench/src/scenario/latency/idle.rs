//! What the services cost while nobody signs up.

use super::{Findings, Table};
use crate::{
    report::{Bound, Cell},
    spread::Spread,
    usage,
};
use acceptance::service::Service;
use std::time::Duration;

/// Long enough to tell a tenth of a percent: CPU time is counted in steps of 10 ms.
const LENGTH: Duration = Duration::from_secs(10);
/// After its start a service is busy for a moment.
const SETTLE: Duration = Duration::from_secs(3);

/// Measures each of these services once.
///
/// # Errors
/// When one has ended.
pub(super) async fn measure(findings: &mut Findings, services: &[(&str, &Service)]) -> anyhow::Result<()> {
    tokio::time::sleep(SETTLE).await;
    let mut before = Vec::new();
    for (_, service) in services {
        before.push(usage::cpu_time(service.id())?);
    }
    tokio::time::sleep(LENGTH).await;
    let mut table = Table::new("Idle for 10 s", &["resident MB", "% of a core"]);
    for ((name, service), before) in services.iter().zip(before) {
        let used = usage::cpu_time(service.id())? - before;
        let percent = used.as_secs_f64() / LENGTH.as_secs_f64() * 100.0;
        let (resident, _) = usage::memory(service.id())?;
        #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
        let megabytes = resident as f64 / 1e6;
        table.row(name, [Cell::from(megabytes), percent.into()]);
        findings.goal(&format!("idle {name}: resident"), Spread::of([megabytes]), Bound::AtMost(20.0), "MB");
        findings.goal(&format!("idle {name}: of a core"), Spread::of([percent]), Bound::AtMost(1.0), "%");
    }
    findings.tables.push(table);
    Ok(())
}
