//! Accepted signups that wait for their mail, over time. It is computed afterwards from the times of answers and mails.

use super::{Measured, RATE, accepted_p99};
use std::{collections::HashMap, ops::Range, time::Duration};

/// The distance between two points of the curve.
const STEP: Duration = Duration::from_millis(100);

/// The outcome of all signups of one outage.
pub(super) struct Backlog {
    began_ns: u64,
    away: Range<u64>,
    /// When each signup was accepted, and when each first mail was accepted; in nanoseconds, sorted.
    accepted_at: Vec<u64>,
    mailed_at: Vec<u64>,
    refused: usize,
    duplicates: usize,
    register_p99_ms: f64,
}

impl Backlog {
    /// Computes it from the answers, the times of each recipient number's mails, and the time of the outage.
    ///
    /// # Errors
    /// When nothing was accepted.
    pub(super) fn of(
        measured: &Measured,
        mails: HashMap<u64, Vec<u64>>,
        away: Range<u64>,
    ) -> anyhow::Result<Self> {
        let accepted = || measured.samples.iter().filter(|sample| sample.status == 202);
        let mut accepted_at = Vec::new();
        let mut mailed_at = Vec::new();
        for sample in accepted() {
            let answered = sample.due + sample.latency;
            accepted_at.push(measured.began_ns + u64::try_from(answered.as_nanos())?);
            mailed_at.extend(mails.get(&sample.number).and_then(|moments| moments.first()));
        }
        accepted_at.sort_unstable();
        mailed_at.sort_unstable();
        Ok(Self {
            began_ns: measured.began_ns,
            away,
            refused: measured.samples.len() - accepted_at.len(),
            duplicates: mails.values().map(|moments| moments.len() - 1).sum(),
            accepted_at,
            mailed_at,
            register_p99_ms: accepted_p99(measured)?,
        })
    }

    /// The number of accepted signups that were never mailed.
    pub(super) fn lost(&self) -> f64 {
        number(self.accepted_at.len() - self.mailed_at.len())
    }

    /// The figures for the table, in the order of its columns.
    pub(super) fn figures(&self) -> [f64; 8] {
        let most = self.moments().map(|at| self.waiting(at)).max().unwrap_or(0);
        [
            number(self.accepted_at.len()),
            number(self.refused),
            self.lost(),
            number(self.duplicates),
            seconds(self.away.end - self.away.start),
            number(most),
            self.caught_up_after(),
            self.register_p99_ms,
        ]
    }

    /// (seconds, waiting) from the load's start to the last mail.
    pub(super) fn curve(&self) -> Vec<(f64, f64)> {
        self.moments().map(|at| (seconds(at - self.began_ns), number(self.waiting(at)))).collect()
    }

    /// Seconds from the return until at most a tenth of a second's signups are waiting.
    fn caught_up_after(&self) -> f64 {
        let few = usize::try_from(RATE / 10).unwrap_or(0);
        let at = self.moments().find(|at| *at >= self.away.end && self.waiting(*at) <= few);
        at.map_or(f64::NAN, |at| seconds(at - self.away.end))
    }

    fn waiting(&self, at: u64) -> usize {
        let until = |moments: &[u64]| moments.partition_point(|moment| *moment <= at);
        until(&self.accepted_at).saturating_sub(until(&self.mailed_at))
    }

    fn moments(&self) -> impl Iterator<Item = u64> {
        let step = STEP.as_nanos() as u64;
        let last = self.mailed_at.last().copied().unwrap_or(self.began_ns) + step;
        (self.began_ns..last).step_by(STEP.as_nanos() as usize)
    }
}

#[expect(clippy::cast_precision_loss, reason = "some thousand signups")]
fn number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of minutes")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Sample;

    const SECOND: u64 = 1_000_000_000;

    /// Ten signups a second for four seconds. The mails of the second and third second come at 3.5 s.
    fn backlog(lost: u64) -> Backlog {
        let sample = |number: u64| Sample {
            number,
            due: Duration::from_millis(number * 100),
            latency: Duration::from_millis(1),
            status: if number == 39 { 503 } else { 202 },
        };
        let samples: Vec<_> = (0..40).map(sample).collect();
        let at = |number: u64| {
            if (10..30).contains(&number) { 7 * SECOND / 2 } else { number * SECOND / 10 + 2_000_000 }
        };
        let mails = (0..39)
            .filter(|number| *number >= lost)
            .map(|number| (number, vec![at(number); 1 + usize::from(number == 5)]));
        let measured = Measured { samples, began_ns: 0, elapsed: Duration::from_secs(4) };
        Backlog::of(&measured, mails.collect(), SECOND..3 * SECOND).expect("some were accepted")
    }

    #[test]
    fn every_signup_is_accounted_for() {
        let [accepted, refused, lost, duplicates, away, most, ..] = backlog(0).figures();
        assert_eq!([accepted, refused, lost, duplicates, away, most], [39.0, 1.0, 0.0, 1.0, 2.0, 20.0]);
        assert_eq!(backlog(3).lost(), 3.0);
    }
}
