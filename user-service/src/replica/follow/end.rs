//! Whether this replica has read to the log-end offset, and how far behind it is.

use super::{Follower, Offsets, Partition};
use crate::rules::Freshness;
use rdkafka::error::KafkaResult;
use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

/// A replica is ready if it has been at the log-end offset within
/// this time. It checks every second, so this is five checks.
const READY: Duration = Duration::from_secs(5);

/// The log-end offset was not learnt, or not reached, in time.
#[derive(Debug, thiserror::Error)]
#[error("this replica has not reached the end of the log in time")]
pub(crate) struct BehindLog;

impl Follower {
    /// How many records of the log are not in the view; `None` when the log-end offsets are not known by the deadline.
    pub(crate) async fn lag(self: &Arc<Self>, deadline: Instant) -> Option<u64> {
        let ends =
            tokio::time::timeout_at(deadline.into(), self.ends_since(Instant::now())).await.ok()?.ok()?;
        let next = self.next.get()?;
        let behind = |(partition, end): (&Partition, &i64)| {
            let next = next.get(partition).map_or(*end, |next| next.load(Ordering::Acquire));
            end.saturating_sub(next).max(0).unsigned_abs()
        };
        Some(ends.iter().map(behind).fold(0, u64::saturating_add))
    }

    /// Whether this replica has read everything that was in the log five seconds before `now`. False also if the
    /// log-end offsets could not be learnt for that long, or if registrations are not read for lack of room.
    pub(crate) fn is_at_end(&self, now: Instant) -> bool {
        let at_end = *self.at_end.lock().unwrap_or_else(PoisonError::into_inner);
        was_within(READY, at_end, now) && !self.holds_too_many()
    }

    /// Whether reading registrations is paused, because there are too many.
    pub(crate) fn holds_too_many(&self) -> bool {
        self.intake.is_paused()
    }

    /// Waits until the view is as fresh as `wanted`. Usually it is already.
    ///
    /// # Errors
    /// [`BehindLog`] when `deadline` passes first.
    pub(crate) async fn reach(
        self: &Arc<Self>,
        wanted: Freshness,
        deadline: Instant,
    ) -> Result<(), BehindLog> {
        let at_end = *self.at_end.lock().unwrap_or_else(PoisonError::into_inner);
        if was_within(wanted.age, at_end, Instant::now()) {
            return Ok(());
        }
        let asked = Instant::now();
        tokio::time::timeout_at(deadline.into(), async {
            let ends = self.ends_since(asked).await?;
            loop {
                let moved = self.moved.notified();
                tokio::pin!(moved);
                // The wait is registered before the check, so that no progress between the two is missed.
                moved.as_mut().enable();
                if self.has_reached(&ends, wanted) {
                    if wanted.topics == Freshness::END.topics {
                        let mut at_end = self.at_end.lock().unwrap_or_else(PoisonError::into_inner);
                        *at_end = (*at_end).max(Some(asked));
                    }
                    return Ok(());
                }
                moved.await;
            }
        })
        .await
        .map_err(|_| BehindLog)?
    }

    /// The log-end offsets, asked for at `since` or later. One query serves all requests that wait for it.
    ///
    /// A query outlives the request that began it. Otherwise, with many requests waiting for a broker that
    /// is away, each would begin a query just before its own deadline, and none would ever be answered.
    async fn ends_since(self: &Arc<Self>, since: Instant) -> Result<Arc<Offsets>, BehindLog> {
        let next = self.next.get().ok_or(BehindLog)?;
        let mut known = Arc::clone(&self.ends).lock_owned().await;
        if let Some((_, ends)) = known.as_ref().filter(|(asked, _)| *asked >= since) {
            return Ok(Arc::clone(ends));
        }
        let partitions: Vec<_> = next.keys().copied().collect();
        let follower = Arc::clone(self);
        let query = tokio::task::spawn_blocking(move || {
            let asked = Instant::now();
            let ends = follower.inquirer.ends(&partitions);
            let ends = Arc::new(ends.inspect_err(
                |error| log::warn!("error" = error.to_string().as_str(); "the ends of the log are not known"),
            )?);
            *known = Some((asked, Arc::clone(&ends)));
            KafkaResult::Ok(ends)
        });
        query.await.map_err(|_| BehindLog)?.map_err(|_| BehindLog)
    }

    fn has_reached(&self, ends: &Offsets, wanted: Freshness) -> bool {
        self.next.get().is_some_and(|next| {
            ends.iter().filter(|((topic, _), _)| wanted.topics.contains(topic)).all(|(partition, end)| {
                next.get(partition).is_some_and(|offset| offset.load(Ordering::Acquire) >= *end)
            })
        })
    }
}

fn was_within(time: Duration, at_end: Option<Instant>, now: Instant) -> bool {
    at_end.is_some_and(|moment| now.saturating_duration_since(moment) < time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_ready_for_five_seconds_after_it_was_at_the_end() {
        let at_end = Instant::now();
        let ready =
            |milliseconds| was_within(READY, Some(at_end), at_end + Duration::from_millis(milliseconds));
        assert!(ready(0) && ready(4_999));
        assert!(!ready(5_000) && !ready(600_000));
        assert!(!was_within(READY, None, at_end), "it never was there");
    }
}
