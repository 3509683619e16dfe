//! Whether this replica has read to the log-end offset, and how far behind it is.

use super::{Offsets, Reading};
use crate::rules::Freshness;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A replica is ready if it has been at the log-end offset within
/// this time. It checks every second, so this is five checks.
const READY: Duration = Duration::from_secs(5);

/// The log-end offset was not learnt, or not reached, in time.
#[derive(Debug, thiserror::Error)]
#[error("this replica has not reached the end of the log in time")]
pub(crate) struct BehindLog;

impl Reading {
    /// How many records of the log are not in the view; `None` when the log-end offsets are not known by the deadline.
    pub(crate) async fn lag(&self, deadline: Instant) -> Option<u64> {
        let ends = self.ends_since(self.outside.instant());
        let ends = self.outside.within(deadline, ends).await?.ok()?;
        Some(self.progress().behind(&ends))
    }

    /// Whether this replica has read everything that was in the log five seconds ago. False also if the log-end
    /// offsets could not be learnt for that long, or if registrations are not read for lack of room.
    pub(crate) fn is_at_end(&self) -> bool {
        self.progress().was_at_end(READY, self.outside.instant()) && !self.holds_too_many()
    }

    /// Whether reading registrations is paused, because there are too many.
    pub(crate) fn holds_too_many(&self) -> bool {
        self.intake.is_paused()
    }

    /// Waits until the view is as fresh as `wanted`. Usually it is already.
    ///
    /// # Errors
    /// [`BehindLog`] when `deadline` passes first.
    pub(crate) async fn reach(&self, wanted: Freshness, deadline: Instant) -> Result<(), BehindLog> {
        let now = self.outside.instant();
        if self.progress().was_at_end(wanted.age, now) {
            return Ok(());
        }
        let reached = async {
            let ends = self.ends_since(now).await?;
            loop {
                let moved = self.moved.notified();
                tokio::pin!(moved);
                // The wait is registered before the check, so that no progress between the two is missed.
                moved.as_mut().enable();
                if self.progress().reaches(wanted, &ends, now) {
                    return Ok(());
                }
                moved.await;
            }
        };
        self.outside.within(deadline, reached).await.ok_or(BehindLog)?
    }

    /// The log-end offsets, asked for at `since` or later. One query serves all requests that wait for it.
    ///
    /// A query outlives the request that began it. Otherwise, with many requests waiting for a broker that
    /// is away, each would begin a query just before its own deadline, and none would ever be answered.
    async fn ends_since(&self, since: Instant) -> Result<Arc<Offsets>, BehindLog> {
        let partitions = self.progress().partitions();
        if partitions.is_empty() {
            return Err(BehindLog);
        }
        let mut known = Arc::clone(&self.ends).lock_owned().await;
        if let Some((_, ends)) = known.as_ref().filter(|(asked, _)| *asked >= since) {
            return Ok(Arc::clone(ends));
        }
        let (answer, answered) = oneshot::channel();
        self.outside.ask_for_ends(partitions, move |asked, ends| {
            let ends = Arc::new(ends);
            *known = Some((asked, Arc::clone(&ends)));
            // The request that asked may be gone.
            let _ = answer.send(ends);
        });
        answered.await.map_err(|_| BehindLog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::progress::Progress;
    use contract::topic::Topic;

    #[test]
    fn a_replica_is_ready_for_five_seconds_after_it_was_at_the_end() {
        let (mut progress, at_end) = (Progress::default(), Instant::now());
        let ready = |progress: &Progress, milliseconds| {
            progress.was_at_end(READY, at_end + Duration::from_millis(milliseconds))
        };
        progress.begin([((Topic::Created, 0), 0)].into(), [((Topic::Created, 0), 1)].into(), at_end);
        let ends = [((Topic::Created, 0), 1)].into();
        assert!(!progress.reaches(Freshness::END, &ends, at_end));
        assert!(!ready(&progress, 0), "it never was there");
        progress.took((Topic::Created, 0), 0);
        assert!(progress.reaches(Freshness::END, &ends, at_end));
        assert!(ready(&progress, 0) && ready(&progress, 4_999));
        assert!(!ready(&progress, 5_000) && !ready(&progress, 600_000));
    }
}
