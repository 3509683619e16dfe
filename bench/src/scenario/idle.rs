//! The cost of the services while nobody signs up.

use crate::usage;
use acceptance::service::Service;
use std::time::Duration;

/// Long enough for a tenth of a percent: CPU time is counted in steps of 10 ms.
pub(crate) const LENGTH: Duration = Duration::from_secs(10);
/// A service is busy for a moment after its start.
const SETTLE: Duration = Duration::from_secs(3);

/// One idle service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    /// Resident memory.
    pub(crate) megabytes: f64,
    /// CPU time in percent of one core.
    pub(crate) percent: f64,
}

/// Measures these services at the same time.
///
/// # Errors
/// When one has ended.
pub(crate) async fn measure(services: [&Service; 2]) -> anyhow::Result<[Idle; 2]> {
    tokio::time::sleep(SETTLE).await;
    let [first, second] = services.map(|service| usage::cpu_time(service.id()));
    let before = [first?, second?];
    tokio::time::sleep(LENGTH).await;
    let of = |which: usize| {
        let used = usage::cpu_time(services[which].id())? - before[which];
        let (resident, _) = usage::memory(services[which].id())?;
        #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
        let megabytes = resident as f64 / 1e6;
        anyhow::Ok(Idle { megabytes, percent: used.as_secs_f64() / LENGTH.as_secs_f64() * 100.0 })
    };
    Ok([of(0)?, of(1)?])
}
