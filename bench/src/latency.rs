//! Percentiles of measured times.

use anyhow::Context as _;
use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest time that is measured; longer ones count as this one.
const LONGEST: Duration = Duration::from_secs(300);

/// Measured times in microseconds, with three significant digits.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// Collects these times.
    ///
    /// # Errors
    /// When there are none: a percentile of nothing would look very good.
    pub(crate) fn of(times: impl IntoIterator<Item = Duration>) -> anyhow::Result<Self> {
        let longest = u64::try_from(LONGEST.as_micros())?;
        let mut histogram = Histogram::new_with_max(longest, 3)?;
        for time in times {
            histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(longest));
        }
        (!histogram.is_empty()).then_some(Self(histogram)).context("nothing was measured")
    }

    /// The time that this percentage of all times don't exceed, in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        micros_to_ms(self.0.value_at_percentile(percent))
    }

    /// The longest time, in milliseconds.
    pub(crate) fn max_ms(&self) -> f64 {
        micros_to_ms(self.0.max())
    }

    /// The number of measured times.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// (percent, milliseconds) from the fastest to the 99.9th percentile, for a plot of the tail.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        let percents = (0..=99).map(f64::from).chain([99.5, 99.9]);
        percents.map(|percent| (percent, self.percentile_ms(percent))).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most some hundred million microseconds")]
fn micros_to_ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_measured_times() {
        let latencies = Latencies::of((1..=1000).map(Duration::from_micros)).expect("some");
        assert!((latencies.percentile_ms(50.0) - 0.5).abs() < 0.002);
        assert!((latencies.percentile_ms(99.0) - 0.99).abs() < 0.002);
        assert!((latencies.max_ms() - 1.0).abs() < 0.002);
    }

    #[test]
    fn a_time_beyond_all_bounds_still_counts() {
        let latencies = Latencies::of([Duration::from_millis(1), Duration::MAX]).expect("some");
        assert_eq!(latencies.count(), 2);
        assert!(latencies.max_ms() >= 300_000.0);
    }

    #[test]
    fn nothing_measured_is_an_error() {
        assert!(Latencies::of([]).is_err());
    }
}
