//! Percentiles of measured times.

use std::{fmt, time::Duration};

/// Measured times, sorted.
#[derive(Debug, Clone)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// The smallest measured time that at least this share (0 to 1) of all times don't exceed (nearest rank).
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among some thousands"
        )]
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().expect("something was measured")
    }

    /// The median.
    #[must_use]
    pub fn p50(&self) -> Duration {
        self.percentile(0.5)
    }

    /// The 99th percentile.
    #[must_use]
    pub fn p99(&self) -> Duration {
        self.percentile(0.99)
    }

    /// How well a time tells these from the others: the probability that one of these is longer than one of the others,
    /// where equal times count half (Mann and Whitney's U divided by the number of pairs: the area under the ROC curve). At
    /// 0.5 a time tells nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "numbers of measurements")]
    pub fn auc(&self, others: &Self) -> f64 {
        let others = &others.0;
        let halves = |time: &Duration| {
            others.partition_point(|other| other < time) + others.partition_point(|other| other <= time)
        };
        let halves: usize = self.0.iter().map(halves).sum();
        halves as f64 / (2 * self.0.len() * others.len()) as f64
    }

    /// The number of times.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The longest time.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.percentile(1.0)
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let (p50, p99, max) = (ms(self.p50()), ms(self.p99()), ms(self.max()));
        write!(f, "p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms (n = {})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let latencies: Latencies = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(latencies.p50(), Duration::from_millis(100));
        assert_eq!(latencies.p99(), Duration::from_millis(198));
        assert_eq!(latencies.max(), Duration::from_millis(200));
        let one: Latencies = [Duration::from_millis(7)].into_iter().collect();
        assert_eq!((one.p50(), one.max()), (Duration::from_millis(7), Duration::from_millis(7)));
    }

    #[test]
    fn the_auc_is_the_share_of_pairs_in_which_the_first_is_the_longer() {
        let of = |times: &[u64]| times.iter().copied().map(Duration::from_millis).collect::<Latencies>();
        assert!((of(&[1, 2, 3]).auc(&of(&[1, 2, 3])) - 0.5).abs() < 1e-9);
        assert!((of(&[4, 5]).auc(&of(&[1, 2, 3])) - 1.0).abs() < 1e-9);
        assert!((of(&[1, 3]).auc(&of(&[2, 3])) - 0.375).abs() < 1e-9);
    }
}
